from __future__ import annotations

from dataclasses import fields, replace

import pytest

from settlement.escrow.events import NOBODY, Closed, Deposited, RoundTerms
from settlement.escrow.ledger import hash_of_deposits

MOST = 2**63 - 1


def test_deposit_updates_claim_and_balance_and_adds_up(arena):
    round_id = arena.open(3)
    before = arena.chain.balance(arena.client.address)
    arena.deposit(round_id, 1, 40)
    arena.deposit(round_id, 1, 2)
    assert arena.claims(round_id) == [0, 42, 0]
    assert arena.chain.balance(arena.client.address) == before + 42_000
    assert arena.client.figures(round_id).total_units == 42


def test_deposit_emits_deposited_and_closed(arena):
    round_id = arena.open(2)
    payout = arena.outsider.address
    assert arena.deposit(round_id, 1, 7) == [Deposited(round_id, 1, 7, NOBODY)]
    assert arena.deposit(round_id, 1, 8, payout, True) == [
        Deposited(round_id, 1, 8, payout),
        Closed(round_id, 1, payout),
    ]


def test_the_last_deposit_says_where_a_party_is_paid_out(arena):
    round_id = arena.open(2)
    own, other = arena.parties[0].address, arena.outsider.address
    for payout, found in ((other, other), (own, own), (NOBODY, None), (own, own), (other, other)):
        arena.deposit(round_id, 0, 1, payout)
        assert arena.client.seat(round_id, 0).payout == found
    assert arena.client.seat(round_id, 1).payout is None


def test_deposits_of_a_round_by_signatures_are_hashed_in_order(arena):
    round_id = arena.open(3)
    expected = bytes(32)
    for party, units in ((2, 5), (0, 7), (2, 1)):
        arena.deposit(round_id, party, units)
        expected = hash_of_deposits(expected, party, units)
        assert arena.client._read("deposits_hash", round_id) == expected
    assert arena.client.ledger(round_id).deposits_hash == expected


def test_deposits_of_a_round_by_proof_need_no_hash(arena):
    round_id, _ = arena.three_parties()
    assert arena.client._read("deposits_hash", round_id) == bytes(32)
    assert arena.client.ledger(round_id).deposits_hash == bytes(32)


@pytest.mark.parametrize("value_wei", [0, 6_999, 7_001, 8_000])
def test_deposit_reverts_when_the_ether_is_not_the_units(arena, refused, value_wei):
    round_id = arena.open(2)
    with refused("wrong amount of ether"):
        arena.deposit(round_id, 0, 7, value_wei=value_wei)


def test_deposit_reverts_when_it_is_of_nothing(arena, refused):
    round_id = arena.open(2)
    with refused("deposit of nothing"):
        arena.deposit(round_id, 0, 0)


def test_deposit_reverts_when_the_seat_is_not_the_callers(arena, refused):
    round_id = arena.open(2)
    for stranger in (arena.outsider, arena.operator, arena.parties[1], arena.parties[2]):
        with refused("caller is not that party"):
            arena.deposit(round_id, 0, 5, account=stranger)
    for party in (1, 2, 2**16, 2**32, 2**255):
        with refused("caller is not that party"):
            arena.deposit(round_id, party, 5, account=arena.parties[0])


def test_a_seat_of_one_round_is_none_of_the_next(arena, refused):
    """Round and party share a key: a party's number must not reach into another round."""
    first = arena.open(2)
    second = arena.open(2, [arena.parties[5].address, arena.parties[6].address])
    reach = 2**32 * (second - first)
    with refused("caller is not that party"):
        arena.deposit(first, reach, 5, account=arena.parties[5])


OTHERWISE = {
    "terms_hash": bytes(32),
    "game_hash": bytes(32),
    "asset": f"0x{1:040x}",
    "unit_scale": 1_001,
    "exchange_rate": 10**6 + 1,
    "quorum_units": 1,
    "funding_deadline": 1,
    "settlement_deadline": 1,
    "n_parties": 3,
    "by_proof": True,
}


