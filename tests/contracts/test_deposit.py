from __future__ import annotations

import pytest

from settlement.events import Deposited
from tests.contracts.arena import TERMS_HASH

MOST = 2**63 - 1


def deposit(arena, round_id, party, units, *, terms_hash=TERMS_HASH, value_wei=None):
    value_wei = units * 1_000 if value_wei is None else value_wei
    account = arena.parties[party] if isinstance(party, int) else party
    return arena.act(account, "deposit", round_id, terms_hash, units, value_wei=value_wei)


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


def test_deposit_reverts_when_it_names_other_terms(arena, refused):
    round_id = arena.open(2)
    with refused("wrong terms hash"):
        deposit(arena, round_id, 0, 5, terms_hash=bytes(32))


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
