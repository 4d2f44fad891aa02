from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from settlement.escrow.events import ChunkNoted, Endorsed, RoundState, Settled
from settlement.escrow.twin import Refusal
from settlement.money.terms import RoundReference, decode_transfers
from tests.contracts.arena import raw


def linked(key, chunks):
    links = [b""]
    for chunk in reversed(chunks):
        links.insert(0, hashlib.sha256(key + chunk + links[0]).digest())
    return links


@dataclass(frozen=True)
class ChunkedPlan:
    """A plan cut into chunks at will."""

    round: RoundReference
    plan_id: bytes
    n_transfers: int
    total_units: int


def signed_data(arena, plan):
    """What a party signs for a plan in chunks, put together anew."""
    found = arena.twin.rounds[plan.round.round_id]
    base = arena.plan(plan.round.round_id, *[(0, 1, 1)] * 1025)  # of the size that is chunked
    data = arena.consent(base).typed_data(0)
    assert data["primaryType"] == "ChunkedSettlement"
    data["message"] |= {
        "plan_id": plan.plan_id,
        "n_transfers": plan.n_transfers,
        "total_units": plan.total_units,
        "revocations": found.revocations,
    }
    return data


def signatures_of(arena, plan, signers=None):
    chosen = signers or arena.parties[: plan.round.n_parties]
    data = signed_data(arena, plan)
    return [account.sign_typed_data(full_message=data).signature for account in chosen]


def bring(arena, plan, signatures, addresses):
    common = (plan.round.round_id, plan.plan_id, plan.n_transfers, plan.total_units)
    return arena.act(
        arena.outsider,
        "endorse",
        *(*common, len(signatures), b"".join(signatures)),
        twin=(*common, addresses),
    )


def chunked(arena, round_id, chunks, **changes):
    reference = arena.reference(round_id)
    links = linked(reference.key, chunks)
    packed = b"".join(chunks)
    amounts = [int.from_bytes(packed[k + 4 : k + 12], "big") for k in range(0, len(packed), 12)]
    figures = {"n_transfers": len(amounts), "total_units": sum(amounts) % 2**64, **changes}
    return ChunkedPlan(reference, links[0], **figures), links


def agreed(arena, chunks, *units, changes=None, **terms):
    round_id = arena.funded(*units, **terms)
    plan, links = chunked(arena, round_id, chunks, **(changes or {}))
    bring(arena, plan, signatures_of(arena, plan), list(arena.twin.rounds[round_id].parties))
    return round_id, links


CHUNKS = [raw((0, 2, 4), (1, 2, 1)), raw((0, 3, 6)), raw((4, 3, 2), (1, 5, 9))]
UNITS = (10, 20, 0, 0, 5, 1)


def note(arena, round_id, chunk, link):
    return arena.act(arena.outsider, "settle_chunk", round_id, chunk, link)


def test_settle_chunk_keeps_each_bit_of_an_amount_out_of_its_neighbours(arena):
    for bit in (0, 57, 58, 59):
        amount = 2**bit
        chunks = [raw((0, 1, amount)), raw((0, 2, amount))]
        round_id, links = agreed(arena, chunks, 2 * amount, 0, 0, unit_scale=1)
        for chunk, link in zip(chunks, links[1:], strict=True):
            note(arena, round_id, chunk, link)
        claims = [arena.client.claim(round_id, party) for party in range(3)]
        assert claims == [0, amount, amount]


# Signatures in batches


def test_endorse_updates_the_count_and_with_the_last_signature_the_plan(arena, refused):
    round_id = arena.funded(10, 0, 0)
    plan, _ = chunked(arena, round_id, [raw((0, 1, 4))])
    signatures = signatures_of(arena, plan)
    addresses = [account.address for account in arena.parties[:3]]
    assert bring(arena, plan, signatures[:1], addresses[:1]) == [
        Endorsed(round_id, plan.plan_id, 1)
    ]
    with refused("not all have signed"):
        note(arena, round_id, raw((0, 1, 4)), b"")
    assert bring(arena, plan, signatures[1:], addresses[1:]) == [
        Endorsed(round_id, plan.plan_id, 3)
    ]
    assert arena.client._read("plan_id", round_id) == plan.plan_id
    with refused("odd signature count"):
        bring(arena, plan, signatures[:1], addresses[:1])