@pytest.mark.parametrize("figure", [field.name for field in fields(RoundTerms)])
def test_deposit_reverts_when_one_figure_of_the_terms_is_another(arena, refused, figure):
    round_id = arena.open(2)
    agreed = replace(arena.twin.rounds[round_id].terms, **{figure: OTHERWISE[figure]})
    parties = [account.address for account in arena.parties[:2]]
    place = (arena.chain.chain_id, arena.client.address, arena.operator.address)
    with refused("not the agreed round"):
        arena.deposit(round_id, 0, 5, agreement=agreed.agreement(*place, parties))


def test_deposit_reverts_when_chain_escrow_operator_or_a_party_is_another(arena, refused):
    """An operator could seat itself in place of others, or seat them in another order."""
    round_id = arena.open(3)
    terms = arena.twin.rounds[round_id].terms
    chain_id, escrow, operator = arena.chain.chain_id, arena.client.address, arena.operator.address
    first, second, third, stranger = (account.address for account in arena.parties[:4])
    for otherwise in (
        terms.agreement(1, escrow, operator, [first, second, third]),
        terms.agreement(chain_id, stranger, operator, [first, second, third]),
        terms.agreement(chain_id, escrow, arena.outsider.address, [first, second, third]),
        terms.agreement(chain_id, escrow, operator, [first, second, stranger]),
        terms.agreement(chain_id, escrow, operator, [first, third, second]),
        terms.agreement(chain_id, escrow, operator, [first, second]),
        terms.terms_hash,
        bytes(32),
    ):
        with refused("not the agreed round"):
            arena.deposit(round_id, 0, 5, agreement=otherwise)
    right = terms.agreement(chain_id, escrow, operator, [first, second, third])
    arena.deposit(round_id, 0, 5, agreement=right)


def test_the_agreement_of_a_round_is_the_same_however_its_parties_were_registered(arena):
    terms = arena.terms(5)
    parties = [account.address for account in arena.parties[:5]]
    arena.act(arena.operator, "open_round", terms, parties[:1])
    round_id = len(arena.twin.rounds)
    arena.act(arena.operator, "register", round_id, parties[1:4])
    arena.act(arena.operator, "register", round_id, parties[4:])
    place = (arena.chain.chain_id, arena.client.address, arena.operator.address)
    agreed = terms.agreement(*place, parties)
    assert arena.client.agreement(round_id) == agreed
    arena.deposit(round_id, 4, 5, agreement=agreed)


def test_deposit_reverts_when_there_is_no_such_round(arena, refused):
    for round_id in (0, 10**6, 2**224 + 1):
        with refused("round takes no deposits"):
            arena.deposit(round_id, 0, 5)


def test_deposit_reverts_when_the_party_has_closed(arena, refused):
    round_id = arena.open(2)
    arena.deposit(round_id, 0, 5, last=True)
    with refused("party has closed"):
        arena.deposit(round_id, 0, 5)
    arena.close(round_id, 1)
    with refused("party has closed"):
        arena.deposit(round_id, 1, 5)


def test_deposit_is_taken_until_the_last_second_of_funding(arena, refused):
    round_id = arena.open(2)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    arena.deposit(round_id, 0, 5)
    with refused("funding deadline passed"):
        arena.deposit(round_id, 0, 5)


def test_deposits_of_a_round_fill_63_bits_and_no_more(arena, refused):
    round_id = arena.open(2, unit_scale=1)
    for units in (MOST + 1, 2**64, 2**255):
        with refused("deposits exceed 63 bits"):
            arena.deposit(round_id, 0, units, value_wei=1)
    arena.deposit(round_id, 0, MOST, value_wei=MOST)
    assert arena.client.claim(round_id, 0) == MOST
    with refused("deposits exceed 63 bits"):
        arena.deposit(round_id, 1, 1, value_wei=1)
    arena.expire(round_id)
    assert arena.withdraw(round_id, 0) == MOST


def test_lanes_of_one_slot_do_not_touch_each_other(arena):
    units = [2**60, 1, 2**61, 3, 2**59, 5, 7, 2**58, 11]
    round_id = arena.funded(*units, unit_scale=1)
    assert arena.claims(round_id) == units
    arena.expire(round_id)
    for party in (2, 0, 8, 1, 3, 7, 6, 5, 4):
        assert arena.withdraw(round_id, party) == units[party]


def test_ether_without_a_call_is_not_taken(arena):
    from settlement.chain.errors import Reverted

    with pytest.raises(Reverted):
        arena.send(arena.outsider, arena.client.address, b"", 1)
