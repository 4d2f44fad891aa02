from __future__ import annotations

import hashlib

import pytest

from settlement.escrow.events import RoundState, Settled
from settlement.money.terms import MAX_AMOUNT_UNITS, Transfer


def raw(*transfers):
    """Packed transfers that `Transfer` itself would refuse to make."""
    return b"".join(
        debtor.to_bytes(2, "big") + creditor.to_bytes(2, "big") + amount.to_bytes(8, "big")
        for debtor, creditor, amount in transfers
    )


class RawPlan:
    """A plan of any bytes, which all parties have been talked into signing."""

    def __init__(self, reference, packed):
        self.round = reference
        self.packed = packed
        self.plan_id = hashlib.sha256(reference.key + packed).digest()


def agreed(arena, packed, *units, **changes):
    round_id = arena.funded(*units, **changes)
    arena.endorse(RawPlan(arena.client.reference(round_id), packed))
    return round_id


def test_settle_updates_claims_and_state(arena):
    round_id = agreed(arena, raw((0, 2, 7), (1, 2, 1), (0, 3, 3)), 10, 5, 0, 1)
    arena.act(arena.outsider, "settle", round_id, raw((0, 2, 7), (1, 2, 1), (0, 3, 3)))
    assert [arena.client.claim(round_id, party) for party in range(4)] == [0, 4, 8, 4]
    assert arena.client.state(round_id) is RoundState.SETTLED


def test_settle_emits_settled(arena):
    packed = raw((0, 1, 4))
    round_id = agreed(arena, packed, 10, 5)
    plan_id = hashlib.sha256(arena.client.reference(round_id).key + packed).digest()
    assert arena.act(arena.outsider, "settle", round_id, packed) == [
        Settled(round_id, plan_id, (Transfer(0, 1, 4),))
    ]


def test_settle_takes_an_empty_plan_and_gives_all_deposits_back(arena):
    round_id = agreed(arena, b"", 10, 5)
    arena.act(arena.outsider, "settle", round_id, b"")
    assert [arena.withdraw(round_id, party) for party in range(2)] == [10, 5]


def test_settle_reverts_when_nothing_is_agreed(arena, refused):
    round_id = arena.funded(10, 5)
    with refused("no plan to carry out"):
        arena.act(arena.operator, "settle", round_id, raw((0, 1, 1)))


def test_settle_reverts_when_the_plan_is_another(arena, refused):
    round_id = agreed(arena, raw((0, 1, 4)), 10, 5)
    for packed in (raw((0, 1, 5)), raw((1, 0, 4)), raw((0, 1, 4), (0, 1, 4)), b""):
        with refused("not the agreed plan"):
            arena.act(arena.operator, "settle", round_id, packed)


def test_settle_happens_once(arena, refused):
    packed = raw((0, 1, 4))
    round_id = agreed(arena, packed, 10, 5)
    arena.act(arena.outsider, "settle", round_id, packed)
    with refused("round cannot be settled"):
        arena.act(arena.outsider, "settle", round_id, packed)


def test_settle_is_possible_until_the_last_second(arena, refused):
    packed = raw((0, 1, 4))
    in_time, late = agreed(arena, packed, 10, 5), agreed(arena, packed, 10, 5)
    arena.chain.advance_to(arena.client.terms(in_time).settlement_deadline)
    arena.act(arena.outsider, "settle", in_time, packed)
    arena.chain.advance_to(arena.client.terms(late).settlement_deadline + 1)
    with refused("round has expired"):
        arena.act(arena.outsider, "settle", late, packed)


@pytest.mark.parametrize("name", ["settle", "settle_large"])
@pytest.mark.parametrize(
    ("transfers", "reason"),
    [
        ([(0, 5, 1)], "no such party"),
        ([(5, 0, 1)], "no such party"),
        ([(0, 7, 1)], "no such party"),
        ([(0, 8, 1)], "no such party"),
        ([(0, 63, 1)], "no such party"),
        ([(0, 64, 1)], "no such party"),
        ([(2**15, 0, 1)], "no such party"),
        ([(0, 2**15 + 1, 1)], "no such party"),
        ([(2**16 - 1, 2**16 - 1, 1)], "no such party"),
        ([(0, 1, 0)], "amount out of range"),
        ([(0, 1, 2**63)], "amount out of range"),
        ([(0, 1, 2**64 - 1)], "amount out of range"),
        ([(0, 1, 2**63 - 1), (0, 1, 1)], "amount out of range"),
        ([(3, 1, 2**64 - 1), (3, 1, 2**64 - 1)], "amount out of range"),
        ([(0, 1, 11)], "debtor exceeds deposit"),
        ([(0, 1, 5), (0, 2, 6)], "debtor exceeds deposit"),
        ([(3, 1, 1)], "debtor exceeds deposit"),
        ([(4, 1, 31)], "debtor exceeds deposit"),
        ([(0, 1, 2**63 - 1)], "debtor exceeds deposit"),
        ([(1, 2, 5), (0, 1, 5)], "party pays and receives"),
        ([(0, 1, 5), (1, 2, 5)], "party pays and receives"),
        ([(0, 1, 5), (1, 2, 21)], "debtor exceeds deposit"),
        ([(4, 1, 30), (0, 4, 1)], "party pays and receives"),
        ([(0, 0, 1)], "party pays and receives"),
        ([(4, 0, 30), (0, 4, 10)], "party pays and receives"),
    ],
)
def test_settle_reverts_when_a_transfer_breaks_a_rule(arena, refused, name, transfers, reason):
    packed = raw(*transfers)
    round_id = agreed(arena, packed, 10, 20, 0, 0, 30)
    with refused(reason):
        arena.act(arena.outsider, name, round_id, packed)


@pytest.mark.parametrize("name", ["settle", "settle_large"])
@pytest.mark.parametrize("n_bytes", [1, 11, 13])
def test_settle_reverts_when_transfers_are_torn(arena, refused, name, n_bytes):
    packed = bytes(n_bytes)
    round_id = agreed(arena, packed, 10, 5)
    with refused("not 12 bytes a transfer"):
        arena.act(arena.outsider, name, round_id, packed)


@pytest.mark.parametrize("name", ["settle", "settle_large"])
def test_settle_moves_everything_that_63_bits_hold(arena, name):
    packed = raw((1, 2, MAX_AMOUNT_UNITS))
    round_id = agreed(arena, packed, 0, MAX_AMOUNT_UNITS, 0, 0, unit_scale=1)
    arena.act(arena.outsider, name, round_id, packed)
    claims = [arena.client.claim(round_id, party) for party in range(4)]
    assert claims == [0, 0, MAX_AMOUNT_UNITS, 0]
    assert arena.withdraw(round_id, 2) == MAX_AMOUNT_UNITS


def test_settle_serves_every_lane_of_every_slot(arena):
    transfers = [(0, 8, 1), (1, 7, 2), (2, 6, 3), (3, 5, 4), (0, 4, 5), (3, 8, 6)]
    packed = raw(*transfers)
    round_id = agreed(arena, packed, *[10] * 9)
    arena.act(arena.outsider, "settle", round_id, packed)
    claims = [arena.client.claim(round_id, party) for party in range(9)]
    assert claims == [4, 8, 7, 0, 15, 14, 13, 12, 17]


def test_settling_one_round_leaves_the_others_alone(arena):
    other = arena.funded(10, 5)
    arena.settled(10, 5, transfers=[(0, 1, 4)])
    assert [arena.client.claim(other, party) for party in range(2)] == [10, 5]
    assert arena.client.state(other) is RoundState.FUNDING
