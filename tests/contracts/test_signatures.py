"""Who has signed: keys, wallets that are contracts, accounts that are both; and snekmate's view."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from vyper.cli.vyper_compile import compile_files

from settlement.chain.errors import Reverted, SignatureError
from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from settlement.escrow.events import NOBODY
from settlement.escrow.interface import Interface
from settlement.escrow.signing import pack_signatures
from settlement.escrow.twin import Call
from settlement.escrow.typed_data import sign_plan
from tests.contracts.arena import Arena

HERE = Path(__file__).parent
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OBEYS, WANTS_A_WORD, SAYS_ELSE, REVERTS, BURNS, SAYS_MORE = range(6)
WALLET = Interface(artifact("mocks/Wallet").abi)


def compiled(name):
    snekmate = Path(next(iter(find_spec("snekmate").submodule_search_locations)))
    paths = [str(HERE.parents[1] / "contracts"), str(snekmate.parent)]
    formats = ["abi", "bytecode"]
    (output,) = compile_files([str(HERE / name)], output_formats=formats, paths=paths).values()
    return Interface(output["abi"]), bytes.fromhex(output["bytecode"][2:])


class Contract:
    def __init__(self, arena, name):
        self.interface, code = compiled(name)
        self.chain = arena.chain
        self.address = arena.send(arena.outsider, None, code).contract_address

    def ask(self, name, *arguments):
        answer = self.chain.call(self.address, self.interface.encode(name, *arguments))
        return self.interface.decode(name, answer) if answer else None


@pytest.fixture(scope="module")
def ours(shared_arena):
    return Contract(shared_arena, "Signed.vy")


@pytest.fixture(scope="module")
def theirs(shared_arena):
    return Contract(shared_arena, "Recovery.vy")


def malleated(signature):
    mirrored = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + mirrored.to_bytes(32, "big") + bytes([55 - signature[64]])


def odd_signatures(digest, account, generator):
    """Good ones, and every way in which one can be bad."""
    good = bytes(account.unsafe_sign_hash(digest).signature)
    flipped = bytearray(good)
    flipped[generator.randrange(64)] ^= 1 << generator.randrange(8)
    yield from (good, bytes(flipped), malleated(good))
    for v in (1, 2, 26, 29, 255):
        yield good[:64] + bytes([v])
    for r, s in ((0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 1), (1, 2**256 - 1)):
        yield r.to_bytes(32, "big") + s.to_bytes(32, "big") + b"\x1b"
    half = ORDER // 2
    for s in (half, half + 1):
        yield good[:32] + s.to_bytes(32, "big") + b"\x1c"


def accepts(contract, account, digest, signature):
    try:
        contract.ask("check", account, digest, 0, signature)
    except Reverted as refusal:
        if refusal.reason != "escrow: not signed by party":
            raise
        return False
    return True


def test_recovery_is_that_of_snekmate(ours, theirs):
    generator = random.Random(5)
    n_good = 0
    for number in range(1, 9):
        account = Account.from_key(number.to_bytes(32, "big"))
        digest = generator.randbytes(32)
        for signature in odd_signatures(digest, account, generator):
            try:
                found = theirs.ask("recover", digest, signature)
            except Reverted:  # it refuses a high s
                found = NOBODY
            good = int(found, 16) == int(account.address, 16)
            assert accepts(ours, account.address, digest, signature) == good
            if int(found, 16):  # whoever else it recovers to, on both sides
                assert accepts(ours, found, digest, signature)
            n_good += good
    assert n_good == 8


def test_digests_are_those_of_snekmate_and_of_python(arena, ours, theirs):
    """The domain holds the contract's address, so each is held against its own."""
    for contract in (ours, theirs):
        word = keccak(text="a struct")
        domain = keccak(
            keccak(
                text="EIP712Domain(string name,string version,uint256 chainId,"
                "address verifyingContract)"
            )
            + keccak(text="fairround escrow")
            + keccak(text="2")
            + arena.chain.chain_id.to_bytes(32, "big")
            + bytes(12)
            + bytes.fromhex(contract.address[2:])
        )
        assert contract.ask("digest", word) == keccak(b"\x19\x01" + domain + word)


