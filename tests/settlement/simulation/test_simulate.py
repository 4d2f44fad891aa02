"""Whole simulations: killed and resumed, failing cells, kept counterexamples, summaries."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml.engines.engine import LocalEngine
from settlement.errors import SettlementError
from settlement.simulation import runner
from settlement.simulation.counterexamples import COUNTEREXAMPLES_FOLDER
from settlement.simulation.play import replicates
from settlement.simulation.results.database import DATABASE, OtherScenario, all_rows
from settlement.simulation.results.summary import NOT_MODELLED
from settlement.simulation.simulating import simulate
from settlement.simulation.tables.sweeps import RoundKey
from tests.settlement.simulation.test_world import off_by_one_twin  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[3]

KILLED = """
[scenario]
name = "killed"
replicates = 60
rounds = 2

[game]
kind = "family"
family = { one_of = ["saturating", "coverage"] }

[round]
settlement = ["proof", "signatures"]

[engine]
kind = "%s"

[[party]]
name = "p"
count = 4
behaviour = { one_of = ["honest", "never_funds", "replicates", "splits_in_two"] }
budget = { uniform = [0.0, 0.4] }

[chain]
reorganisations = 0.02
lost_replies = 0.02
"""


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "settlement", "simulate", str(folder)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def n_done(folder):
    path = folder / DATABASE
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM done").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_kill_9_in_the_middle_ends_in_the_same_rows(tmp_path, engine):
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
        (folder / "scenario.toml").write_text(KILLED % engine)
    whole, killed = folders
    assert start(whole).communicate()[0]
    n_kills = 0
    for wanted in (1, 50):
        process = start(killed)
        while n_done(killed) < wanted and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            n_kills += 1
        process.communicate()
    assert n_kills
    assert 0 < n_done(killed) < 120
    last = start(killed)
    text, trouble = last.communicate()
    assert last.returncode == 0, text + trouble
    assert all_rows(killed / DATABASE) == all_rows(whole / DATABASE)
    assert len(all_rows(whole / DATABASE)["done"]) == 120


def ray_workers():
    """Workers of a Ray cluster that this process started and that have a task, by pid."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            pid, fields = int(path.name), (path / "stat").read_text().rpartition(")")[2].split()
            parents[pid], names[pid] = int(fields[1]), (path / "cmdline").read_text()
        except OSError:
            continue  # it has ended

    def is_mine(pid):
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return [pid for pid, name in names.items() if name.startswith("ray::_") and is_mine(pid)]


