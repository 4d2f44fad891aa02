"""What each behaviour does in a round of the three parties, and how others add theirs."""

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from settlement.simulation.behaviours import registry
from settlement.simulation.behaviours.behaviour import (
    OperatorBehaviour,
    OutsiderBehaviour,
    PartyBehaviour,
    Proposal,
)
from settlement.simulation.behaviours.others.honest_operator import HonestOperator
from settlement.simulation.behaviours.parties.colluding_group import ColludingGroup
from settlement.simulation.behaviours.parties.honest import Honest
from settlement.simulation.behaviours.registry import (
    BehaviourError,
    behaviour_of,
    known_behaviours,
)
from settlement.simulation.games.pieces import ExactPieces
from settlement.simulation.play.playing import Cast, Member, play
from settlement.simulation.tables.scenario import RoundRules
from tests.settlement.simulation.conftest import THREE

WALLETS = (200_000, 1_000_000, 1_000_000)
WAYS = ("proof", "signatures")


def made(value, role="party"):
    return behaviour_of(value, role)


def round_of(
    world, way, *behaviours, operator="honest_operator", outsiders=(), rate=1.0, last=((),) * 3
):
    behaviours = [made(b) for b in behaviours] + [Honest()] * (3 - len(behaviours))
    members = tuple(
        Member("abc"[k], "abc"[k], behaviours[k], 1 << k, rate, WALLETS[k], last[k])
        for k in range(3)
    )
    cast = Cast(
        members,
        made(operator, "operator"),
        tuple(made(o, "outsider") for o in outsiders),
        ExactPieces(np.array(THREE)),
        RoundRules(settlement=way),
        None,
    )
    result = play(world, cast, np.random.default_rng(0))
    assert world.notes.disagreements == []
    return result


def refusals(world):
    return [reason for _, _, reason in world.notes.refusals]


