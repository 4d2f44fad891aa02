from __future__ import annotations

from dataclasses import astuple

import pytest
from eth_utils.address import to_checksum_address

from settlement.chain.errors import Reverted
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import Withdrawn
from settlement.escrow.interface import Interface
from settlement.escrow.twin import Call

FRESH = to_checksum_address("0x" + "ab" * 20)
NOBODY = "0x" + "00" * 20


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
    events = arena.act(arena.parties[0], "withdraw", round_id, FRESH)
    assert events == [Withdrawn(round_id, 0, FRESH, 6)]


def test_nothing_is_left_of_a_round_when_everybody_has_withdrawn(arena):
    before = arena.chain.balance(arena.client.address)
    round_id = arena.settled(10, 5, 8, transfers=[(0, 1, 4), (2, 1, 8)])
    for party in (1, 0):
        arena.withdraw(round_id, party)
    assert arena.chain.balance(arena.client.address) == before
    assert arena.client._read("total_units", round_id) == 0


def test_withdraw_reverts_before_settlement(arena, refused):
    round_id = arena.funded(10, 5)
    with refused("round is still open"):
        arena.withdraw(round_id, 0)
    arena.endorse(arena.plan(round_id, (0, 1, 4)))
    with refused("round is still open"):
        arena.withdraw(round_id, 0)


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
    with refused("caller is not a party"):
        arena.act(arena.outsider, "withdraw", round_id, FRESH)
    with refused("no recipient"):
        arena.act(arena.parties[0], "withdraw", round_id, NOBODY)
    with refused("nothing to withdraw"):
        arena.withdraw(round_id, 2)
    with refused("no such round"):
        arena.act(arena.parties[0], "withdraw", 10**6, FRESH)


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


def test_a_party_that_refuses_ether_hurts_nobody_and_can_name_another_address(arena):
    """The party is a contract that reverts on receipt."""
    party_abi = Interface(artifact("mocks/Party").abi)
    contract = arena.deploy("mocks/Party")
    terms = arena.terms(2)
    arena.act(arena.operator, "open_round", terms, [contract, arena.parties[0].address])
    round_id = len(arena.twin.rounds)

    def tell(data, value_wei=0):
        act = party_abi.encode("act", arena.client.address, data, value_wei)
        return arena.send(arena.outsider, contract, act, value_wei)

    def twin(name, *arguments, value_wei=0):
        call = Call(contract, arena.chain.timestamp(), value_wei)
        return getattr(arena.twin, name)(call, *arguments)

    twin("deposit", round_id, arena.agreement(round_id), 8, value_wei=8_000)
    encode = arena.client.interface.encode
    tell(encode("deposit", round_id, arena.agreement(round_id), 8), 8_000)
    arena.act(arena.parties[0], "deposit", round_id, arena.agreement(round_id), 5, value_wei=5_000)
    arena.expire(round_id)
    # It refuses its ether: nothing moves, and its claim stands.
    with pytest.raises(Reverted, match="escrow: recipient refused ether"):
        tell(encode("withdraw", round_id, contract))
    assert arena.client.claim(round_id, 0) == 8
    # It tries to be paid twice: the second call is locked out, the first goes through.
    again = encode("withdraw", round_id, contract)
    data = party_abi.encode("prepare", True, arena.client.address, again)
    arena.send(arena.outsider, contract, data)
    twin("withdraw", round_id, contract)
    tell(encode("withdraw", round_id, contract))
    assert arena.chain.balance(contract) == 8_000
    assert arena.client.claim(round_id, 0) == 0
    (withdrawal,) = arena.act(arena.parties[0], "withdraw", round_id, arena.parties[0].address)
    assert withdrawal.units == 5


def test_a_party_that_calls_back_from_its_withdrawal_is_locked_out_everywhere(arena):
    party_abi, encode = Interface(artifact("mocks/Party").abi), arena.client.interface.encode
    contract = arena.deploy("mocks/Party")
    terms = arena.terms(2)
    address = arena.parties[0].address
    arena.act(arena.operator, "open_round", terms, [contract, address])
    round_id = len(arena.twin.rounds)
    deposit = encode("deposit", round_id, arena.agreement(round_id), 8)
    act = party_abi.encode("act", arena.client.address, deposit, 8_000)
    arena.send(arena.outsider, contract, act, 8_000)
    arena.twin.deposit(
        Call(contract, arena.chain.timestamp(), 8_000), round_id, arena.agreement(round_id), 8
    )
    arena.expire(round_id)
    reactions = (
        encode("claim", round_id, 0),  # a view: nobody may look while money is moving
        encode("withdraw_bond", contract),
        encode("settle", round_id, b""),
        encode("open_round", astuple(terms), [contract, address]),
    )
    for reaction in reactions:
        data = party_abi.encode("prepare", True, arena.client.address, reaction)
        arena.send(arena.outsider, contract, data)
        withdraw = encode("withdraw", round_id, contract)
        # A call: the party reverts if the escrow lets it in, and then so does the withdrawal.
        act = party_abi.encode("act", arena.client.address, withdraw, 0)
        arena.chain.call(contract, act, arena.outsider.address)
    arena.twin.withdraw(Call(contract, arena.chain.timestamp()), round_id, contract)
    arena.send(arena.outsider, contract, act)
