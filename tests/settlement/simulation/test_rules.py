"""What a round may be besides its game: in a token, with a quorum, caps, private rates."""

import json

import numpy as np
import pytest

from settlement.chain.quick import has_revm
from settlement.cli.main import main
from settlement.simulation import rounds
from settlement.simulation.arena import token as token_module
from settlement.simulation.arena.token import Token
from settlement.simulation.arena.world import World
from settlement.simulation.replay import replay_round
from settlement.simulation.simulating import simulate
from settlement.store.documents import SettlementDocument
from settlement.store.folder import RoundFolder

EVMS = ["py-evm", *(["pyrevm"] if has_revm() else [])]


def nets(results, cell=0):
    return dict(results.query("SELECT party, payoff_units FROM parties WHERE cell = ?", (cell,)))


@pytest.mark.parametrize("evm", EVMS)
def test_rounds_in_a_token_are_the_same_money_as_in_ether(tables, tmp_path, evm):
    tables["scenario"]["replicates"] = 1
    tables["round"] = {"asset": ["ether", "token"], "settlement": ["proof", "signatures"]}
    results = simulate(tables, folder=tmp_path, tier=evm)
    assert results.summary.holds
    assert results.summary.n_equal == 4
    for cell in range(4):
        assert nets(results, cell) == {"a": -200_000, "b": 112_500, "c": 87_500}
    assert results.query("SELECT sum(left_units) FROM rounds") == [(0,)]


def test_money_in_a_token_is_the_contracts_and_no_ether_moves(tables, tmp_path):
    """Asked of the EVM itself, in the middle of a round."""
    seen = []

    class Watching(World):
        def pass_time_until_funded(self, round_id):
            super().pass_time_until_funded(round_id)
            token = self._balance(self._evm, self.escrow)
            seen.append((token, self._evm.balance(self.escrow)))

    from settlement.simulation.play.replicates import Cell, replicate_rows
    from settlement.simulation.tables.reading import scenario_of

    tables["round"] = {"asset": "token"}
    scenario = scenario_of(tables, tmp_path / "scenario.toml")
    cell = Cell.of(0, scenario.cell(0), scenario.folder, scenario.hash)
    replicate_rows(cell, 0, Watching("auto"))
    assert seen == [(2_200_000 * 10**12, 0)]


def test_a_token_that_keeps_a_fee_is_found_by_the_comparison(tables, tmp_path, monkeypatch):
    """The twin's books take the token for an honest one; the contract does not take the deposit."""
    tables["round"] = {"asset": "token"}
    made = Token.__init__

    def keeps_a_fee(self, evm):
        made(self, evm)
        self._must("0x" + "11" * 20, self._calls.encode("set_habit", 1))

    monkeypatch.setattr(token_module.Token, "__init__", keeps_a_fee)
    results = simulate(tables, folder=tmp_path)
    messages = results.query("SELECT message FROM violations WHERE sequence = 0 AND replicate = 0")
    assert messages == [
        ("deposit: the contract says escrow: token moved other amount, the twin yes",)
    ]


@pytest.mark.parametrize("way", ["proof", "signatures"])
def test_below_the_quorum_nothing_is_settled_and_everything_goes_back_at_once(
    tables, tmp_path, way
):
    tables["round"] = {"settlement": way, "quorum": [2.2, 2.200001]}
    results = simulate(tables, folder=tmp_path)
    assert results.summary.holds
    settled = dict(results.query("SELECT cell, max(settled) FROM rounds GROUP BY cell"))
    assert settled == {0: 1, 1: 0}
    assert results.query("SELECT DISTINCT reason FROM refusals") == [
        ("escrow: quorum is not reached",)
    ]
    assert nets(results, 1) == {"a": 0, "b": 0, "c": 0}
    assert results.query("SELECT sum(left_units) FROM rounds") == [(0,)]
    again = replay_round(write(tmp_path, tables), "1.0.0")
    assert max(second for second, *_ in again.steps) < 3_600  # long before the last deadline


def write(folder, tables):
    """The tables as a scenario's file beside its results."""
    lines = []
    for name, table in tables.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in one.items()]
    (folder / "scenario.toml").write_text("\n".join(lines))
    return folder


def test_caps_bind_in_the_contract_the_clearing_and_the_replayed_folder(tables, tmp_path):
    tables["party"][1]["cap"] = 0.75
    tables["party"][2]["cap"] = 0.1  # less than its own model, which it keeps
    tables["party"][2]["private_rate"] = 0.5
    tables["round"] = {"settlement": ["proof", "signatures"], "quorum": 0.5, "asset": "token"}
    results = simulate(tables, folder=tmp_path)
    assert results.summary.holds
    assert results.summary.n_settled == 4
    models = dict(results.query("SELECT party, model_value FROM parties WHERE cell = 0"))
    assert models["b"] == pytest.approx(0.75)
    assert models["c"] == pytest.approx(0.4)
    assert nets(results, 0) == nets(results, 1)
    assert nets(results)["c"] > 87_500  # it buys nothing and sells as before
    folder = write(tmp_path, tables)
    for key in ("0.0.0", "1.1.0"):
        done = replay_round(folder, key)
        path = RoundFolder(folder / "replays" / key)
        assert SettlementDocument.read(path).net_positions_units == list(nets(results).values())
        assert rounds.verify(path.path) == []
        report = json.loads((path.stage("report") / "report.json").read_text())
        for simulated, reported in zip(done.parties, report["parties"], strict=True):
            assert reported["utility"] == pytest.approx(simulated["utility"], abs=1)


def test_a_best_reply_knows_its_cap(tables, tmp_path):
    """With a model worth nothing above its own, what it locks beyond nothing is of no use."""
    tables["party"][0] |= {"cap": 0.2, "behaviour": {"name": "best_reply", "grid": 3}}
    results = simulate(tables, folder=tmp_path)
    models = results.query("SELECT DISTINCT model_value FROM parties WHERE party = 'a'")
    assert np.allclose(models, 0.2)


def test_attack_takes_the_rates_that_the_parties_name(tmp_path, capsys):
    folder = tmp_path / "round"
    with pytest.raises(SystemExit):
        main(["init", str(folder), "--template", "three-parties"])
    config = folder / "round.toml"
    text = config.read_text()
    assert text.count("budget = 0.2") == 1
    config.write_text(text.replace("budget = 0.2", "budget = 0.2\nrate = 500000"))
    with pytest.raises(SystemExit):
        main(["run", str(folder)])
    capsys.readouterr()
    found = {}
    for name, more in (("named", []), ("given", ["--private-rate", "1"])):
        with pytest.raises(SystemExit):
            main(["attack", str(folder), "--json", *more])
        found[name] = json.loads(capsys.readouterr().out)
    assert found["named"]["private_rates"] == [0.5, 1.0, 1.0]
    assert found["named"]["honest_is_best_reply"] is False
    assert found["given"]["honest_is_best_reply"] is True
