"""Attacks by name; others live where their function is tested, see contracts/README.md."""

from __future__ import annotations

import random

import pytest

from settlement.chain.errors import Reverted
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundState
from settlement.escrow.typed_data import NO_TABLE, sign_plan
from settlement.money.terms import RoundReference, SettlementPlan, Transfer
from tests.contracts.arena import Arena
from tests.contracts.optimistic import Case, table_of, three_parties


def test_an_operator_alone_cannot_move_a_unit(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 1))
    signature = sign_plan(plan, arena.operator)
    common = (round_id, NO_TABLE, plan.plan_id)
    with refused("signer is not next party"):
        arena.act(
            arena.operator,
            "endorse",
            *common,
            signature * 2,
            twin=(*common, [arena.operator.address] * 2),
        )
    with refused("no plan to carry out"):
        arena.act(arena.operator, "settle", round_id, plan.encode())


def test_all_parties_but_one_cannot_move_a_unit(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan = arena.plan(round_id, (0, 1, 1))
    common = (round_id, NO_TABLE, plan.plan_id)
    two = arena.parties[:2]
    signatures = b"".join(sign_plan(plan, account) for account in two)
    arena.act(
        arena.outsider, "endorse", *common, signatures, twin=(*common, [a.address for a in two])
    )
    with refused("no plan to carry out"):
        arena.act(arena.outsider, "settle", round_id, plan.encode())


def test_signatures_of_one_escrow_do_not_fit_another(arena):
    """Same chain, same round number, same terms, same parties: another contract."""
    other = Arena()
    twin_of_it = EscrowClient(
        other.chain, other.send(other.outsider, None, _creation(other)).contract_address
    )
    assert twin_of_it.address != other.client.address
    round_id = other.funded(10, 5)
    plan = SettlementPlan(
        RoundReference(other.chain.chain_id, twin_of_it.address, round_id, b"\x11" * 32),
        (Transfer(0, 1, 1),),
    )
    data = other.client.interface.encode(
        "endorse", round_id, NO_TABLE, plan.plan_id, sign_plan(plan, other.parties[0])
    )
    with pytest.raises(Reverted, match="escrow: signer is not next party"):
        other.send(other.outsider, other.client.address, data)


def _creation(arena):
    from settlement.escrow.artifacts import artifact

    judge = arena.client._read("JUDGE")
    return artifact().bytecode + bytes(12) + bytes.fromhex(judge[2:])


def test_an_escrow_without_a_judge_cannot_be_made(arena):
    from settlement.escrow.artifacts import artifact

    creation = artifact().bytecode + bytes(12) + bytes.fromhex(arena.outsider.address[2:])
    with pytest.raises(Reverted, match="escrow: judge is not a contract"):
        arena.send(arena.outsider, None, creation)


def test_a_party_that_never_funds_costs_the_others_nothing(arena):
    case = Case(arena, [0, 10**6, 10**6], [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]).commit().propose()
    case.close_window()
    case.settle()
    claims = case.claims()
    assert sum(claims) == 2 * 10**6
    assert claims[0] >= 0


def test_a_vanished_operator_locks_nobody_in(arena):
    """Before the table, after the table, after the proposal."""
    cases = [three_parties(arena) for _ in range(3)]
    cases[1].commit()
    cases[2].commit().propose()
    for case in cases:
        arena.expire(case.round_id)
    for case in cases:
        assert [arena.withdraw(case.round_id, party) for party in range(3)] == case.deposits


def test_an_operator_that_challenges_itself_only_gives_deposits_back(arena):
    case = three_parties(arena).commit()
    case.propose(packed=arena.plan(case.round_id, (0, 1, 7)).encode())
    assert case.challenge(by=arena.operator)
    assert [arena.withdraw(case.round_id, party) for party in range(3)] == case.deposits


def test_net_positions_are_right_at_all_remainders(arena):
    """Exchange rates that leave every kind of remainder; the judge accepts the one rounding."""
    values = table_of([3, 5, 7, 11], 4)
    for rate in (1, 2, 3, 7, 10, 97, 1_000_003, 2**48):
        case = Case(arena, [rate] * 4, values, rate=rate).commit().propose()
        assert case.challenge() == 0
        case.close_window()
        case.settle()
        assert arena.client.state(case.round_id) is RoundState.SETTLED


@pytest.mark.parametrize("seed", range(3))
def test_one_unit_moved_between_any_two_parties_is_disproved(arena, seed):
    generator = random.Random(seed)
    case = three_parties(arena).commit()
    nets = list(case.nets)
    one, other = generator.sample(range(1, 3), 2)
    nets[one] += 1
    nets[other] -= 1
    transfers = [(0, party, nets[party]) for party in (1, 2)]
    case.propose(packed=arena.plan(case.round_id, *transfers).encode())
    assert case.challenge()
    assert arena.client.state(case.round_id) is RoundState.VOID