def test_the_domain_is_told_as_erc_5267_wants_it(arena):
    fields, name, version, chain_id, contract, salt, extensions = arena.client._read("eip712Domain")
    assert (fields, name, version) == (b"\x0f", "fairround escrow", "2")
    assert (chain_id, salt, list(extensions)) == (arena.chain.chain_id, bytes(32), [])
    assert int(contract, 16) == int(escrow_address(), 16)


def test_a_malleated_signature_is_refused(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    first, second = arena.signatures(arena.consent(plan))
    with refused("not signed by party"):
        arena.settle(plan, signatures=[malleated(first), second], twin=[None, None])


# Wallets that are contracts


class WalletParty:
    """Party 1 of a round of two is a contract that party 5 owns."""

    def __init__(self, arena, habit=OBEYS, seat=1, units=5):
        self.arena, self.owner, self.seat = arena, arena.parties[5], seat
        self.address = arena.deploy("mocks/Wallet", self.owner.address, habit)
        seats = [arena.parties[0].address, arena.parties[1].address]
        seats[seat] = self.address
        self.round_id = arena.open(2, seats)
        if seat:
            arena.deposit(self.round_id, 0, 10, last=True)
        else:
            arena.deposit(self.round_id, 1, 10, last=True)
        self.fund(units)

    def fund(self, units):
        arena, named = self.arena, self.arena.agreement(self.round_id)
        arguments = (self.round_id, self.seat, named, units, NOBODY, True)
        value_wei = units * 1_000
        data = arena.client.interface.encode("deposit", *arguments)
        self.tell("act", arena.client.address, data, value_wei, value_wei=value_wei)
        call = Call(self.address, arena.chain.timestamp(), value_wei)
        arena.twin.deposit(call, *arguments)

    def tell(self, name, *arguments, value_wei=0):
        data = WALLET.encode(name, *arguments)
        self.arena.send(self.arena.outsider, self.address, data, value_wei)

    def settle(self, signature, *, accepted):
        arena = self.arena
        plan = arena.plan(self.round_id, (1 - self.seat, self.seat, 4))
        consent = arena.consent(plan)
        other = arena.parties[1 - self.seat]
        signatures, twin = [b"", b""], [other.address, other.address]
        signatures[1 - self.seat] = sign_plan(consent, 1 - self.seat, other)
        signatures[self.seat] = signature(consent) if callable(signature) else signature
        twin[self.seat] = self.address if accepted else None
        return arena.settle(plan, signatures=signatures, twin=twin)

    def owners(self, consent):
        return sign_plan(consent, self.seat, self.owner)


@pytest.mark.parametrize("seat", [0, 1])
def test_a_wallet_signs_by_its_owners_key(arena, seat):
    """In the first place and in the last, where nothing lies behind its 65 bytes."""
    party = WalletParty(arena, seat=seat)
    party.settle(party.owners, accepted=True)
    claims = [6, 6]
    claims[party.seat] = 9
    assert arena.claims(party.round_id) == claims


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 65, 66, 2_047, 2_048])
def test_a_wallet_signs_with_up_to_2048_bytes_of_any_kind(arena, refused, length):
    party = WalletParty(arena, WANTS_A_WORD)
    word = bytes(1 + k % 255 for k in range(max(0, length - 1))) + bytes(min(length, 1))
    with refused("not signed by party"):
        party.settle(b"another word", accepted=False)
    party.tell("want", word)
    party.settle(word, accepted=True)


def test_a_signature_of_more_than_2048_bytes_is_refused_on_both_sides(arena, refused):
    party = WalletParty(arena, WANTS_A_WORD)
    with pytest.raises(SignatureError, match="expected at most 2048"):
        pack_signatures([bytes(65), bytes(2_049)])
    from settlement.escrow.twin import Refusal

    plan = arena.plan(party.round_id, (0, 1, 4))
    first = sign_plan(arena.consent(plan), 0, arena.parties[0])
    for start, length in ((160, 2_049), (161, 32), (160, 2**255)):
        record = start.to_bytes(32, "big") + length.to_bytes(32, "big") + b"\0"
        blob = first + record + bytes(30 + 2_080)
        with refused("odd wallet signature"):
            arena.act(
                arena.outsider,
                "settle",
                *(party.round_id, plan.encode(), blob),
                twin=(
                    party.round_id,
                    plan.encode(),
                    [arena.parties[0].address, Refusal("odd wallet signature")],
                ),
            )


