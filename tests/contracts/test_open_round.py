from __future__ import annotations

from dataclasses import replace

import pytest

from settlement.chain.errors import Reverted
from settlement.escrow.events import NOBODY, PartiesRegistered, RoundOpened, RoundState


def addresses(arena, n):
    return [account.address for account in arena.parties[:n]]


def test_open_round_updates_terms_state_and_parties(arena):
    round_id = arena.open(3)
    terms = arena.twin.rounds[round_id].terms
    assert arena.client.state(round_id) is RoundState.FUNDING
    assert arena.client.terms(round_id) == terms
    assert arena.client._read("game_hash", round_id) == terms.game_hash
    for party, address in enumerate(addresses(arena, 3)):
        seat = arena.client.seat(round_id, party)
        assert (seat.address, seat.closed, seat.payout) == (address, False, None)
    agreement = terms.agreement(
        arena.chain.chain_id, arena.client.address, arena.operator.address, addresses(arena, 3)
    )
    assert arena.client.agreement(round_id) == agreement
    assert arena.client.round_of(agreement) == round_id


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
        ({"unit_scale": 2**96}, "unit scale out of range"),
        ({"exchange_rate": 2**48 + 1}, "exchange rate too large"),
        ({"exchange_rate": 0, "by_proof": True}, "round has no proof"),
        ({"n_parties": 65, "by_proof": True}, "round has no proof"),
        ({"quorum_units": 2**63}, "quorum exceeds 63 bits"),
        ({"funding_deadline": 10**9}, "funding deadline is past"),
        ({"settlement_deadline": 10**9 + 2}, "deadlines out of order"),
        ({"settlement_deadline": 2**40}, "deadline out of range"),
        ({"asset": "0x" + "12" * 20}, "asset is not a contract"),
    ],
)
def test_open_round_reverts_when_its_terms_cannot_be(arena, refused, change, reason):
    terms = replace(arena.terms(3), **change)
    with refused(reason):
        arena.act(arena.operator, "open_round", terms, addresses(arena, 3))


def test_open_round_takes_the_largest_figures(arena):
    extremes = {
        "unit_scale": 2**96 - 1,
        "exchange_rate": 2**48,
        "quorum_units": 2**63 - 1,
        "settlement_deadline": 2**40 - 1,
        "funding_deadline": 2**40 - 2,
    }
    round_id = arena.open(3, by_proof=True, **extremes)
    arena.deposit(round_id, 0, 1)
    assert arena.client.claim(round_id, 0) == 1


def test_open_round_takes_the_largest_number_of_parties(arena):
    terms = arena.terms(32_768)
    arena.act(arena.operator, "open_round", terms, addresses(arena, 2))
    assert arena.client.terms(len(arena.twin.rounds)).n_parties == 32_768


def test_open_round_reverts_when_funding_would_end_at_once(arena, refused):
    now = arena.chain.timestamp()
    with refused("funding deadline is past"):
        arena.open(2, funding_deadline=now)
    with refused("deadlines out of order"):
        arena.open(2, funding_deadline=now + 9, settlement_deadline=now + 9)
    arena.open(2, funding_deadline=now + 1, settlement_deadline=now + 2)


def test_open_round_reverts_when_a_party_is_the_zero_address(arena, refused):
    with refused("party is address zero"):
        arena.act(arena.operator, "open_round", arena.terms(2), [NOBODY, addresses(arena, 1)[0]])


@pytest.mark.parametrize("question", ["claim", "seat"])
def test_nobody_is_asked_about_who_is_no_party(arena, question):
    round_id = arena.funded(10, 5)
    ask = getattr(arena.client, question)
    ask(round_id, 1)
    for party in (2, 2**16, 2**32):
        with pytest.raises(Reverted, match="no such party"):
            ask(round_id, party)


def test_open_round_reverts_when_there_are_more_parties_than_the_terms_say(arena, refused):
    with refused("too many parties"):
        arena.act(arena.operator, "open_round", arena.terms(2), addresses(arena, 3))


def test_open_round_reverts_when_the_agreement_has_a_round(arena, refused):
    """One escrow must not hold one agreement twice: a deposit could not tell which is meant."""
    terms = arena.terms(3)
    arena.act(arena.operator, "open_round", terms, addresses(arena, 3))
    with refused("round was opened before"):
        arena.act(arena.operator, "open_round", terms, addresses(arena, 3))
    arena.act(arena.operator, "open_round", terms, addresses(arena, 2))
    this = len(arena.twin.rounds)
    with refused("round was opened before"):
        arena.act(arena.operator, "register", this, addresses(arena, 3)[2:])
    arena.act(arena.operator, "register", this, addresses(arena, 4)[3:])
    # Another operator is another agreement.
    arena.act(arena.outsider, "open_round", terms, addresses(arena, 3))


def test_register_completes_a_round_in_parts(arena, refused):
    everybody = addresses(arena, 5)
    arena.act(arena.operator, "open_round", arena.terms(5), everybody[:2])
    this = len(arena.twin.rounds)
    assert arena.client.state(this) is RoundState.OPENING
    with refused("round takes no deposits"):
        arena.deposit(this, 0, 5)
    with refused("too many parties"):
        arena.act(arena.operator, "register", this, addresses(arena, 9)[2:6])
    with refused("caller is not operator"):
        arena.act(arena.outsider, "register", this, everybody[2:])
    (event,) = arena.act(arena.operator, "register", this, everybody[2:3])
    assert event == PartiesRegistered(this, 2, tuple(everybody[2:3]))
    assert arena.client.state(this) is RoundState.OPENING
    with refused("caller is not operator"):
        arena.act(arena.outsider, "register", this, everybody[3:])
    (event,) = arena.act(arena.operator, "register", this, everybody[3:])
    assert event == PartiesRegistered(this, 3, tuple(everybody[3:]))
    assert arena.client.state(this) is RoundState.FUNDING
    assert [arena.client.seat(this, party).address for party in range(5)] == everybody
    with refused("round takes no parties"):
        arena.act(arena.operator, "register", this, addresses(arena, 6)[5:])


def test_rounds_of_one_escrow_are_numbered_and_apart(arena):
    first, second = arena.funded(5, 6), arena.funded(7, 8)
    assert second == first + 1
    assert arena.claims(first) == [5, 6]
    assert arena.claims(second) == [7, 8]
    assert arena.reference(first).key != arena.reference(second).key
