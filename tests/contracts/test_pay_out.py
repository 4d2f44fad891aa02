from __future__ import annotations

from contextlib import suppress

import pytest

from settlement.chain.errors import Reverted
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import NOBODY, PayoutFailed, Withdrawn
from settlement.escrow.interface import Interface
from tests.contracts.arena import Arena
from tests.contracts.test_withdraw import PARTY, contract_party

RECIPIENT = Interface(artifact("mocks/Recipient").abi)
TAKES, REFUSES, BURNS, SHOUTS, WORKS, WORKS_TOO_MUCH = range(6)


def pay(arena, round_id, *parties):
    return arena.act(arena.outsider, "pay_out", round_id, list(parties))


def test_pay_out_pays_everybody_where_it_wants_to_be_paid(arena):
    round_id = arena.open(4)
    places = [arena.parties[0].address, "0x" + "77" * 20, arena.parties[2].address, NOBODY]
    for party, place in enumerate(places):
        arena.deposit(round_id, party, 10 + party, place, True)
    arena.settle(arena.plan(round_id, (0, 1, 4), (2, 3, 5)))
    before = [arena.chain.balance(place) for place in places[:3]]
    held = arena.chain.balance(arena.client.address)
    pay(arena, round_id, 0, 1, 2, 3)
    after = [arena.chain.balance(place) for place in places[:3]]
    assert [b - a for a, b in zip(before, after, strict=True)] == [6_000, 15_000, 7_000]
    assert arena.claims(round_id) == [0, 0, 0, 18]  # it named no address
    assert arena.chain.balance(arena.client.address) == held - 28_000
    assert arena.withdraw(round_id, 3) == 18


def test_pay_out_emits_withdrawn(arena):
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)], payouts=True)
    addresses = [account.address for account in arena.parties[:2]]
    assert pay(arena, round_id, 1, 0) == [
        Withdrawn(round_id, 1, addresses[1], 9),
        Withdrawn(round_id, 0, addresses[0], 6),
    ]
    assert arena.client.ledger(round_id).withdrawn_units == (6, 9)


def test_pay_out_pays_once(arena, refused):
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)], payouts=True)
    (event,) = pay(arena, round_id, 0, 0, 0)
    assert event.units == 6
    assert pay(arena, round_id, 0) == []
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 0)
    pay(arena, round_id, 0, 1)
    assert arena.client.figures(round_id).total_units == 0


def test_pay_out_gives_deposits_back_after_expiry_and_below_the_quorum(arena, refused):
    expired = arena.funded(10, 5, payouts=True)
    with refused("round is still open"):
        pay(arena, expired, 0)
    arena.expire(expired)
    assert [event.units for event in pay(arena, expired, 0, 1)] == [10, 5]
    failed = arena.funded(10, 5, payouts=True, quorum_units=100)
    assert [event.units for event in pay(arena, failed, 0, 1)] == [10, 5]


def test_pay_out_serves_a_creditor_that_closed_without_a_deposit(arena):
    round_id, proof = arena.provable(*_game(), payouts=True)
    arena.settle_by_proof(round_id, proof)
    assert [event.units for event in pay(arena, round_id, 0, 1, 2)] == [112_500, 87_500]


def _game():
    from settlement.posting.format import game_of_values
    from tests.contracts.arena import THREE_PARTIES

    return game_of_values(THREE_PARTIES), (200_000, 0, 0)


def test_pay_out_reverts_when_there_is_no_such_party_or_round(arena, refused):
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)], payouts=True)
    for party in (2, 2**32, 2**255):
        with refused("no such party"):
            pay(arena, round_id, 0, party)
    with refused("no such round"):
        pay(arena, 10**6, 0)


@pytest.mark.parametrize("habit", [REFUSES, BURNS, SHOUTS, WORKS_TOO_MUCH])
def test_one_whose_payment_fails_keeps_its_claim_and_stops_nobody(habit):
    """It reverts, burns all its gas, shouts back 32,000 bytes, or wants too much gas."""
    arena = Arena(3, exact=True)  # whose gas counts
    place = arena.deploy("mocks/Recipient")
    round_id = arena.open(3)
    arena.deposit(round_id, 0, 10, arena.parties[0].address, True)
    arena.deposit(round_id, 1, 5, place, True)
    arena.deposit(round_id, 2, 7, arena.parties[2].address, True)
    arena.settle(arena.plan(round_id, (0, 1, 4)))
    arena.send(arena.outsider, place, RECIPIENT.encode("set_habit", habit))
    arena.twin.can_be_pushed = lambda address: address != place
    assert pay(arena, round_id, 0, 1, 2, 1) == [
        Withdrawn(round_id, 0, arena.parties[0].address, 6),
        PayoutFailed(round_id, 1, place, 9),
        Withdrawn(round_id, 2, arena.parties[2].address, 7),
        PayoutFailed(round_id, 1, place, 9),
    ]
    assert arena.last_receipt.gas_used < 350_000
    assert arena.claims(round_id) == [0, 9, 0]
    assert arena.client.figures(round_id).total_units == 9
    # Its neighbours in the slot are untouched, and it still gets out by itself.
    assert arena.withdraw(round_id, 1) == 9
    arena.check_ledger()


