"""Plans of more than 64 parties or transfers; the rules of transfers are in `test_settle`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from settlement.escrow.events import RoundState, Settled
from settlement.escrow.signing import pack_signatures
from settlement.money.terms import Transfer
from tests.contracts.arena import Arena

MANY = [(0, 1, 1)] * 30 + [(2, 3, 2)] * 40


@pytest.fixture
def seventy():
    """A round of seventy parties, of whom ten have deposits."""
    arena = Arena(70)
    arena.round_id = arena.funded(*[100] * 10, *[0] * 60)
    return arena


def test_settle_large_updates_claims_and_state(arena):
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    assert arena.consent(plan).primary_type == "LargeSettlement"
    arena.settle(plan, name="settle_large")
    assert arena.claims(round_id) == [70, 35, 20, 80]
    assert arena.client.state(round_id) is RoundState.SETTLED


def test_settle_large_emits_settled(arena):
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    assert arena.settle(plan, name="settle_large") == [
        Settled(round_id, plan.plan_id, tuple(Transfer(*one) for one in MANY))
    ]


def test_settle_large_serves_seventy_parties(seventy):
    arena, round_id = seventy, seventy.round_id
    plan = arena.plan(round_id, (0, 69, 40), (1, 68, 100), (9, 64, 7))
    arena.settle(plan, name="settle_large")
    claims = arena.claims(round_id)
    assert (claims[0], claims[1], claims[9]) == (60, 0, 93)
    assert (claims[64], claims[68], claims[69]) == (7, 100, 40)
    arena.check_ledger()


def test_settle_reverts_when_the_round_has_more_than_64_parties(seventy):
    from settlement.escrow.twin import Refusal

    plan = seventy.plan(seventy.round_id, (0, 69, 40))
    with pytest.raises(Refusal, match="round is too large"):
        seventy.settle(plan)


def test_every_signer_signs_its_own_net_position(arena, refused):
    """Signatures of one party for another's position are worth nothing."""
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    consent = arena.consent(plan)
    nets = [consent.typed_data(party)["message"]["own_net_units"] for party in range(4)]
    assert nets == [-30, 30, -80, 80]
    other = [
        account.sign_typed_data(full_message=consent.typed_data((party + 1) % 4)).signature
        for party, account in enumerate(arena.parties[:4])
    ]
    with refused("not signed by party"):
        arena.settle(plan, name="settle_large", signatures=other, twin=[None] * 4)


@pytest.mark.parametrize("field", ["plan_id", "n_transfers", "total_units", "own_net_units"])
def test_settle_large_refuses_signatures_that_name_another_figure(arena, refused, field):
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    signatures = []
    for party, account in enumerate(arena.parties[:4]):
        data = arena.consent(plan).typed_data(party)
        data["message"][field] = bytes(32) if field == "plan_id" else 1
        signatures.append(account.sign_typed_data(full_message=data).signature)
    with refused("not signed by party"):
        arena.settle(plan, name="settle_large", signatures=signatures, twin=[None] * 4)


@pytest.mark.parametrize(
    "change",
    [
        {"game_hash": bytes(32)},
        {"deposits_hash": bytes(32)},
        {"deadline": 1},
        {"revocations": 1},
    ],
)
def test_settle_large_refuses_signatures_for_other_facts(arena, refused, change):
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    signatures = arena.signatures(replace(arena.consent(plan), **change))
    with refused("not signed by party"):
        arena.settle(plan, name="settle_large", signatures=signatures, twin=[None] * 4)


def test_settle_large_reverts_when_a_signature_is_missing(arena, refused):
    round_id = arena.funded(100, 5, 100, 0)
    plan = arena.plan(round_id, *MANY)
    signatures = arena.signatures(arena.consent(plan))
    parties = arena.twin.rounds[round_id].parties
    with refused("a signature is missing"):
        arena.settle(plan, name="settle_large", signatures=signatures[:3], twin=parties[:3])


def test_neither_way_takes_the_others_signatures(arena, refused):
    round_id = arena.funded(100, 5, 100, 0)
    small, large = arena.plan(round_id, (0, 1, 4)), arena.plan(round_id, *MANY)
    packed = pack_signatures(arena.signatures(arena.consent(small)))
    with refused("not signed by party"):
        arena.act(
            arena.outsider,
            "settle_large",
            *(round_id, small.encode(), packed),
            twin=(round_id, small.encode(), [None] * 4),
        )
    assert arena.consent(large).primary_type != arena.consent(small).primary_type
