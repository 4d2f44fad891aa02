"""Contract and twin are compared in everything: what is planted in one of them is found."""

import shutil
from copy import deepcopy
from importlib.resources import files
from itertools import chain, repeat

import numpy as np
import pytest

from settlement.chain.quick import has_revm
from settlement.escrow import artifacts, twin_ledger
from settlement.escrow.events import Deposited
from settlement.simulation.arena import world as world_module
from settlement.simulation.arena.troubles import Troubles
from settlement.simulation.arena.world import World
from settlement.simulation.play import playing
from settlement.simulation.simulating import GasUnknown, simulate
from settlement.simulation.tables.scenario import ChainTroubles
from tests.settlement.simulation.test_behaviours import round_of

EVMS = ["py-evm", *(["pyrevm"] if has_revm() else [])]


def mutated(tmp_path, file, old, new):
    """The escrow with one line changed, compiled."""
    folder = tmp_path / "contracts"
    shutil.copytree(files("contracts"), folder, dirs_exist_ok=True)
    text = (folder / file).read_text()
    assert text.count(old) >= 1
    (folder / file).write_text(text.replace(old, new, 1))
    return artifacts._compile(folder, folder / "Escrow.vy", "Escrow")


@pytest.fixture(scope="module")
def stingy_escrow(tmp_path_factory):
    """Whoever withdraws gets a unit less than its claim."""
    return mutated(
        tmp_path_factory.mktemp("stingy"),
        "Escrow.vy",
        "    # A mistake in the packed ledger",
        "    units -= 1\n    # A mistake in the packed ledger",
    )


@pytest.fixture
def off_by_one_contract(stingy_escrow, monkeypatch):
    """Every world plays on the escrow that keeps a unit."""
    monkeypatch.setattr(world_module, "artifact", lambda: stingy_escrow)


@pytest.fixture
def off_by_one_twin(monkeypatch):
    """The first creditor of a plan gets a unit too many."""
    true = twin_ledger._claims

    def claims(deposits, paid, received):
        found = true(deposits, paid, received)
        return [claim + (k == 1 and received[1] > 0) for k, claim in enumerate(found)]

    monkeypatch.setattr(twin_ledger, "_claims", claims)


@pytest.mark.parametrize("evm", EVMS)
def test_a_planted_off_by_one_in_the_contract_is_found_and_named(
    off_by_one_contract, tables, tmp_path, evm
):
    (tmp_path / "run").mkdir()
    summary = simulate(tables, folder=tmp_path / "run", tier=evm).summary
    assert not summary.holds
    broken = {verdict.that: verdict for verdict in summary.verdicts if not verdict.holds}
    assert set(broken) == {"twin_equals_evm"}
    assert "fairround replay DIR --round 0.0.0" in summary.as_text("DIR")
    assert summary.n_equal == 0


def test_a_planted_off_by_one_in_the_twin_is_found_and_named(off_by_one_twin, tables, tmp_path):
    tables["round"]["settlement"] = "signatures"  # by proof the twin itself would refuse
    results = simulate(tables, folder=tmp_path)
    broken = {verdict.that for verdict in results.summary.verdicts if not verdict.holds}
    assert {"twin_equals_evm", "conservation"} <= broken
    assert "fairround replay DIR --round 0.0.0" in results.summary.as_text("DIR")
    messages = results.query("SELECT message FROM violations WHERE property = 'twin_equals_evm'")
    assert any("the twin" in message for (message,) in messages)


def test_another_sentence_of_a_refusal_is_found(tmp_path, monkeypatch):
    made = mutated(tmp_path, "rounds.vy", '"escrow: round cannot be settled"', '"escrow: no"')
    monkeypatch.setattr(world_module, "artifact", lambda: made)
    world = World("auto")
    with pytest.raises(AssertionError):
        round_of(world, "proof", outsiders=["bystander"])
    (found,) = world.notes.disagreements
    assert found.rule == "twin_equals_evm"
    assert "the contract says escrow: no, the twin escrow: round cannot be settled" in found.message


def test_another_event_is_found(tmp_path, monkeypatch):
    made = mutated(
        tmp_path,
        "Escrow.vy",
        "log Closed(round_id=round_id, party=party, payout",
        ("log Closed(round_id=round_id, party=party + 1, payout"),
    )
    monkeypatch.setattr(world_module, "artifact", lambda: made)
    world = World("auto")
    with pytest.raises(AssertionError):
        round_of(world, "proof", "free_rider")
    assert {found.rule for found in world.notes.disagreements} == {"twin_equals_evm"}
    assert "the contract logs" in world.notes.disagreements[0].message


def test_money_that_leaks_out_of_the_twin_breaks_conservation(world, monkeypatch):
    true = world_module.EscrowTwin.deposit

    def deposit(self, call, *arguments):
        true(self, call, *arguments)
        self.balance_wei += 1

    monkeypatch.setattr(world_module.EscrowTwin, "deposit", deposit)
    with pytest.raises(AssertionError):
        round_of(world, "proof")
    assert {"conservation", "twin_equals_evm"} <= {f.rule for f in world.notes.disagreements}


def test_an_event_without_money_breaks_conservation(world, monkeypatch):
    true = world_module.EscrowTwin.close

    def close(self, call, round_id, party, agreement, payout):
        true(self, call, round_id, party, agreement, payout)
        self.balance_wei -= 10**12

    monkeypatch.setattr(world_module.EscrowTwin, "close", close)
    with pytest.raises(AssertionError):
        round_of(world, "proof", "free_rider")
    assert "conservation" in {f.rule for f in world.notes.disagreements}


