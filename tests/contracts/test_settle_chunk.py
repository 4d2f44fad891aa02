from __future__ import annotations

import hashlib

import pytest

from settlement.escrow.events import ChunkNoted, RoundState, Settled
from settlement.money.terms import decode_transfers
from tests.contracts.test_settle import RawPlan, raw


def linked(key, chunks):
    links = [b""]
    for chunk in reversed(chunks):
        links.insert(0, hashlib.sha256(key + chunk + links[0]).digest())
    return links


def agreed(arena, chunks, *units, **changes):
    round_id = arena.funded(*units, **changes)
    reference = arena.client.reference(round_id)
    links = linked(reference.key, chunks)
    plan = RawPlan(reference, b"")
    plan.plan_id = links[0]
    arena.endorse(plan)
    return round_id, links


CHUNKS = [raw((0, 2, 4), (1, 2, 1)), raw((0, 3, 6)), raw((4, 3, 2), (1, 5, 9))]
UNITS = (10, 20, 0, 0, 5, 1)


def note(arena, round_id, chunk, link):
    return arena.act(arena.outsider, "settle_chunk", round_id, chunk, link)


@pytest.mark.parametrize("odd", [0, 1])
def test_number_of_parties_is_told_from_the_deadline_beside_it(arena, refused, odd):
    """Both live in one word: neither an odd nor an even deadline makes more parties."""
    deadline = (arena.chain.timestamp() + 10_000) // 2 * 2 + odd
    outside = [raw((6, 0, 1))]
    round_id, _ = agreed(arena, outside, *UNITS, settlement_deadline=deadline)
    with refused("no such party"):
        note(arena, round_id, outside[0], b"")
    inside = [raw((0, 2, 1))]
    round_id, _ = agreed(arena, inside, *UNITS, settlement_deadline=deadline)
    note(arena, round_id, inside[0], b"")
    assert arena.client.claim(round_id, 2) == 1


def test_chunks_take_effect_together(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    for chunk, link in zip(CHUNKS[:2], links[1:], strict=False):
        note(arena, round_id, chunk, link)
        assert [arena.client.claim(round_id, party) for party in range(6)] == list(UNITS)
        with refused("round is still open"):
            arena.withdraw(round_id, 2)
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


def test_a_half_sent_settlement_expires_and_everybody_takes_its_deposit_back(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    note(arena, round_id, CHUNKS[0], links[1])
    arena.expire(round_id)
    with refused("round has expired"):
        note(arena, round_id, CHUNKS[1], links[2])
    for party, units in enumerate(UNITS):
        if units:
            assert arena.withdraw(round_id, party) == units


def test_half_sent_means_no_other_plan_and_no_deposit(arena, refused):
    round_id, links = agreed(arena, CHUNKS, *UNITS)
    note(arena, round_id, CHUNKS[0], links[1])
    with refused("chunks are already in"):
        arena.endorse(arena.plan(round_id, (0, 1, 1)))
    with refused("round takes no deposits"):
        arena.fund(round_id, [3])
    with refused("no plan to carry out"):
        arena.act(arena.outsider, "settle", round_id, CHUNKS[1])


def test_chunks_need_everybodys_signature(arena, refused):
    round_id = arena.funded(*UNITS)
    with refused("not all have signed"):
        note(arena, round_id, CHUNKS[0], b"")


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