@pytest.mark.parametrize("habit", [TAKES, WORKS])
def test_a_recipient_that_works_a_little_is_paid(arena, habit):
    place = arena.deploy("mocks/Recipient")
    arena.send(arena.outsider, place, RECIPIENT.encode("set_habit", habit))
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 10, place, True)
    arena.close(round_id, 1)
    arena.settle(arena.plan(round_id, (0, 1, 4)))
    pay(arena, round_id, 0)
    assert arena.chain.balance(place) == 6_000


def test_too_little_gas_takes_nobodys_claim():
    """Whoever brings a pay-out with too little gas gains nothing by it: paid, or still claimed."""
    arena = Arena(2, exact=True)
    place = arena.deploy("mocks/Recipient")
    arena.send(arena.outsider, place, RECIPIENT.encode("set_habit", WORKS))
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 10, place, True)
    arena.deposit(round_id, 1, 5, place, True)
    arena.settle(arena.plan(round_id, (0, 1, 4)))
    data = arena.client.interface.encode("pay_out", round_id, [0, 1])
    outcomes = set()
    for gas in range(60_000, 200_000, 5_000):
        with suppress(Reverted):
            arena.chain.send(f"gas/{gas}", arena.outsider, arena.client.address, data, gas=gas)
        claims = arena.claims(round_id)
        assert arena.chain.balance(arena.client.address) == 1_000 * sum(claims)
        assert arena.chain.balance(place) == 1_000 * (15 - sum(claims))
        assert arena.client.figures(round_id).total_units == sum(claims)
        outcomes.add(sum(claims))
    assert outcomes == {0, 15}  # too little does nothing, enough pays both


def test_a_recipient_that_calls_back_from_its_payment_is_locked_out(arena):
    contract, round_id = contract_party(arena, payout=None)
    arena.expire(round_id)
    encode = arena.client.interface.encode
    pay_data = encode("pay_out", round_id, [0, 1])
    for reaction in (
        encode("withdraw", round_id, 0, contract),
        encode("pay_out", round_id, [0]),
        encode("claim", round_id, 0),
    ):
        data = PARTY.encode("prepare", True, arena.client.address, reaction)
        arena.send(arena.outsider, contract, data)
        arena.chain.call(arena.client.address, pay_data, arena.outsider.address)
    (event,) = pay(arena, round_id, 0, 1)
    assert (event.recipient, event.units) == (contract, 8)
    assert arena.chain.balance(contract) == 8_000
    arena.withdraw(round_id, 1)


def test_pay_out_of_a_settlement_in_chunks_clears_its_deltas(arena):
    from tests.contracts.arena import raw
    from tests.contracts.test_settle_chunk import bring, chunked, note, signatures_of

    chunks = [raw((0, 1, 4)), raw((0, 2, 5))]
    round_id = arena.funded(10, 5, 0, payouts=True)
    plan, links = chunked(arena, round_id, chunks)
    bring(arena, plan, signatures_of(arena, plan), list(arena.twin.rounds[round_id].parties))
    note(arena, round_id, chunks[0], links[1])
    note(arena, round_id, chunks[1], b"")
    assert [event.units for event in pay(arena, round_id, 0, 1, 2)] == [1, 9, 5]
    assert arena.claims(round_id) == [0, 0, 0]


def test_a_failed_payment_of_a_settlement_in_chunks_keeps_the_whole_claim(arena):
    """Deposit and net lie in two words; both come back as one."""
    from tests.contracts.arena import raw
    from tests.contracts.test_settle_chunk import bring, chunked, note, signatures_of

    place = arena.deploy("mocks/Recipient")
    arena.send(arena.outsider, place, RECIPIENT.encode("set_habit", REFUSES))
    for transfers, claim in (((0, 1, 4), 9), ((1, 0, 4), 1)):
        round_id = arena.open(2)
        arena.deposit(round_id, 0, 10, last=True)
        arena.deposit(round_id, 1, 5, place, True)
        chunks = [raw(transfers)]
        plan, _ = chunked(arena, round_id, chunks)
        bring(arena, plan, signatures_of(arena, plan), list(arena.twin.rounds[round_id].parties))
        note(arena, round_id, chunks[0], b"")
        arena.twin.can_be_pushed = lambda address: address != place
        assert pay(arena, round_id, 1) == [PayoutFailed(round_id, 1, place, claim)]
        assert arena.client.claim(round_id, 1) == claim
        assert arena.withdraw(round_id, 1) == claim
        arena.twin.can_be_pushed = lambda _: True
