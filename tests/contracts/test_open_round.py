from __future__ import annotations

from dataclasses import replace

import pytest

from settlement.escrow.events import ETHER, PartiesRegistered, RoundOpened, RoundState

NOBODY = ETHER


def addresses(arena, n):
    return [account.address for account in arena.parties[:n]]


def test_open_round_updates_terms_state_and_parties(arena):
    round_id = arena.open(3)
    assert arena.client.state(round_id) is RoundState.FUNDING
    assert arena.client.terms(round_id) == arena.twin.rounds[round_id].terms
    for party, address in enumerate(addresses(arena, 3)):
        assert arena.client._read("party_of", round_id, address) == party
    assert arena.client._read("round_key", round_id) == arena.client.reference(round_id).key
    assert arena.client._read("operator", round_id).lower() == arena.operator.address.lower()


def test_open_round_emits_round_opened_and_parties_registered(arena):
    terms = arena.terms(2)
    opened, registered = arena.act(arena.operator, "open_round", terms, addresses(arena, 2))
    round_id = len(arena.twin.rounds)
    assert opened == RoundOpened(round_id, arena.operator.address, terms)
    assert registered == PartiesRegistered(round_id, 0, tuple(addresses(arena, 2)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_parties": 1}, "parties not 2 to 32768"),
        ({"n_parties": 32_769}, "parties not 2 to 32768"),
        ({"unit_scale": 0}, "unit scale out of range"),
        ({"unit_scale": 2**96 + 1}, "unit scale out of range"),
        ({"exchange_rate": 2**48 + 1}, "exchange rate too large"),
        ({"exchange_rate": 0}, "bond without its terms"),
        ({"challenge_window": 0}, "bond without its terms"),
        ({"n_parties": 65}, "bond without its terms"),
        ({"bond_wei": 2**96 + 1}, "bond is above 2**96 wei"),
        ({"funding_deadline": 10**9}, "funding deadline is past"),
        ({"settlement_deadline": 10**9 + 2}, "deadlines out of order"),
        ({"settlement_deadline": 2**64}, "clock is out of range"),
        ({"challenge_window": 2**32}, "clock is out of range"),
        ({"asset": "0x" + "12" * 20}, "asset is not a contract"),
    ],
)
def test_open_round_reverts_when_its_terms_cannot_be(arena, refused, change, reason):
    terms = replace(arena.terms(3), **change)
    with refused(reason):
        arena.act(arena.operator, "open_round", terms, addresses(arena, 3))


def test_open_round_reverts_when_a_party_is_named_twice(arena, refused):
    twice = [*addresses(arena, 2), addresses(arena, 1)[0]]
    with refused("party is named twice"):
        arena.act(arena.operator, "open_round", arena.terms(3), twice)


def test_open_round_reverts_when_a_party_is_the_zero_address(arena, refused):
    with refused("party is address zero"):
        arena.act(arena.operator, "open_round", arena.terms(2), [NOBODY, addresses(arena, 1)[0]])


def test_open_round_reverts_when_there_are_more_parties_than_the_terms_say(arena, refused):
    with refused("too many parties"):
        arena.act(arena.operator, "open_round", arena.terms(2), addresses(arena, 3))


def test_register_completes_a_round_in_parts(arena, refused):
    everybody = addresses(arena, 5)
    arena.act(arena.operator, "open_round", arena.terms(5), everybody[:2])
    this = len(arena.twin.rounds)
    assert arena.client.state(this) is RoundState.OPENING
    with refused("round takes no deposits"):
        arena.fund(this, [5])
    with refused("party is named twice"):
        arena.act(arena.operator, "register", this, everybody[1:3])
    with refused("too many parties"):
        arena.act(arena.operator, "register", this, addresses(arena, 9)[2:6])
    with refused("caller is not operator"):
        arena.act(arena.outsider, "register", this, everybody[2:])
    (event,) = arena.act(arena.operator, "register", this, everybody[2:])
    assert event == PartiesRegistered(this, 2, tuple(everybody[2:]))
    assert arena.client.state(this) is RoundState.FUNDING
    with refused("round takes no parties"):
        arena.act(arena.operator, "register", this, addresses(arena, 6)[5:])


def test_rounds_of_one_escrow_are_numbered_and_apart(arena):
    first, second = arena.funded(5, 6), arena.funded(7, 8)
    assert second == first + 1
    assert arena.client.claim(first, 0) == 5
    assert arena.client.claim(second, 0) == 7
    assert arena.client.reference(first).key != arena.client.reference(second).key
