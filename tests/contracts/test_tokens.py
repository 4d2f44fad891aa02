"""Rounds in ERC-20 tokens, well-behaved and awkward."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from settlement.chain.errors import Reverted
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import NOBODY, PayoutFailed
from settlement.escrow.interface import Interface
from settlement.escrow.reader import EscrowError
from settlement.escrow.twin import Call
from settlement.round.tokens import lock, permit_to_sign

PLAIN, FEE, FALSE, PHANTOM, REVERTS, HOOKS, DOUBLE, HALF = 0, 1, 2, 3, 4, 6, 7, 8
HAS_ANOTHER_DOMAIN, REFUSES_PERMITS = 9, 10
WEALTH = 10**12


def set_habit(arena, token, habit):
    arena.send(arena.outsider, token, arena.token_abi.encode("set_habit", habit))


def raw_deposit(arena, round_id, units=5, value_wei=0):
    """Only the contract: what an awkward token does is not the twin's to know."""
    named = arena.agreement(round_id)
    data = arena.client.interface.encode("deposit", round_id, 0, named, units, NOBODY, False)
    return arena.send(arena.parties[0], arena.client.address, data, value_wei)


def raw_withdraw(arena, round_id):
    to = arena.parties[0].address
    data = arena.client.interface.encode("withdraw", round_id, 0, to)
    return arena.send(arena.parties[0], arena.client.address, data)


@pytest.fixture(scope="module")
def plain_token(shared_arena):
    return shared_arena.token()


def test_a_round_in_a_plain_token_settles_and_pays(arena, plain_token):
    round_id = arena.funded(10, 5, asset=plain_token)
    assert arena.token_balance(plain_token, arena.client.address) == 15_000
    assert arena.client._read("held", plain_token) == 15_000
    arena.settle(arena.plan(round_id, (0, 1, 4)))
    arena.withdraw(round_id, 0)
    arena.withdraw(round_id, 1)
    assert arena.token_balance(plain_token, arena.client.address) == 0
    assert arena.token_balance(plain_token, arena.parties[0].address) == WEALTH - 4_000
    assert arena.token_balance(plain_token, arena.parties[1].address) == WEALTH + 4_000


def test_deposit_reverts_when_ether_comes_with_a_token(arena, refused, plain_token):
    round_id = arena.open(2, asset=plain_token)
    with refused("round is not in ether"):
        arena.deposit(round_id, 0, 5, value_wei=1)


def test_deposit_reverts_when_the_party_has_or_allows_too_little(arena, refused, plain_token):
    round_id = arena.open(2, asset=plain_token)
    with refused("token refused deposit"):
        arena.deposit(round_id, 0, WEALTH)


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        (FEE, "token moved other amount"),
        (FALSE, "token refused deposit"),
        (PHANTOM, "token moved other amount"),
        (REVERTS, "token refused deposit"),
        (HALF, "token moved other amount"),
    ],
)
def test_deposit_refuses_an_awkward_token(arena, habit, reason):
    token = arena.token(habit=habit)
    round_id = arena.open(2, asset=token)
    with pytest.raises(Reverted, match=f"escrow: {reason}"):
        raw_deposit(arena, round_id)
    assert arena.token_balance(token, arena.client.address) == 0
    assert arena.client.claim(round_id, 0) == 0


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        (DOUBLE, "token moved other amount"),
        (FALSE, "token refused withdrawal"),
        (PHANTOM, "token moved other amount"),
        (REVERTS, "token refused withdrawal"),
        (HALF, "token moved other amount"),
    ],
)
def test_withdraw_refuses_a_token_that_turned_awkward_and_works_when_it_turns_back(
    arena, habit, reason
):
    token = arena.token()
    round_id = arena.funded(10, 50, asset=token)
    arena.expire(round_id)
    set_habit(arena, token, habit)
    with pytest.raises(Reverted, match=f"escrow: {reason}"):
        raw_withdraw(arena, round_id)
    assert arena.client.claim(round_id, 0) == 10
    set_habit(arena, token, 0)
    assert arena.withdraw(round_id, 0) == 10


