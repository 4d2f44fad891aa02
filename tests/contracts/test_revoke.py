from __future__ import annotations

from dataclasses import replace

from settlement.escrow.events import Revoked
from tests.contracts.arena import raw
from tests.contracts.test_settle_chunk import agreed, bring, chunked, note, signatures_of


def test_revoke_updates_the_count_and_emits_revoked(arena):
    round_id = arena.funded(10, 5)
    for count in (1, 2, 3):
        party = count % 2
        events = arena.act(arena.parties[party], "revoke", round_id, party)
        assert events == [Revoked(round_id, party, count)]
        assert arena.client.figures(round_id).revocations == count
    assert arena.client.ledger(round_id).revocations == 3


def test_signatures_from_before_are_worth_nothing_and_new_ones_are(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    before = arena.signatures(arena.consent(plan))
    arena.act(arena.parties[0], "revoke", round_id, 0)
    with refused("not signed by party"):
        arena.settle(plan, signatures=before, twin=[None, None])
    mixed = [before[0], arena.signatures(arena.consent(plan))[1]]
    with refused("not signed by party"):
        arena.settle(plan, signatures=mixed, twin=[None, arena.parties[1].address])
    arena.settle(plan)


def test_two_full_sets_of_signatures_do_not_live_side_by_side(arena, refused):
    """All sign a plan, one takes it back, all sign another: the first cannot be brought."""
    round_id = arena.funded(10, 5)
    first, second = arena.plan(round_id, (0, 1, 4)), arena.plan(round_id, (0, 1, 5))
    old = arena.signatures(arena.consent(first))
    arena.act(arena.parties[1], "revoke", round_id, 1)
    new = arena.signatures(arena.consent(second))
    with refused("not signed by party"):
        arena.settle(first, signatures=old, twin=[None, None])
    arena.settle(second, signatures=new)
    assert arena.claims(round_id) == [5, 10]


def test_a_large_plan_is_revoked_too(arena, refused):
    round_id = arena.funded(100, 5)
    plan = arena.plan(round_id, *[(0, 1, 1)] * 65)
    before = arena.signatures(arena.consent(plan))
    arena.act(arena.parties[0], "revoke", round_id, 0)
    with refused("not signed by party"):
        arena.settle(plan, name="settle_large", signatures=before, twin=[None, None])
    arena.settle(plan, name="settle_large")


def test_a_plan_in_chunks_that_all_have_signed_is_revoked_until_the_first_chunk(arena, refused):
    chunks = [raw((0, 1, 4))]
    round_id, _ = agreed(arena, chunks, 10, 5)
    plan, _ = chunked(arena, round_id, chunks)
    old = signatures_of(arena, plan)
    arena.act(arena.parties[1], "revoke", round_id, 1)
    with refused("not all have signed"):
        note(arena, round_id, chunks[0], b"")
    with refused("not signed by party"):
        bring(arena, plan, old, [None, None])
    addresses = [account.address for account in arena.parties[:2]]
    bring(arena, plan, signatures_of(arena, plan), addresses)
    note(arena, round_id, chunks[0], b"")
    assert arena.claims(round_id) == [6, 9]


def test_revoke_is_the_partys_own(arena, refused):
    round_id = arena.funded(10, 5)
    for account in (arena.operator, arena.outsider, arena.parties[1]):
        with refused("caller is not that party"):
            arena.act(account, "revoke", round_id, 0)


def test_revoke_reverts_when_there_is_nothing_to_revoke(arena, refused):
    settled = arena.settled(10, 5, transfers=[(0, 1, 4)])
    for round_id in (0, 10**6, settled):
        with refused("nothing to revoke"):
            arena.act(arena.parties[0], "revoke", round_id, 0)


def test_revoke_touches_no_deposit(arena):
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 7)
    arena.act(arena.parties[0], "revoke", round_id, 0)
    arena.deposit(round_id, 0, 8, last=True)
    arena.close(round_id, 1)
    consent = arena.consent(arena.plan(round_id))
    assert consent == replace(consent, revocations=1)
    arena.settle(consent.plan)
    assert arena.claims(round_id) == [15, 0]