@pytest.mark.parametrize("way", WAYS)
def test_honest_parties_settle_the_example_of_the_readme(world, way):
    result = round_of(world, way)
    assert result.settled
    assert result.settled_by == "operator"
    assert result.nets_units == (-200_000, 112_500, 87_500)
    assert [round(p.model_value, 9) for p in result.parties] == [0.8, 1.0, 1.0]
    assert [p.utility for p in result.parties] == pytest.approx([600_000, 1_112_500, 1_087_500])
    assert result.left_units == (0, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_party_that_never_funds_has_no_budget_and_the_round_goes_on(world, way):
    result = round_of(world, way, "never_funds")
    assert result.settled
    assert result.deposits_units == (0, 1_000_000, 1_000_000)
    assert result.parties[0].payoff_units >= 0
    assert world.now > world.twin.rounds[1].terms.funding_deadline  # it did not even close


@pytest.mark.parametrize("way", WAYS)
def test_funding_and_hiding_lock_shares(world, way):
    result = round_of(world, way, {"name": "funds_share", "share": 0.25}, "hides_budget")
    assert result.deposits_units == (50_000, 500_000, 1_000_000)


def test_who_leaves_after_funding_stops_signatures_but_no_proof(world):
    result = round_of(world, "proof", "honest", "leaves_after_funding")
    assert result.settled
    assert result.withdrawn_units[1] == 1_112_500  # paid out by somebody else
    assert ("pay out", "operator") in [(step, who) for _, step, who, _ in world.notes.steps]
    result = round_of(world, "signatures", "honest", "leaves_after_funding")
    assert not result.settled
    assert result.withdrawn_units == WALLETS


@pytest.mark.parametrize("revoking", [False, True])
def test_refusing_and_revoking_stop_signatures_but_no_proof(world, revoking):
    behaviour = {"name": "refuses_to_sign", "revoking": revoking}
    assert round_of(world, "proof", behaviour).settled
    result = round_of(world, "signatures", behaviour)
    assert not result.settled
    assert result.withdrawn_units == WALLETS
    expected = ["escrow: not signed by party"] if revoking else []
    assert refusals(world)[:1] == expected


def test_replicating_enters_more_accounts_with_the_same_pieces(world):
    result = round_of(world, "proof", {"name": "replicates", "times": 3})
    assert [(s.party, s.entry.pieces, s.entry.deposit_units) for s in result.seats[:3]] == [
        (0, 1, 66_668),
        (0, 1, 66_666),
        (0, 1, 66_666),
    ]
    whole = round_of(world, "proof", {"name": "replicates", "times": 2, "whole_budgets": True})
    assert whole.parties[0].deposit_units == 400_000


def test_splitting_shares_pieces_and_budget(world):
    behaviour = {"name": "splits_in_two", "first_share": 0.75}
    members = (
        Member("ab", "ab", made(behaviour), 0b011, 1.0, 1_000, ()),
        Member("c", "c", Honest(), 0b100, 1.0, 1_000_000, ()),
    )
    game = ExactPieces(np.array(THREE))
    cast = Cast(members, HonestOperator(), (), game, RoundRules(), None)
    result = play(world, cast, np.random.default_rng(0))
    entries = [(s.entry.pieces, s.entry.deposit_units) for s in result.seats]
    assert entries == [(0b001, 750), (0b010, 250), (0b100, 1_000_000)]
    assert result.parties[0].model_value >= game.value(0b011)


def test_withholding_brings_fewer_pieces_and_keeps_the_own_model(world):
    result = round_of(world, "proof", "withholds_pieces")
    assert result.seats[0].entry.pieces == 0
    assert result.parties[0].own_value == 0.2
    assert result.parties[0].model_value >= 0.2


def test_a_free_rider_gets_nothing_for_nothing(world):
    result = round_of(world, "proof", "free_rider")
    assert result.parties[0].payoff_units == 0
    assert result.parties[0].model_value == 0.2  # its own, not the others'


def test_a_colluding_group_pools_its_money_with_whoever_owes_most_and_signs_last(world):
    group = {"name": "colluding_group", "group": "x"}
    result = round_of(world, "signatures", group, group)
    # a owes 0.8 for everything, b 0.5; together they have 1.2.
    assert result.deposits_units[:2] == (800_001, 399_999)
    assert result.settled
    assert not round_of(world, "signatures", group, group, "refuses_to_sign").settled


def test_a_colluding_group_signs_after_all_others_and_only_what_pays_it_as_a_whole(
    world, monkeypatch
):
    seen = []
    real = ColludingGroup.signs
    monkeypatch.setattr(ColludingGroup, "signs", lambda self, p: seen.append(p) or real(self, p))
    group = {"name": "colluding_group", "group": "x"}
    assert round_of(world, "signatures", group, group).settled
    assert {proposal.is_last for proposal in seen} == {True}
    gain = sum(proposal.gain for proposal in seen[:2])
    assert all(proposal.group_gain == pytest.approx(gain) for proposal in seen[:2])
    seen.clear()
    round_of(world, "signatures", group, group, "refuses_to_sign")
    assert {proposal.is_last for proposal in seen} == {False}
    plan = Proposal(is_right=True, gain=-5.0, group_gain=1.0, is_last=True)
    assert real(ColludingGroup(), plan)  # one loses, the group gains
    for change in ({"group_gain": -1.0}, {"is_last": False}, {"is_right": False}):
        assert not real(ColludingGroup(), replace(plan, **change))


def test_best_reply_hides_what_is_not_worth_paying(world):
    greedy = {"name": "best_reply", "grid": 3}
    assert round_of(world, "proof", greedy).deposits_units[0] == 200_000
    assert round_of(world, "proof", greedy, rate=0.4).deposits_units[0] == 0


LIES = ("amount", "creditor", "extra", "missing", "factor", "flow", "own", "any")


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_a_figure_is_refused_and_an_honest_party_settles(world, lie):
    result = round_of(world, "proof", operator={"name": "lying_operator", "about": lie})
    assert len(refusals(world)) == 1
    assert result.settled_by == "a"
    assert result.nets_units == (-200_000, 112_500, 87_500)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_not_signed_and_a_forged_signature_is_refused(world, lie):
    result = round_of(world, "signatures", operator={"name": "lying_operator", "about": lie})
    assert refusals(world)[0] in (
        "escrow: not signed by party",
        "escrow: debtor exceeds deposit",
        "escrow: party pays and receives",
    )
    assert result.nets_units == (-200_000, 112_500, 87_500)


def test_a_lie_that_nobody_looks_at_is_signed_and_hurts(world):
    blind = {"name": "honest", "looks": False}
    operator = {"name": "lying_operator", "about": "creditor", "favours": 2}
    result = round_of(world, "signatures", blind, blind, blind, operator=operator)
    assert result.settled_by == "operator"
    assert result.nets_units != (-200_000, 112_500, 87_500)
    assert sum(result.nets_units) == 0


def test_an_invented_game_gets_no_money_of_those_that_look(world):
    operator = {"name": "lying_operator", "about": "game", "favours": 0}
    result = round_of(world, "proof", operator=operator)
    assert not result.game_is_true
    assert result.deposits_units == (0, 0, 0)
    blind = {"name": "honest", "looks": False}
    result = round_of(world, "proof", blind, blind, operator=operator)
    assert result.deposits_units == (200_000, 1_000_000, 0)
    assert result.nets_units[0] > -200_000
    assert result.nets_units[1] < 112_500
    assert not round_of(world, "signatures", blind, blind, operator=operator).settled


@pytest.mark.parametrize("way", WAYS)
def test_without_the_operator_a_party_settles(world, way):
    result = round_of(world, way, operator="vanishing_operator")
    assert result.settled_by == "a"
    assert result.nets_units == (-200_000, 112_500, 87_500)


@pytest.mark.parametrize("way", WAYS)
def test_a_bystander_who_is_first_changes_nothing_but_who_paid_the_gas(world, way):
    result = round_of(world, way, outsiders=["bystander"])
    assert result.settled_by == "outsider 0"
    assert result.nets_units == (-200_000, 112_500, 87_500)
    assert refusals(world) == ["escrow: round cannot be settled"]


def test_every_behaviour_says_what_it_does_in_one_sentence():
    for kind in known_behaviours().values():
        assert kind.help().endswith((".", "all."))
        assert kind.role in ("party", "operator", "outsider")


class Generous(PartyBehaviour):
    """Locks one unit more than it has to."""

    name: ClassVar[str] = "generous"


@pytest.fixture
def installed(monkeypatch):
    def install(**found):
        points = [EntryPoint(name, value, registry.GROUP) for name, value in found.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        known_behaviours.cache_clear()

    yield install
    known_behaviours.cache_clear()


def test_an_installed_package_adds_its_own(installed):
    installed(generous=f"{__name__}:Generous")
    assert type(made("generous")).__name__ == "Generous"


def test_an_entry_point_that_is_no_behaviour_is_refused(installed):
    installed(dice="random:Random")
    with pytest.raises(BehaviourError, match="expected a subclass of Behaviour"):
        known_behaviours()


def test_an_entry_point_may_not_take_a_name_that_is_taken(installed, monkeypatch):
    monkeypatch.setattr(Generous, "name", "honest")
    installed(generous=f"{__name__}:Generous")
    with pytest.raises(BehaviourError, match="as another behaviour is"):
        known_behaviours()


def test_the_bases_are_honest_in_everything():
    assert OperatorBehaviour().game("game", None) == "game"
    assert not OutsiderBehaviour().settles_first()