@pytest.mark.parametrize("habit", [SAYS_ELSE, REVERTS, BURNS, SAYS_MORE])
def test_a_wallet_that_does_not_say_the_magic_word_has_not_signed(arena, refused, habit):
    """Also one that burns all gas it gets: there is a limit, and the call itself goes on."""
    party = WalletParty(arena)
    party.tell("set_habit", habit)
    with refused("not signed by party"):
        party.settle(party.owners, accepted=False)
    party.tell("set_habit", OBEYS)
    party.settle(party.owners, accepted=True)


def test_a_wallet_of_another_owner_has_not_signed(arena, refused):
    party = WalletParty(arena)
    with refused("not signed by party"):
        party.settle(lambda consent: sign_plan(consent, 1, arena.parties[6]), accepted=False)


def test_a_partys_address_without_code_has_not_signed_as_a_wallet(arena, refused):
    """Asked as a wallet, an address without code answers nothing, which is not yes."""
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    first = sign_plan(arena.consent(plan), 0, arena.parties[0])
    with refused("not signed by party"):
        twin = [arena.parties[0].address, None]
        arena.settle(plan, signatures=[first, b"\x01" * 66], twin=twin)


def test_an_account_with_code_and_a_key_signs_with_its_key():
    """EIP-7702: the account delegates to a contract that refuses everything; its key counts."""
    arena = Arena(exact=True)
    account = arena.parties[8]
    refuses = arena.deploy("mocks/Wallet", arena.outsider.address, REVERTS)
    delegate(arena, account, refuses)
    assert arena.chain.code(account.address)[:3] == bytes.fromhex("ef0100")
    round_id = arena.open(2, [arena.parties[0].address, account.address])
    arena.deposit(round_id, 0, 10, last=True)
    arena.close(round_id, 1, account.address, account=account)
    plan = arena.plan(round_id, (0, 1, 4))
    signers = [arena.parties[0], account]
    arena.settle(plan, signatures=arena.signatures(arena.consent(plan), signers))
    assert arena.claims(round_id) == [6, 4]
    arena.act(arena.outsider, "pay_out", round_id, [1])
    assert arena.claims(round_id) == [6, 0]


def delegate(arena, account, target):
    """One transaction of type 4 that gives an account code."""
    evm = arena.chain.evm
    authorization = account.sign_authorization(
        {"chainId": arena.chain.chain_id, "address": target, "nonce": evm.nonce(account.address)}
    )
    sender = arena.outsider
    signed = sender.sign_transaction(
        {
            "type": 4,
            "chainId": arena.chain.chain_id,
            "nonce": evm.nonce(sender.address),
            "to": sender.address,
            "value": 0,
            "data": b"",
            "gas": 200_000,
            "maxFeePerGas": evm.base_fee_wei,
            "maxPriorityFeePerGas": 0,
            "authorizationList": [authorization],
        }
    )
    assert evm.execute("delegate", evm.decode(bytes(signed.raw_transaction))).succeeded


def test_the_words_that_python_signs_are_the_contracts(arena):
    """Nothing is left out of the typed data: its digest is what the contract recovers from."""
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    data = arena.consent(plan).typed_data(0)
    message = encode_typed_data(full_message=data)
    digest = keccak(b"\x19" + message.version + message.header + message.body)
    signature = sign_plan(arena.consent(plan), 0, arena.parties[0])
    assert Account._recover_hash(digest, signature=signature) == arena.parties[0].address
    assert data["message"]["transfers"] == [
        {
            "debtor": arena.parties[0].address,
            "creditor": arena.parties[1].address,
            "amount_wei": 4_000,
        }
    ]
