from __future__ import annotations

from settlement.escrow.events import NOBODY, Closed


def test_close_updates_the_seat_and_the_count(arena):
    round_id = arena.open(3)
    arena.close(round_id, 1, arena.outsider.address)
    seat = arena.client.seat(round_id, 1)
    assert (seat.closed, seat.payout) == (True, arena.outsider.address)
    assert arena.client.figures(round_id).n_closed == 1
    assert not arena.client.funding_has_ended(round_id)


def test_close_emits_closed(arena):
    round_id = arena.open(2)
    assert arena.close(round_id, 0) == [Closed(round_id, 0, NOBODY)]


def test_funding_ends_when_all_have_closed(arena, refused):
    """With or without a deposit; and a plan is carried out without waiting for the deadline."""
    round_id = arena.open(3)
    plan = arena.plan(round_id, (0, 1, 4))
    arena.deposit(round_id, 0, 10)
    arena.deposit(round_id, 1, 5, last=True)
    arena.close(round_id, 2)
    with refused("funding is still open"):
        arena.settle(plan)
    arena.close(round_id, 0)
    assert arena.client.funding_has_ended(round_id)
    arena.settle(plan)
    assert arena.claims(round_id) == [6, 9, 0]


def test_nothing_settles_while_a_party_may_still_deposit(arena, refused):
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 10, last=True)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    plan = arena.plan(round_id, (0, 1, 4))
    with refused("funding is still open"):
        arena.settle(plan)
    assert arena.chain.timestamp() == arena.client.terms(round_id).funding_deadline
    arena.pass_funding(round_id)
    arena.settle(plan)


def test_close_is_final(arena, refused):
    round_id = arena.open(3)
    arena.close(round_id, 0)
    with refused("party has closed"):
        arena.close(round_id, 0, arena.outsider.address)
    assert arena.client.figures(round_id).n_closed == 1


def test_close_reverts_for_strangers_other_agreements_and_too_late(arena, refused):
    round_id = arena.open(2)
    with refused("caller is not that party"):
        arena.close(round_id, 0, account=arena.parties[1])
    with refused("not the agreed round"):
        arena.act(arena.parties[0], "close", round_id, 0, bytes(32), NOBODY)
    arena.pass_funding(round_id)
    with refused("funding deadline passed"):
        arena.close(round_id, 0)
    settled = arena.settled(10, 5, transfers=[(0, 1, 4)])
    with refused("round takes no deposits"):
        arena.close(settled, 0)
    with refused("round takes no deposits"):
        arena.close(10**6, 0)


def test_below_the_quorum_deposits_go_back_at_once_and_nothing_settles(arena, refused):
    round_id = arena.funded(10, 5, quorum_units=16)
    with refused("quorum is not reached"):
        arena.settle(arena.plan(round_id, (0, 1, 4)))
    assert arena.withdraw(round_id, 0) == 10
    with refused("quorum is not reached"):
        arena.settle(arena.plan(round_id))
    assert arena.withdraw(round_id, 1) == 5


def test_a_quorum_is_counted_when_funding_has_ended_and_not_before(arena, refused):
    round_id = arena.open(2, quorum_units=16)
    arena.deposit(round_id, 0, 10, last=True)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    arena.pass_funding(round_id)
    assert arena.withdraw(round_id, 0) == 10


def test_a_quorum_that_is_just_reached_is_reached(arena, refused):
    round_id = arena.funded(10, 6, quorum_units=16)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    arena.settle(arena.plan(round_id, (0, 1, 4)))
    # What is paid out after a settlement does not count against it.
    assert arena.withdraw(round_id, 0) == 6
    assert arena.withdraw(round_id, 1) == 10


def test_below_the_quorum_no_proof_settles(arena, refused):
    round_id, proof = arena.three_parties(quorum_units=200_001)
    with refused("quorum is not reached"):
        arena.settle_by_proof(round_id, proof)
    assert arena.withdraw(round_id, 0) == 200_000
