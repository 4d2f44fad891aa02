"""Simulated rounds as round folders: the same money to the unit, and an audit finds nothing."""

import json

import pytest

from settlement.cli.main import main
from settlement.simulation import rounds
from settlement.simulation.replay import ReplayError, replay_round, replay_sample
from settlement.simulation.simulating import simulate
from settlement.simulation.tree import attack
from settlement.store.documents import SettlementDocument
from settlement.store.folder import RoundFolder
from tests.settlement.simulation.test_world import off_by_one_twin  # noqa: F401 - a fixture

SCENARIO = """
[scenario]
name = "to replay"
replicates = 6
rounds = 2
[game]
kind = "family"
family = { one_of = ["saturating", "coverage"] }
[round]
settlement = ["proof", "signatures"]
unit_scale = 1_000_000
exchange_rate = 700_001
[[party]]
name = "odd"
behaviour = %s
budget = { uniform = [0.0, 0.4] }
[[party]]
name = "other"
count = 2
budget = { uniform = [0.0, 0.4] }
[operator]
behaviour = %s
"""


def written(folder, behaviour='"honest"', operator='"honest_operator"'):
    (folder / "scenario.toml").write_text(SCENARIO % (behaviour, operator))
    return folder


@pytest.mark.parametrize("key", ["0.3.1", "1.5.0"])
@pytest.mark.parametrize("behaviour", ["honest", "never_funds", "replicates", "withholds_pieces"])
def test_a_replayed_round_is_the_same_money_and_an_audit_finds_nothing(tmp_path, key, behaviour):
    folder = written(tmp_path, f'"{behaviour}"')
    results = simulate(folder)
    done = replay_round(folder, key)
    path = folder / "replays" / key
    assert done.folder == str(path)
    cell, replicate, period = map(int, key.split("."))
    nets = results.query(
        "SELECT net_units FROM accounts WHERE (cell, replicate, period) = (?, ?, ?) "
        "ORDER BY account",
        (cell, replicate, period),
    )
    settled = SettlementDocument.read(RoundFolder(path))
    assert settled.net_positions_units == [net for (net,) in nets]
    assert json.loads((path / "simulated.json").read_text())["settled_by"] == "operator"
    assert rounds.verify(path) == []
    assert sum(sent["gas_used"] for sent in settled.transactions) > 200_000


def test_a_party_with_several_accounts_has_several_names(tmp_path):
    folder = written(tmp_path, '{ name = "replicates", times = 3 }')
    replay_round(folder, "0.0.0")
    text = (folder / "replays" / "0.0.0" / "round.toml").read_text()
    names = [line for line in text.splitlines() if line.startswith("name = ")][1:]
    assert names == [f'name = "{n}"' for n in ("odd.0", "odd.1", "odd.2", "other0", "other1")]


def test_a_round_that_was_not_settled_is_carried_out_as_far_as_its_opening(tmp_path):
    folder = written(tmp_path, '"refuses_to_sign"')
    done = replay_round(folder, "1.0.0")
    assert not done.settled
    store = RoundFolder(folder / "replays" / "1.0.0")
    assert store.has("open")
    assert not store.has("settle")
    assert "not settled" in done.as_text()


def test_an_invented_game_has_no_folder_and_says_why(tmp_path):
    operator = '{ name = "lying_operator", about = "game" }'
    folder = written(tmp_path, '{ name = "honest", looks = false }', operator)
    done = replay_round(folder, "0.0.0")
    assert done.folder is None
    assert "no round folder: its game was invented" in done.as_text()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("2.0.0", "there are 2 cells"),
        ("0.6.0", "6 replicates of 2 rounds"),
        ("0.0.2", "6 replicates of 2 rounds"),
        ("x", "names no round"),
    ],
)
def test_a_round_that_there_is_not_is_told(tmp_path, key, expected):
    with pytest.raises(ReplayError, match=expected):
        replay_round(written(tmp_path), key)


def test_a_folder_that_holds_a_round_is_never_overwritten(tmp_path):
    folder = written(tmp_path)
    replay_round(folder, "0.0.0", tmp_path / "mine")
    with pytest.raises(ReplayError, match="holds a round already"):
        replay_round(folder, "0.0.0", tmp_path / "mine")


def test_other_money_in_the_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "carry_out", lambda path, *, settle: [1, -1, 0])
    with pytest.raises(ReplayError, match=r"settles net positions \[1, -1, 0\]"):
        replay_round(written(tmp_path), "0.0.0")


def test_a_sample_is_drawn_by_the_seed_and_verified(tmp_path, monkeypatch):
    folder = written(tmp_path)
    results = simulate(folder)
    lines = list(replay_sample(folder, results, 2))
    assert len(lines) == 2
    assert all(line.endswith("verified") for line in lines)
    other = written(tmp_path / "again" if (tmp_path / "again").mkdir() is None else tmp_path)
    again = list(replay_sample(other, simulate(other), 2))
    assert [line.split(":")[0] for line in again] == [line.split(":")[0] for line in lines]
    monkeypatch.setattr(rounds, "verify", lambda path: ["money: planted"])
    third = tmp_path / "third"
    third.mkdir()
    with pytest.raises(ReplayError, match="cannot be verified: money: planted"):
        list(replay_sample(written(third), simulate(third), 1))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code, capsys.readouterr()


def test_the_command_prints_every_step_and_the_folder(tmp_path, capsys):
    folder = str(written(tmp_path))
    code, found = run(capsys, "replay", folder, "--round", "0.1.0")
    assert not code
    assert "deposit" in found.out
    assert "settled by operator" in found.out
    assert f"round folder: {tmp_path / 'replays' / '0.1.0'}" in found.out
    code, _ = run(capsys, "verify", str(tmp_path / "replays" / "0.1.0"))
    assert not code


def test_the_replay_command_of_a_planted_fault_shows_it_and_exits_1(
    off_by_one_twin,  # noqa: F811
    tmp_path,
    capsys,
):
    folder = written(tmp_path)
    codes = set()
    for replicate in range(4):  # the planted creditor receives in some of them
        code, found = run(capsys, "replay", str(folder), "--round", f"1.{replicate}.0")
        codes.add(code)
        assert ("BROKEN  twin_equals_evm" in found.out) == (code == 1)
        assert ("BROKEN  replay" in found.out) == (code == 1)
    assert 1 in codes


def test_a_finished_round_is_attacked_with_its_own_table_deposits_and_way(tmp_path, capsys):
    run(capsys, "init", str(tmp_path / "round"), "--template", "three-parties")
    with pytest.raises(rounds.NotFinished, match="no stage 'train'"):
        attack(tmp_path / "round")
    run(capsys, "run", str(tmp_path / "round"))
    code, found = run(capsys, "attack", str(tmp_path / "round"), "--json")
    assert not code
    tree = json.loads(found.out)
    settled = SettlementDocument.read(RoundFolder(tmp_path / "round"))
    assert tree["honest"]["payoffs_units"] == settled.net_positions_units
    assert tree["honest_is_best_reply"] is True
    assert tree["honest"]["total_gas"] > 300_000