def test_endorse_reverts_when_a_signature_is_not_of_the_next_party(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan, _ = chunked(arena, round_id, [raw((0, 1, 4))])
    first, second, third = arena.parties[:3]
    for signer in (second, third, arena.operator):
        with refused("not signed by party"):
            bring(arena, plan, signatures_of(arena, plan, [signer]), [signer.address])
    bring(arena, plan, signatures_of(arena, plan, [first]), [first.address])
    for signer in (first, third):
        with refused("not signed by party"):
            bring(arena, plan, signatures_of(arena, plan, [signer]), [signer.address])


def test_endorse_reverts_when_counts_or_figures_are_odd(arena, refused):
    round_id = arena.funded(10, 5)
    plan, _ = chunked(arena, round_id, [raw((0, 1, 4))])
    signatures = signatures_of(arena, plan)
    with refused("odd signature count"):
        bring(arena, plan, [], [])
    with refused("odd signature count"):
        bring(arena, plan, [*signatures, signatures[0]], [None] * 3)
    for change in ({"n_transfers": 2**64}, {"total_units": 2**64}):
        huge, _ = chunked(arena, round_id, [raw((0, 1, 4))], **change)
        with refused("plan is too large"):
            bring(arena, huge, signatures, [None] * 2)


def test_endorse_reverts_outside_its_time(arena, refused):
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 10)
    plan, _ = chunked(arena, round_id, [raw((0, 1, 4))])
    addresses = [account.address for account in arena.parties[:2]]
    with refused("funding is still open"):
        bring(arena, plan, signatures_of(arena, plan), addresses)
    arena.expire(round_id)
    with refused("round has expired"):
        bring(arena, plan, signatures_of(arena, plan), addresses)


def test_a_later_plan_that_all_sign_replaces_the_earlier(arena, refused):
    round_id, _ = agreed(arena, CHUNKS, *UNITS)
    later = [raw((0, 1, 5))]
    plan, _ = chunked(arena, round_id, later)
    bring(arena, plan, signatures_of(arena, plan), list(arena.twin.rounds[round_id].parties))
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[0], b"")
    note(arena, round_id, later[0], b"")
    assert arena.client.claim(round_id, 1) == 25


# Chunks


def test_chunks_take_effect_together(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    for chunk, link in zip(CHUNKS[:2], links[1:], strict=False):
        note(arena, round_id, chunk, link)
        assert arena.client.state(round_id) is RoundState.SETTLING
        assert arena.claims(round_id) == list(UNITS)
        with refused("round is still open"):
            arena.withdraw(round_id, 2)
        with refused("round is still open"):
            arena.act(arena.outsider, "pay_out", round_id, [2])
    note(arena, round_id, CHUNKS[2], b"")
    assert arena.client.state(round_id) is RoundState.SETTLED_IN_CHUNKS
    assert [arena.withdraw(round_id, p) for p in (2, 5, 1, 3, 4)] == [5, 10, 10, 8, 3]
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 0)


def test_chunks_emit_their_transfers(arena):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    assert note(arena, round_id, CHUNKS[0], links[1]) == [
        ChunkNoted(round_id, links[0], decode_transfers(CHUNKS[0]))
    ]
    note(arena, round_id, CHUNKS[1], links[2])
    assert note(arena, round_id, CHUNKS[2], b"") == [
        Settled(round_id, links[2], decode_transfers(CHUNKS[2]))
    ]
    ledger = arena.client.ledger(round_id)
    assert ledger.plan_id == links[0]
    assert ledger.transfers == decode_transfers(b"".join(CHUNKS))
    assert ledger.claims_units == (0, 10, 5, 8, 3, 10)