def test_a_debtor_beyond_its_deposit_is_an_overdraft(world, monkeypatch):
    real = playing._Round.take_out

    def take_out(self):
        real(self)
        self.claims_units = (-1, *self.claims_units[1:])

    monkeypatch.setattr(playing._Round, "take_out", take_out)
    with pytest.raises(AssertionError):
        round_of(world, "proof")
    assert "no_overdraft" in {f.rule for f in world.notes.disagreements}


def steps(world):
    return [(time, step, sender, reason) for time, step, sender, reason in world.notes.steps]


def troubled(world, monkeypatch, way="proof", **chances):
    troubles = Troubles(ChainTroubles(**chances), np.random.default_rng(1), 3_600)
    real = world.reset
    monkeypatch.setattr(world, "reset", lambda names, _, asset: real(names, troubles, asset))
    return round_of(world, way), troubles


@pytest.mark.parametrize("way", ["proof", "signatures"])
def test_every_send_may_be_undone_repeated_and_tried_without_gas(world, monkeypatch, way):
    result, troubles = troubled(
        world, monkeypatch, way, reorganisations=1.0, lost_replies=1.0, reverted_sends=1.0
    )
    assert result.nets_units == (-200_000, 112_500, 87_500)
    n_sends = 1 + 3 + 1 + 2  # a has nothing to take out
    expected = {"reorganisations": n_sends, "lost_replies": n_sends, "reverted_sends": n_sends}
    assert troubles.met == expected
    assert "reorganisations 7" in troubles.in_words()
    # Of what was undone nothing is left: each event once.
    deposits = [event for event in world.twin.events if isinstance(event, Deposited)]
    assert len(deposits) == 3


def test_a_reorganised_block_leaves_no_trace_in_either(world):
    world.reset(["operator", "account 0"])
    before = deepcopy((world.twin.rounds, world.twin.events, world.now))
    undo = world._remember()
    round_of(world, "proof")
    undo()
    assert (world.twin.rounds, world.twin.events) == before[:2]


def test_late_deposits_miss_by_a_second_or_arrive_in_the_last_one(world, monkeypatch):
    result, _ = troubled(world, monkeypatch, late_by_a_second=1.0)
    deadline = 3_600
    arrived = {
        time - deadline: reason
        for time, step, _, reason in steps(world)
        if step == "deposit" and time >= deadline
    }
    assert set(arrived) <= {0, 1, 2, 3}
    assert all(reason is None for late, reason in arrived.items() if late == 0)
    assert all(
        reason == "escrow: funding deadline passed" for late, reason in arrived.items() if late > 0
    )
    assert arrived
    assert sum(result.nets_units) == 0


@pytest.mark.parametrize("way", ["proof", "signatures"])
def test_a_settlement_that_misses_the_deadline_by_a_second_gives_every_deposit_back(
    world, monkeypatch, way
):
    troubles = Troubles(ChainTroubles(late_by_a_second=1.0), np.random.default_rng(0), 3_600)
    real = world.reset
    monkeypatch.setattr(world, "reset", lambda names, _, asset: real(names, troubles, asset))
    for late_s, settled in ((1, False), (0, True)):
        # Deposits in time, then every settlement late: by a second, or in the last one.
        late = chain([None] * 3, repeat(late_s))
        monkeypatch.setattr(troubles, "misses_deadline_by_s", late.__next__)
        result = round_of(world, way)
        assert result.settled is settled
        reasons = {reason for _, step, _, reason in steps(world) if step == "settle"}
        assert ("escrow: round has expired" in reasons) is not settled
        assert result.nets_units == ((-200_000, 112_500, 87_500) if settled else (0, 0, 0))
        assert result.left_units == (0, 0, 0)


def test_delays_only_move_the_clock(world, monkeypatch):
    calm = round_of(world, "proof")
    end = world.now
    slow, troubles = troubled(world, monkeypatch, fee_spikes=1.0)
    assert slow.nets_units == calm.nets_units
    assert world.now > end + 100
    assert troubles.met["fee_spikes"] == 7


def test_a_world_is_clean_after_any_round(world):
    first = round_of(world, "proof")
    for way in ("signatures", "proof"):
        round_of(world, way, "replicates", "never_funds", operator="vanishing_operator")
    assert round_of(world, "proof").nets_units == first.nets_units
    assert [e.round_id for e in world.twin.events] == [1] * len(world.twin.events)


def test_both_evms_play_the_same_rounds_and_the_twin_alone_too(mixed, tmp_path):
    mixed["scenario"]["replicates"] = 4
    found = []
    for tier in (*EVMS, "twin"):
        folder = tmp_path / tier
        folder.mkdir()
        results = simulate(mixed, folder=folder, tier=tier)
        assert results.summary.holds
        found.append([results.query(f"SELECT * FROM {t}") for t in ("parties", "transfers")])
    assert all(rows == found[0] for rows in found)


def test_gas_is_asked_of_an_evm_that_knows_it(tables, tmp_path):
    tables["chain"] = {"gas": True}
    with pytest.raises(GasUnknown, match="expected py-evm"):
        simulate(tables, folder=tmp_path, tier="twin")


def test_gas_is_counted_where_it_is_exact(tables, tmp_path):
    tables["chain"] = {"gas": True, "gas_price_gwei": 10.0}
    results = simulate(tables, folder=tmp_path)
    assert results.summary.tier == "py-evm"
    used = dict(results.query("SELECT step, max(gas_used) FROM gas GROUP BY 1"))
    assert 21_000 < used["withdraw"] < used["settle"]
    with_gas = results.query("SELECT utility, gas_units FROM parties WHERE replicate = 0")
    for (utility, gas_units), free in zip(with_gas, (600_000, 1_112_500, 1_087_500), strict=True):
        assert gas_units > 0
        assert utility == pytest.approx(free - gas_units)
