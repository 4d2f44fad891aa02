from __future__ import annotations

from dataclasses import astuple

import pytest
from eth_utils.address import to_checksum_address

from settlement.chain.errors import Reverted
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import NOBODY, Withdrawn
from settlement.escrow.interface import Interface
from settlement.escrow.twin import Call

FRESH = to_checksum_address("0x" + "ab" * 20)
PARTY = Interface(artifact("mocks/Party").abi)


def test_withdraw_pays_deposit_and_net_to_any_address_once(arena, refused):
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)])
    before = arena.chain.balance(FRESH)
    assert arena.withdraw(round_id, 1, FRESH) == 9
    assert arena.chain.balance(FRESH) == before + 9_000
    assert arena.client.claim(round_id, 1) == 0
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 1)
    assert arena.withdraw(round_id, 0) == 6


def test_withdraw_emits_withdrawn(arena):
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)])
    events = arena.act(arena.parties[0], "withdraw", round_id, 0, FRESH)
    assert events == [Withdrawn(round_id, 0, FRESH, 6)]


def test_nothing_is_left_of_a_round_when_everybody_has_withdrawn(arena):
    before = arena.chain.balance(arena.client.address)
    round_id = arena.settled(10, 5, 8, transfers=[(0, 1, 4), (2, 1, 8)])
    for party in (1, 0):
        arena.withdraw(round_id, party)
    assert arena.chain.balance(arena.client.address) == before
    assert arena.client.figures(round_id).total_units == 0


def test_withdraw_reverts_before_settlement(arena, refused):
    round_id = arena.funded(10, 5)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    by_proof, _ = arena.three_parties()
    with refused("round is still open"):
        arena.withdraw(by_proof, 0)


def test_withdraw_gives_deposits_back_the_second_after_the_deadline(arena, refused):
    round_id = arena.funded(10, 5)
    arena.chain.advance_to(arena.client.terms(round_id).settlement_deadline)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    arena.chain.advance_to(arena.client.terms(round_id).settlement_deadline + 1)
    assert arena.withdraw(round_id, 0) == 10
    assert arena.withdraw(round_id, 1) == 5


def test_withdraw_reverts_for_strangers_nobody_and_nothing(arena, refused):
    round_id = arena.settled(10, 0, 0, transfers=[(0, 1, 4)])
    for account in (arena.outsider, arena.operator, arena.parties[1]):
        with refused("caller is not that party"):
            arena.act(account, "withdraw", round_id, 0, FRESH)
    with refused("no recipient"):
        arena.act(arena.parties[0], "withdraw", round_id, 0, NOBODY)
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 2)
    for other in (0, 10**6, 2**224 + round_id):
        with refused("no such round"):
            arena.act(arena.parties[0], "withdraw", other, 0, FRESH)


def test_nothing_can_be_withdrawn_to_the_escrow_itself(arena, refused):
    """It would be nobody's there: the escrow takes no ether, and a token would not have moved."""
    escrow = arena.client.address
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)])
    with refused("recipient refused ether"):
        arena.withdraw(round_id, 0, escrow)
    token = arena.token()
    round_id = arena.funded(10, 5, asset=token)
    arena.expire(round_id)
    with refused("token moved other amount"):
        arena.withdraw(round_id, 0, escrow)
    assert arena.withdraw(round_id, 0, FRESH) == 10


def test_a_round_that_never_got_all_its_parties_holds_nothing(arena, refused):
    terms = arena.terms(3)
    addresses = [account.address for account in arena.parties[:2]]
    arena.act(arena.operator, "open_round", terms, addresses)
    round_id = len(arena.twin.rounds)
    arena.expire(round_id)
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 0)
    with refused("caller is not that party"):
        arena.withdraw(round_id, 2)
    assert arena.act(arena.outsider, "pay_out", round_id, [0, 1, 2]) == []


def contract_party(arena, *, payout=NOBODY):
    """A round whose first party is a contract that does as it is told."""
    contract = arena.deploy("mocks/Party")
    round_id = arena.open(2, [contract, arena.parties[1].address])
    to = contract if payout is None else payout
    arguments = (round_id, 0, arena.agreement(round_id), 8, to, True)
    tell(arena, contract, arena.client.interface.encode("deposit", *arguments), 8_000)
    arena.twin.deposit(Call(contract, arena.chain.timestamp(), 8_000), *arguments)
    arena.deposit(round_id, 1, 5, last=True)
    return contract, round_id


def tell(arena, contract, data, value_wei=0):
    act = PARTY.encode("act", arena.client.address, data, value_wei)
    return arena.send(arena.outsider, contract, act, value_wei)


def test_a_party_that_refuses_ether_hurts_nobody_and_can_name_another_address(arena):
    """The party is a contract that reverts on receipt."""
    contract, round_id = contract_party(arena)
    encode = arena.client.interface.encode
    arena.expire(round_id)
    # It refuses its ether: nothing moves, and its claim stands.
    with pytest.raises(Reverted, match="escrow: recipient refused ether"):
        tell(arena, contract, encode("withdraw", round_id, 0, contract))
    assert arena.client.claim(round_id, 0) == 8
    # It tries to be paid twice: the second call is locked out, the first goes through.
    again = encode("withdraw", round_id, 0, contract)
    data = PARTY.encode("prepare", True, arena.client.address, again)
    arena.send(arena.outsider, contract, data)
    arena.twin.withdraw(Call(contract, arena.chain.timestamp()), round_id, 0, contract)
    tell(arena, contract, encode("withdraw", round_id, 0, contract))
    assert arena.chain.balance(contract) == 8_000
    assert arena.client.claim(round_id, 0) == 0
    assert arena.withdraw(round_id, 1) == 5


def test_a_party_that_calls_back_from_its_withdrawal_is_locked_out_everywhere(arena):
    contract, round_id = contract_party(arena)
    encode, address = arena.client.interface.encode, arena.parties[1].address
    arena.expire(round_id)
    empty = (round_id, b"", b"")
    reactions = (
        encode("claim", round_id, 0),  # a view: nobody may look while money is moving
        encode("figures", round_id),
        encode("withdraw", round_id, 0, contract),
        encode("pay_out", round_id, []),
        encode("settle", *empty),
        encode("settle_large", *empty),
        encode("settle_chunk", *empty),
        encode("settle_by_proof", round_id, b"", [], b""),
        encode("endorse", round_id, bytes(32), 0, 0, 0, b""),
        encode("revoke", round_id, 0),
        encode("close", round_id, 0, bytes(32), address),
        encode("open_round", astuple(arena.terms(2)), [contract, address]),
    )
    withdraw = encode("withdraw", round_id, 0, contract)
    act = PARTY.encode("act", arena.client.address, withdraw, 0)
    for reaction in reactions:
        data = PARTY.encode("prepare", True, arena.client.address, reaction)
        arena.send(arena.outsider, contract, data)
        # A call: the party reverts if the escrow lets it in, and then so does the withdrawal.
        arena.chain.call(contract, act, arena.outsider.address)
    arena.twin.withdraw(Call(contract, arena.chain.timestamp()), round_id, 0, contract)
    arena.send(arena.outsider, contract, act)