def test_a_chunk_left_out_repeated_or_reordered_is_refused(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[1], links[2])
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[2], b"")
    note(arena, round_id, CHUNKS[0], links[1])
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[0], links[1])
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[2], b"")
    with refused("not the next chunk"):
        note(arena, round_id, CHUNKS[1], b"")
    with refused("link is not 32 bytes"):
        note(arena, round_id, CHUNKS[1], links[2][:31])
    with refused("not 12 bytes a transfer"):
        note(arena, round_id, CHUNKS[1][:-1], links[2])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_transfers": 4}, "more than was signed"),
        ({"total_units": 21}, "more than was signed"),
        ({"n_transfers": 6}, "less than was signed"),
        ({"total_units": 23}, "less than was signed"),
        ({"n_transfers": 2**64 - 1, "total_units": 2**64 - 1}, "less than was signed"),
    ],
)
def test_chunks_have_exactly_what_was_signed_of_count_and_sum(arena, refused, changes, reason):
    round_id, links = agreed(arena, CHUNKS, *UNITS, changes=changes)
    note(arena, round_id, CHUNKS[0], links[1])
    note(arena, round_id, CHUNKS[1], links[2])
    with refused(reason):
        note(arena, round_id, CHUNKS[2], b"")


def test_a_half_sent_settlement_expires_and_everybody_takes_its_deposit_back(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    note(arena, round_id, CHUNKS[0], links[1])
    arena.expire(round_id)
    with refused("round has expired"):
        note(arena, round_id, CHUNKS[1], links[2])
    for party, units in enumerate(UNITS):
        if units:
            assert arena.withdraw(round_id, party) == units


def test_half_sent_means_no_other_plan_no_deposit_and_no_revocation(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    note(arena, round_id, CHUNKS[0], links[1])
    other = arena.plan(round_id, (0, 1, 1))
    for name in ("settle", "settle_large"):
        with refused("chunks are already in"):
            arena.settle(other, name=name)
    plan, _ = chunked(arena, round_id, CHUNKS[:1])
    with refused("chunks are already in"):
        bring(arena, plan, signatures_of(arena, plan), [None] * 6)
    with refused("round takes no deposits"):
        arena.deposit(round_id, 0, 3)
    with refused("nothing to revoke"):
        arena.act(arena.parties[0], "revoke", round_id, 0)
    note(arena, round_id, CHUNKS[1], links[2])
    note(arena, round_id, CHUNKS[2], b"")


def test_chunks_need_everybodys_signature(arena, refused):
    round_id = arena.funded(*UNITS)
    with refused("not all have signed"):
        note(arena, round_id, CHUNKS[0], b"")
    by_proof, _ = arena.three_parties()
    with refused("settled the other way"):
        note(arena, by_proof, CHUNKS[0], b"")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([(0, 2, 6)], [(0, 3, 5)], "debtor exceeds deposit"),
        ([(0, 2, 6)], [(2, 3, 5)], "party pays and receives"),
        ([(0, 2, 6)], [(1, 0, 5)], "party pays and receives"),
        ([(0, 2, 6)], [(1, 1, 5)], "party pays and receives"),
        ([(0, 2, 6)], [(1, 6, 5)], "no such party"),
        ([(0, 2, 6)], [(1, 2, 0)], "amount out of range"),
        ([(0, 2, 6)], [(1, 2, 2**63)], "amount out of range"),
        ([(0, 2, 6)], [(1, 2, 2**63 - 1)], "debtor exceeds deposit"),
    ],
)
def test_rules_hold_across_chunks(arena, refused, first, second, reason):
    chunks = [raw(*first), raw(*second)]
    round_id, links = agreed(arena, chunks, *UNITS)
    note(arena, round_id, chunks[0], links[1])
    with refused(reason):
        note(arena, round_id, chunks[1], b"")


def test_a_refusal_of_the_twin_changes_nothing(arena):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    found = arena.twin.rounds[round_id]
    with pytest.raises(Refusal):
        note(arena, round_id, CHUNKS[1], links[2])
    assert (found.noted, found.plan_id) == (None, links[0])