@pytest.mark.slow
def test_a_ray_cluster_that_loses_a_worker_ends_in_the_same_rows(tmp_path):
    pytest.importorskip("ray")
    folders = {name: tmp_path / name for name in ("local", "ray")}
    for name, folder in folders.items():
        folder.mkdir()
        text = KILLED.replace("replicates = 60", "replicates = 200") % name
        (folder / "scenario.toml").write_text(text)
    simulate(folders["local"])
    killed = []

    def kill_one(done, total):
        if not killed and 0 < done < total:
            killed.extend(ray_workers()[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    results = simulate(folders["ray"], progress=kill_one)
    assert killed
    assert results.summary.failures == ()
    assert all_rows(folders["ray"] / DATABASE) == all_rows(folders["local"] / DATABASE)


def test_a_second_run_plays_nothing_and_more_replicates_only_add(tables, tmp_path, monkeypatch):
    first = simulate(tables, folder=tmp_path)
    before = all_rows(first.database)
    calls = []
    real = replicates.replicate_rows

    def counted(cell, number, world):
        calls.append(number)
        return real(cell, number, world)

    monkeypatch.setattr(runner, "replicate_rows", counted)
    assert simulate(tables, folder=tmp_path).summary == first.summary
    assert calls == []
    tables["scenario"]["replicates"] = 4
    more = simulate(tables, folder=tmp_path)
    assert calls == [2, 3]
    assert set(before["rounds"]) < set(all_rows(more.database)["rounds"])


def test_one_replicate_is_the_same_alone_and_among_others(mixed, tmp_path):
    from settlement.simulation.arena.world import World
    from settlement.simulation.counterexamples import rows_of_round
    from settlement.simulation.tables.reading import scenario_of

    mixed["scenario"] |= {"replicates": 3, "rounds": 3}
    results = simulate(mixed, folder=tmp_path)
    scenario = scenario_of(mixed, tmp_path / "scenario.toml")
    world = World("auto")
    for key in (RoundKey(1, 2, 2), RoundKey(0, 1, 0)):
        alone = rows_of_round(scenario, key, world)
        for table in ("rounds", "parties", "accounts", "transfers", "refusals"):
            query = f"SELECT * FROM {table} WHERE cell = ? AND replicate = ? AND period = ?"
            found = results.query(query, (key.cell, key.replicate, key.period))
            assert sorted(found, key=repr) == sorted(alone[table], key=repr)


def test_the_rows_of_another_scenario_are_not_mixed_in(tables, tmp_path):
    simulate(tables, folder=tmp_path)
    tables["party"][0]["budget"] = 0.1
    with pytest.raises(OtherScenario, match="another scenario"):
        simulate(tables, folder=tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / DATABASE).write_text("no database" * 100)
    with pytest.raises(OtherScenario, match="no file of results"):
        simulate(tables, folder=tmp_path / "other")


def test_a_cell_that_fails_costs_no_other_and_is_named_with_its_traceback(
    tables, tmp_path, monkeypatch
):
    tables["scenario"]["replicates"] = 5
    real = replicates.replicate_rows

    def failing(cell, number, world):
        if number == 3:
            raise RuntimeError("the third one")
        return real(cell, number, world)

    monkeypatch.setattr(runner, "replicate_rows", failing)
    results = simulate(tables, folder=tmp_path)
    assert results.summary.n_rounds == 4
    assert not results.summary.holds
    text = results.summary.as_text("DIR")
    assert "FAILED  cell 0, replicate 3" in text
    assert "RuntimeError: the third one" in text
    monkeypatch.setattr(runner, "replicate_rows", real)
    again = simulate(tables, folder=tmp_path)  # tried again, and now it is there
    assert again.summary.n_rounds == 5
    assert again.summary.holds


def test_an_engine_is_chosen_by_the_number_of_rounds():
    assert isinstance(runner._engine({}, 10), LocalEngine)
    assert runner._engine({}, 10_000).name == "processes"
    assert runner._engine({"kind": "local"}, 10_000).name == "local"


def test_a_broken_expectation_is_kept_and_played_first_in_every_later_run(
    off_by_one_twin,  # noqa: F811
    tables,
    tmp_path,
    monkeypatch,
):
    tables["round"]["settlement"] = "signatures"
    assert not simulate(tables, folder=tmp_path).summary.holds
    kept = sorted(path.name for path in (tmp_path / COUNTEREXAMPLES_FOLDER).iterdir())
    assert any("0.0.0-twin-equals-evm" in name for name in kept)
    again = simulate(tables, folder=tmp_path).summary
    assert "is still broken" in again.verdicts[0].sentence
    monkeypatch.undo()  # the twin is right again
    (tmp_path / DATABASE).unlink()
    runner._world.cache_clear()
    mended = simulate(tables, folder=tmp_path).summary
    assert mended.holds
    assert "holds now" in mended.verdicts[0].sentence
    assert len([v for v in mended.verdicts if "kept round" in v.sentence]) == len(kept)


def test_a_kept_round_outlives_a_change_of_its_scenario(tables, tmp_path):
    tables["expect"] = [{"that": "max(payoff(a)) >= 0"}]
    assert not simulate(tables, folder=tmp_path).summary.holds
    (tmp_path / DATABASE).unlink()
    tables["party"][0]["budget"] = 0.0
    summary = simulate(tables, folder=tmp_path).summary
    broken = [verdict for verdict in summary.verdicts if not verdict.holds]
    assert len(broken) == 1
    assert "is still broken" in broken[0].sentence


def test_a_kept_round_that_is_none_is_told(tables, tmp_path):
    (tmp_path / COUNTEREXAMPLES_FOLDER).mkdir()
    (tmp_path / COUNTEREXAMPLES_FOLDER / "x.json").write_text("{}")
    with pytest.raises(SettlementError, match="is no kept round"):
        simulate(tables, folder=tmp_path)


def test_the_summary_says_what_it_is_what_was_compared_and_what_is_left_out(mixed, tmp_path):
    mixed["scenario"]["counterfactual"] = True
    results = simulate(mixed, folder=tmp_path)
    text = results.summary.as_text("DIR")
    assert "everything: 60 rounds in 2 cells" in text
    assert "60 of 60 rounds equal on twin and EVM" in text
    assert f"seed 0, scenario {results.summary.scenario[:16]}" in text
    for left_out in NOT_MODELLED:
        assert left_out in text
    document = json.loads(json.dumps(results.summary.as_json(), allow_nan=False))
    assert document["holds"] is True
    assert document["n_equal"] == 60
    assert {row["behaviour"] for row in document["behaviours"]} >= {"honest", "never_funds"}
    tried = results.query("SELECT count(*) FROM parties WHERE gain IS NOT NULL")[0][0]
    looking = results.query(
        "SELECT count(*) FROM parties WHERE behaviour != 'honest' OR NOT looks"
    )[0][0]
    assert 0 < tried <= looking


def test_what_is_carried_over_adds_up(tmp_path):
    tables = {
        "scenario": {"name": "carried", "replicates": 2, "rounds": 5},
        "game": {"kind": "family"},
        "party": [
            {"name": "saver", "budget": 0.1, "income": 0.05, "carry": True},
            {"name": "spender", "budget": 0.2, "income": 0.01},
            {"name": "late", "budget": 0.3, "joins": 2, "carry": True},
        ],
    }
    results = simulate(tables, folder=tmp_path)
    query = (
        "SELECT period, budget_units, payoff_units FROM parties WHERE party = ? AND replicate = 1 "
        "ORDER BY period"
    )
    wallet = 100_000
    for period, budget, payoff in results.query(query, ["saver"]):
        wallet += 50_000 * (period > 0)
        assert budget == wallet
        wallet += payoff
    assert [row[1] for row in results.query(query, ["spender"])] == [
        200_000 + 10_000 * period for period in range(5)
    ]
    late = results.query(query, ["late"])
    assert [row[0] for row in late] == [2, 3, 4]
    assert late[1][1] == 300_000 + late[0][2]
    assert results.query("SELECT DISTINCT n_accounts FROM rounds ORDER BY 1") == [(2,), (3,)]


def test_large_markets_are_settled_by_signatures(tmp_path):
    tables = {
        "scenario": {"name": "large", "replicates": 1},
        "game": {"kind": "flows", "density": 0.05},
        "round": {"settlement": "signatures"},
        "party": [{"name": "p", "count": 80, "budget": {"uniform": [0.0, 0.2]}}],
    }
    results = simulate(tables, folder=tmp_path)
    assert results.summary.holds
    assert results.summary.n_settled == 1


@pytest.mark.slow
def test_ten_thousand_random_rounds_lose_no_unit_and_contract_and_twin_agree(mixed, tmp_path):
    mixed["scenario"] |= {"replicates": 5_000, "seed": 20_261_124}
    mixed["outsider"] = [{"behaviour": "bystander"}]
    results = simulate(mixed, folder=tmp_path)
    print(f"seed {results.summary.seed}, scenario {results.summary.scenario}")
    assert results.summary.n_equal == results.summary.n_rounds == 10_000
    assert results.summary.holds
