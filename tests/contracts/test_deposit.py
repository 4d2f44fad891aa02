from __future__ import annotations

from dataclasses import fields, replace

import pytest

from settlement.escrow.events import Deposited, RoundTerms

MOST = 2**63 - 1


def deposit(arena, round_id, party, units, *, agreement=None, value_wei=None):
    value_wei = units * 1_000 if value_wei is None else value_wei
    account = arena.parties[party] if isinstance(party, int) else party
    agreement = arena.agreement(round_id) if agreement is None else agreement
    return arena.act(account, "deposit", round_id, agreement, units, value_wei=value_wei)


def test_deposit_updates_claim_and_balance_and_adds_up(arena):
    round_id = arena.open(3)
    before = arena.chain.balance(arena.client.address)
    deposit(arena, round_id, 1, 40)
    deposit(arena, round_id, 1, 2)
    assert [arena.client.claim(round_id, party) for party in range(3)] == [0, 42, 0]
    assert arena.chain.balance(arena.client.address) == before + 42_000
    assert arena.client._read("total_units", round_id) == 42


def test_deposit_emits_deposited(arena):
    round_id = arena.open(2)
    assert deposit(arena, round_id, 1, 7) == [Deposited(round_id, 1, 7)]


@pytest.mark.parametrize("value_wei", [0, 6_999, 7_001, 8_000])
def test_deposit_reverts_when_the_ether_is_not_the_units(arena, refused, value_wei):
    round_id = arena.open(2)
    with refused("wrong amount of ether"):
        deposit(arena, round_id, 0, 7, value_wei=value_wei)


def test_deposit_reverts_when_it_is_of_nothing(arena, refused):
    round_id = arena.open(2)
    with refused("deposit of nothing"):
        deposit(arena, round_id, 0, 0)


def test_deposit_reverts_when_the_caller_is_no_party(arena, refused):
    round_id = arena.open(2)
    for stranger in (arena.outsider, arena.operator, arena.parties[2]):
        with refused("caller is not a party"):
            deposit(arena, round_id, stranger, 5)


OTHERWISE = {
    "terms_hash": bytes(32),
    "asset": f"0x{1:040x}",
    "unit_scale": 1_001,
    "exchange_rate": 10**6 + 1,
    "bond_wei": 0,
    "funding_deadline": 1,
    "settlement_deadline": 1,
    "challenge_window": 1,
    "caps_hash": bytes(31) + b"\x01",
    "n_parties": 3,
}


@pytest.mark.parametrize("figure", [field.name for field in fields(RoundTerms)])
def test_deposit_reverts_when_one_figure_of_the_terms_is_another(arena, refused, figure):
    round_id = arena.open(2)
    agreed = replace(arena.twin.rounds[round_id].terms, **{figure: OTHERWISE[figure]})
    parties = [account.address for account in arena.parties[:2]]
    with refused("not the agreed round"):
        deposit(arena, round_id, 0, 5, agreement=agreed.agreement(arena.operator.address, parties))


def test_deposit_reverts_when_the_operator_or_a_party_is_another(arena, refused):
    """An operator could seat itself in place of others, or seat them in another order."""
    round_id = arena.open(3)
    terms = arena.twin.rounds[round_id].terms
    operator = arena.operator.address
    first, second, third, stranger = (account.address for account in arena.parties[:4])
    for otherwise in (
        terms.agreement(arena.outsider.address, [first, second, third]),
        terms.agreement(operator, [first, second, stranger]),
        terms.agreement(operator, [first, third, second]),
        terms.agreement(operator, [first, second]),
        terms.terms_hash,
        bytes(32),
    ):
        with refused("not the agreed round"):
            deposit(arena, round_id, 0, 5, agreement=otherwise)
    deposit(arena, round_id, 0, 5, agreement=terms.agreement(operator, [first, second, third]))


def test_the_agreement_of_a_round_is_the_same_however_its_parties_were_registered(arena):
    terms = arena.terms(5)
    parties = [account.address for account in arena.parties[:5]]
    arena.act(arena.operator, "open_round", terms, parties[:1])
    round_id = len(arena.twin.rounds)
    arena.act(arena.operator, "register", round_id, parties[1:4])
    arena.act(arena.operator, "register", round_id, parties[4:])
    agreed = terms.agreement(arena.operator.address, parties)
    assert arena.client.agreement(round_id) == agreed
    deposit(arena, round_id, 4, 5, agreement=agreed)


def test_deposit_reverts_when_there_is_no_such_round(arena, refused):
    with refused("round takes no deposits"):
        deposit(arena, 10**6, 0, 5)


def test_deposit_is_taken_until_the_last_second_of_funding(arena, refused):
    round_id = arena.open(2)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    deposit(arena, round_id, 0, 5)
    with refused("funding deadline passed"):
        deposit(arena, round_id, 0, 5)


def test_deposits_of_a_round_fill_63_bits_and_no_more(arena, refused):
    round_id = arena.open(2, unit_scale=1)
    for units in (MOST + 1, 2**64, 2**255):
        with refused("deposits exceed 63 bits"):
            deposit(arena, round_id, 0, units, value_wei=1)
    deposit(arena, round_id, 0, MOST, value_wei=MOST)
    assert arena.client.claim(round_id, 0) == MOST
    with refused("deposits exceed 63 bits"):
        deposit(arena, round_id, 1, 1, value_wei=1)
    arena.expire(round_id)
    assert arena.withdraw(round_id, 0) == MOST


def test_lanes_of_one_slot_do_not_touch_each_other(arena):
    units = [2**60, 1, 2**61, 3, 2**59, 5, 7, 2**58, 11]
    round_id = arena.funded(*units, unit_scale=1)
    assert [arena.client.claim(round_id, party) for party in range(9)] == units
    arena.expire(round_id)
    for party in (2, 0, 8, 1, 3, 7, 6, 5, 4):
        assert arena.withdraw(round_id, party) == units[party]


def test_ether_without_a_call_is_not_taken(arena):
    from settlement.chain.errors import Reverted

    with pytest.raises(Reverted):
        arena.send(arena.outsider, arena.client.address, b"", 1)