def test_a_token_that_answers_nothing_works(arena):
    token = arena.token("mocks/OddToken", 0)
    round_id = arena.funded(10, 5, asset=token)
    arena.expire(round_id)
    assert arena.withdraw(round_id, 0) == 10
    assert arena.token_balance(token, arena.client.address) == 5_000


@pytest.mark.parametrize("answer", [2, 2**255])
def test_a_token_that_answers_neither_true_nor_false_is_refused(arena, answer):
    token = arena.token("mocks/OddToken", answer)
    round_id = arena.open(2, asset=token)
    with pytest.raises(Reverted, match="escrow: token refused deposit"):
        raw_deposit(arena, round_id)


def test_a_token_that_lost_what_the_escrow_held_takes_no_more_deposits(arena):
    token = arena.token()
    round_id = arena.open(2, asset=token)
    arena.deposit(round_id, 0, 10)
    arena.deposit(round_id, 1, 50)
    burn = arena.token_abi.encode("burn", arena.client.address, 1)
    arena.send(arena.outsider, token, burn)
    with pytest.raises(Reverted, match="escrow: token lost its balance"):
        raw_deposit(arena, round_id)
    mint = arena.token_abi.encode("mint", arena.client.address, 1)
    arena.send(arena.outsider, token, mint)
    arena.deposit(round_id, 0, 5)


def test_tokens_that_grow_by_themselves_are_nobodys(arena):
    token = arena.token()
    round_id = arena.funded(10, 5, asset=token)
    mint = arena.token_abi.encode("mint", arena.client.address, 999)
    arena.send(arena.outsider, token, mint)
    arena.twin.tokens[token].balances[arena.client.address] += 999
    arena.expire(round_id)
    assert [arena.withdraw(round_id, party) for party in range(2)] == [10, 5]
    assert arena.token_balance(token, arena.client.address) == 999


def test_one_rounds_token_cannot_pay_out_anothers(arena):
    one, other = arena.token(), arena.token()
    first, second = arena.funded(10, 5, asset=one), arena.funded(20, 5, asset=other)
    arena.expire(second)
    assert arena.withdraw(first, 0) == 10
    assert arena.withdraw(second, 0) == 20
    assert arena.token_balance(one, arena.client.address) == 5_000


def test_a_token_that_calls_the_party_does_not_let_it_in_again(arena):
    party_abi = Interface(artifact("mocks/Party").abi)
    token, contract = arena.token(habit=HOOKS), arena.deploy("mocks/Party")
    terms = arena.terms(2, asset=token)
    encode = arena.client.interface.encode
    parties = [contract, arena.parties[0].address]
    opened, _ = arena.act(arena.operator, "open_round", terms, parties)
    balances = arena.twin.tokens[token].balances
    balances[contract] = 10**6
    arena.twin.tokens[token].allowances[contract] = 10**6

    def tell(to, data):
        return arena.send(arena.outsider, contract, party_abi.encode("act", to, data, 0))

    arena.send(arena.outsider, token, arena.token_abi.encode("mint", contract, 10**6))
    tell(token, arena.token_abi.encode("approve", arena.client.address, 10**6))
    arguments = (opened.round_id, 0, arena.agreement(opened.round_id), 8, NOBODY, False)
    deposit = encode("deposit", *arguments)
    prepare = party_abi.encode("prepare", True, arena.client.address, deposit)
    arena.send(arena.outsider, contract, prepare)
    tell(arena.client.address, deposit)
    assert arena.client.claim(opened.round_id, 0) == 8
    assert arena.client._read("held", token) == 8_000
    arena.twin.deposit(_call(arena, contract), *arguments)


