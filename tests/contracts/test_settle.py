from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from eth_account import Account

from settlement.escrow.events import RoundState, Settled
from settlement.money.terms import MAX_AMOUNT_UNITS, Transfer
from tests.contracts.arena import raw


class RawPlan:
    """A plan of any bytes, for what `Transfer` would refuse to make."""

    def __init__(self, reference, packed):
        self.round = reference
        self.packed = packed

    def encode(self):
        return self.packed


def settle_raw(arena, round_id, packed, name):
    """Bring bytes that nobody can have signed: every rule comes before the signatures."""
    plan = RawPlan(arena.reference(round_id), packed)
    return arena.settle(plan, name=name, signatures=[bytes(65)] * 5, twin=[None] * 5)


def test_settle_updates_claims_and_state(arena):
    round_id = arena.funded(10, 5, 0, 1)
    arena.settle(arena.plan(round_id, (0, 2, 7), (1, 2, 1), (0, 3, 3)))
    assert arena.claims(round_id) == [0, 4, 8, 4]
    assert arena.client.state(round_id) is RoundState.SETTLED


def test_settle_emits_settled(arena):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    plan_id = hashlib.sha256(arena.reference(round_id).key + plan.encode()).digest()
    assert plan.plan_id == plan_id
    assert arena.settle(plan) == [Settled(round_id, plan_id, (Transfer(0, 1, 4),))]


def test_settle_takes_an_empty_plan_and_gives_all_deposits_back(arena):
    round_id = arena.funded(10, 5)
    arena.settle(arena.plan(round_id))
    assert [arena.withdraw(round_id, party) for party in range(2)] == [10, 5]


def test_settle_reverts_when_a_signature_is_missing(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    signatures = arena.signatures(arena.consent(plan))
    parties = arena.twin.rounds[round_id].parties
    for k in range(3):
        with refused("a signature is missing"):
            arena.settle(plan, signatures=signatures[:k], twin=parties[:k])
    with refused("a signature is missing"):
        arena.act(
            arena.outsider,
            "settle",
            *(round_id, plan.encode(), b"".join(signatures)[:-1]),
            twin=(round_id, plan.encode(), parties[:2]),
        )


def test_settle_reverts_when_a_signature_is_of_somebody_else(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    first, second, third = arena.parties[:3]
    stranger = Account.from_key(b"\x01" * 32)
    for signers in (
        [second, first, third],
        [first, first, third],
        [first, second, stranger],
        [arena.operator, second, third],
    ):
        signatures = arena.signatures(arena.consent(plan), signers)
        with refused("not signed by party"):
            twin = [signer.address for signer in signers]
            arena.settle(plan, signatures=signatures, twin=twin)


@pytest.mark.parametrize("figure", ["round_id", "chain_id", "escrow", "agreement"])
def test_settle_refuses_signatures_for_another_place(arena, refused, figure):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    other = {
        "round_id": round_id + 1,
        "chain_id": 1,
        "escrow": arena.outsider.address,
        "agreement": bytes(32),
    }
    elsewhere = replace(plan, round=replace(plan.round, **{figure: other[figure]}))
    consent = replace(arena.consent(plan), plan=elsewhere)
    with refused("not signed by party"):
        arena.settle(plan, signatures=arena.signatures(consent), twin=[None, None])


@pytest.mark.parametrize(
    "change",
    [
        {"game_hash": bytes(32)},
        {"deposits_hash": bytes(32)},
        {"deadline": 1},
        {"revocations": 1},
        {"asset": "0x" + "11" * 20},
        {"unit_scale": 999},
    ],
)
def test_settle_refuses_signatures_that_name_another_figure(arena, refused, change):
    """A lying operator shows its victims other deposits, another game, another deadline."""
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    consent = replace(arena.consent(plan), **change)
    with refused("not signed by party"):
        arena.settle(plan, signatures=arena.signatures(consent), twin=[None, None])


@pytest.mark.parametrize(
    "other", [[(0, 1, 5)], [(1, 0, 4)], [], [(0, 1, 4), (0, 1, 4)], [(0, 1, 1), (0, 1, 3)]]
)
def test_settle_refuses_signatures_for_another_plan(arena, refused, other):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    consent = arena.consent(arena.plan(round_id, *other))
    with refused("not signed by party"):
        arena.settle(plan, signatures=arena.signatures(consent), twin=[None, None])


def test_settle_happens_once(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    arena.settle(plan)
    with refused("round cannot be settled"):
        arena.settle(plan)


def test_settle_reverts_when_the_round_is_settled_by_proof(arena, refused):
    round_id, _ = arena.three_parties()
    for name in ("settle", "settle_large"):
        with refused("settled the other way"):
            arena.settle(arena.plan(round_id, (0, 1, 4)), name=name)


def test_settle_reverts_when_there_is_no_such_round(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    signatures, packed = b"".join(arena.signatures(arena.consent(plan))), plan.encode()
    for other in (0, 10**6):
        with refused("round cannot be settled"):
            arena.act(arena.outsider, "settle", other, packed, signatures, twin=(other, packed, []))


def test_settle_is_possible_until_the_last_second(arena, refused):
    in_time, late = arena.funded(10, 5), arena.funded(10, 5)
    arena.chain.advance_to(arena.client.terms(in_time).settlement_deadline)
    arena.settle(arena.plan(in_time, (0, 1, 4)))
    arena.chain.advance_to(arena.client.terms(late).settlement_deadline + 1)
    with refused("round has expired"):
        arena.settle(arena.plan(late, (0, 1, 4)))


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
    round_id = arena.funded(10, 20, 0, 0, 30)
    with refused(reason):
        settle_raw(arena, round_id, raw(*transfers), name)


@pytest.mark.parametrize("name", ["settle", "settle_large"])
@pytest.mark.parametrize("n_bytes", [1, 11, 13])
def test_settle_reverts_when_transfers_are_torn(arena, refused, name, n_bytes):
    round_id = arena.funded(10, 5)
    with refused("not 12 bytes a transfer"):
        settle_raw(arena, round_id, bytes(n_bytes), name)


def test_settle_moves_everything_that_63_bits_hold(arena):
    round_id = arena.funded(0, MAX_AMOUNT_UNITS, 0, 0, unit_scale=1)
    arena.settle(arena.plan(round_id, (1, 2, MAX_AMOUNT_UNITS)))
    assert arena.claims(round_id) == [0, 0, MAX_AMOUNT_UNITS, 0]
    assert arena.withdraw(round_id, 2) == MAX_AMOUNT_UNITS


def test_settle_serves_every_lane_of_every_slot(arena):
    transfers = [(0, 8, 1), (1, 7, 2), (2, 6, 3), (3, 5, 4), (0, 4, 5), (3, 8, 6)]
    round_id = arena.funded(*[10] * 9)
    arena.settle(arena.plan(round_id, *transfers))
    assert arena.claims(round_id) == [4, 8, 7, 0, 15, 14, 13, 12, 17]


def test_settle_takes_sixty_four_transfers(arena):
    round_id = arena.funded(10_000, 5)
    transfers = [(0, 1, 1 + k) for k in range(64)]
    arena.settle(arena.plan(round_id, *transfers))
    assert arena.client.claim(round_id, 1) == 5 + sum(range(1, 65))


def test_settling_one_round_leaves_the_others_alone(arena):
    other = arena.funded(10, 5)
    arena.settled(10, 5, transfers=[(0, 1, 4)])
    assert arena.claims(other) == [10, 5]
    assert arena.client.state(other) is RoundState.FUNDING