def test_permit_deposits_without_an_approval_and_once_used_still_works(arena):
    token = arena.token()
    party = arena.parties[0]
    arena.send(party, token, arena.token_abi.encode("approve", arena.client.address, 0))
    round_id = arena.open(2, asset=token)
    deadline = arena.chain.timestamp() + 500
    v, r, s = _permit(arena, token, party, 5_000, deadline)
    encode = arena.client.interface.encode
    first = (round_id, 0, arena.agreement(round_id), 5, NOBODY, False)
    data = encode("deposit_with_permit", *first, deadline, v, r, s)
    # Somebody takes the permit out of the pool and brings it first.
    front = arena.token_abi.encode(
        "permit", party.address, arena.client.address, 5_000, deadline, v, r, s
    )
    arena.send(arena.outsider, token, front)
    arena.send(party, arena.client.address, data)
    assert arena.client.claim(round_id, 0) == 5
    with pytest.raises(Reverted, match="escrow: token refused deposit"):
        arena.send(party, arena.client.address, data)
    arena.twin.deposit(_call(arena, party.address), *first)
    other = arena.parties[1]
    arena.send(other, token, arena.token_abi.encode("approve", arena.client.address, 0))
    v, r, s = _permit(arena, token, other, 3_000, deadline)
    second = (round_id, 1, arena.agreement(round_id), 3, NOBODY, True)
    data = encode("deposit_with_permit", *second, deadline, v, r, s)
    arena.send(other, arena.client.address, data)
    arena.twin.deposit(_call(arena, other.address), *second)
    assert arena.client.claim(round_id, 1) == 3


def test_permit_of_more_than_63_bits_is_refused_in_words(arena, plain_token):
    round_id = arena.open(2, asset=plain_token)
    for units in (2**63, 2**255):
        data = arena.client.interface.encode(
            "deposit_with_permit",
            *(round_id, 0, arena.agreement(round_id), units, NOBODY, False),
            0,
            0,
            bytes(32),
            bytes(32),
        )
        with pytest.raises(Reverted, match=r"^escrow: deposits exceed 63 bits$"):
            arena.send(arena.parties[0], arena.client.address, data)


def test_permit_is_ignored_in_a_round_in_ether(arena):
    round_id = arena.open(2)
    arguments = (round_id, 0, arena.agreement(round_id), 5, NOBODY, False)
    data = arena.client.interface.encode(
        "deposit_with_permit", *arguments, 0, 0, bytes(32), bytes(32)
    )
    arena.twin.deposit(_call(arena, arena.parties[0].address, 5_000), *arguments)
    arena.send(arena.parties[0], arena.client.address, data, 5_000)
    assert arena.client.claim(round_id, 0) == 5


def test_a_refused_pay_out_moves_no_token(arena, plain_token, refused):
    """The first party is paid before the second is found not to be there: all of it is undone."""
    round_id = arena.settled(10, 5, transfers=[(0, 1, 4)], payouts=True, asset=plain_token)
    held = arena.token_balance(plain_token, arena.client.address)
    with refused("no such party"):
        arena.act(arena.outsider, "pay_out", round_id, [0, 9])
    assert arena.token_balance(plain_token, arena.client.address) == held
    assert arena.twin.tokens[plain_token].balance_of(arena.client.address) == held
    assert arena.claims(round_id) == [6, 9]
    arena.act(arena.outsider, "pay_out", round_id, [0, 1])
    assert arena.token_balance(plain_token, arena.client.address) == held - 15_000


def test_the_client_approves_and_deposits_tokens(arena, plain_token):
    party = arena.parties[3]
    zero = arena.token_abi.encode("approve", arena.client.address, 0)
    arena.send(party, plain_token, zero)
    arena.twin.tokens[plain_token].allowances[party.address] = 0
    round_id = arena.open(4, asset=plain_token)
    with pytest.raises(Reverted, match="escrow: token refused deposit"):
        arena.client.deposit(round_id, 3, party, 6, arena.agreement(round_id))
    arena.client.approve(round_id, 3, party, 6)
    arena.twin.tokens[plain_token].allowances[party.address] = 6_000
    arena.twin.deposit(_call(arena, party.address), round_id, 3, arena.agreement(round_id), 6)
    arena.client.deposit(round_id, 3, party, 6, arena.agreement(round_id))
    assert arena.client.claim(round_id, 3) == 6
    ether = arena.open(2)
    with pytest.raises(EscrowError, match="is in ether"):
        arena.client.approve(ether, 0, party, 6)


def test_the_client_deposits_with_a_permit(arena):
    token, party = arena.token(), arena.parties[0]
    arena.send(party, token, arena.token_abi.encode("approve", arena.client.address, 0))
    round_id = arena.open(2, asset=token)
    deadline = arena.chain.timestamp() + 500
    signature = _permit(arena, token, party, 5_000, deadline)
    arena.twin.deposit(_call(arena, party.address), round_id, 0, arena.agreement(round_id), 5)
    arena.client.deposit_with_permit(
        round_id, 0, party, 5, arena.agreement(round_id), deadline=deadline, signature=signature
    )
    assert arena.client.claim(round_id, 0) == 5


@pytest.mark.parametrize(
    ("habit", "with_key", "calls"),
    [
        (PLAIN, True, ["deposit"]),
        (PLAIN, False, ["approve", "deposit"]),  # a wallet that is a contract
        (HAS_ANOTHER_DOMAIN, True, ["approve", "deposit"]),
        (REFUSES_PERMITS, True, ["approve", "deposit"]),
    ],
)
def test_a_deposit_takes_one_transaction_where_the_token_knows_permits(
    arena, habit, with_key, calls
):
    token, party = arena.token(), arena.parties[0]
    arena.send(party, token, arena.token_abi.encode("approve", arena.client.address, 0))
    set_habit(arena, token, habit)
    round_id = arena.open(2, asset=token)
    sent_before = len(arena.chain.labels())
    agreement = arena.agreement(round_id)
    keyless = SimpleNamespace(address=party.address, sign_transaction=party.sign_transaction)
    account = party if with_key else keyless
    lock(arena.client, round_id, 0, account, 5, agreement, payout=NOBODY, last=True)
    arena.twin.deposit(_call(arena, party.address), round_id, 0, agreement, 5, NOBODY, True)
    assert [label.split("/")[0] for label in arena.chain.labels()[sent_before:]] == calls


def test_a_permit_names_the_token_that_is_asked_and_the_chain_that_is_looked_at(arena):
    """A token that spells another's domain gets no signature that is good there."""
    token, party = arena.token(), arena.parties[0]
    place = (arena.chain, token, party.address, arena.client.address, 5, 10**10)
    domain = permit_to_sign(*place)["domain"]
    assert domain["verifyingContract"] == token
    assert domain["chainId"] == arena.chain.chain_id
    set_habit(arena, token, HAS_ANOTHER_DOMAIN)
    assert permit_to_sign(*place) is None
    assert permit_to_sign(arena.chain, arena.client.address, *place[2:]) is None  # no token


def test_pay_out_of_a_token_pays_and_a_refusal_keeps_the_claim(arena):
    token = arena.token()
    round_id = arena.funded(10, 5, payouts=True, asset=token)
    arena.expire(round_id)
    data = arena.client.interface.encode("pay_out", round_id, [0, 1])
    for habit in (FALSE, REVERTS):
        set_habit(arena, token, habit)
        receipt = arena.send(arena.outsider, arena.client.address, data)
        places = [account.address for account in arena.parties[:2]]
        assert arena.events_of(receipt) == [
            PayoutFailed(round_id, 0, places[0], 10),
            PayoutFailed(round_id, 1, places[1], 5),
        ]
        assert arena.claims(round_id) == [10, 5]
    # One that says yes and moves something else takes nobody's claim either.
    for habit in (DOUBLE, PHANTOM, HALF):
        set_habit(arena, token, habit)
        with pytest.raises(Reverted, match="escrow: token moved other amount"):
            arena.send(arena.outsider, arena.client.address, data)
    set_habit(arena, token, 0)
    events = arena.act(arena.outsider, "pay_out", round_id, [0, 1])
    assert [event.units for event in events] == [10, 5]
    assert arena.token_balance(token, arena.client.address) == 0
    assert arena.client._read("held", token) == 0


def _call(arena, sender, value_wei=0):
    return Call(sender, arena.chain.timestamp(), value_wei)


def _permit(arena, token, account, amount_wei, deadline):
    nonce = arena.token_abi.decode(
        "nonces", arena.chain.call(token, arena.token_abi.encode("nonces", account.address))
    )
    signed = account.sign_typed_data(
        domain_data={
            "name": "Token",
            "version": "1",
            "chainId": arena.chain.chain_id,
            "verifyingContract": token,
        },
        message_types={
            "Permit": [
                {"name": "owner", "type": "address"},
                {"name": "spender", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ]
        },
        message_data={
            "owner": account.address,
            "spender": arena.client.address,
            "value": amount_wei,
            "nonce": nonce,
            "deadline": deadline,
        },
    )
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
