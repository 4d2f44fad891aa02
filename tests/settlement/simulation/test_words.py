"""Quick encodings are the general ones, byte by byte."""

import random

import pytest
from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from settlement.escrow.artifacts import artifact
from settlement.escrow.events import Deposited, PartiesRegistered, RoundOpened, RoundTerms, Settled
from settlement.escrow.interface import Interface
from settlement.escrow.typed_data import Consent
from settlement.money.terms import RoundReference, SettlementPlan, Transfer
from settlement.simulation.arena.accounts import simulated
from settlement.simulation.arena.digests import digests_of
from settlement.simulation.arena.words import Calls, Events, WordError, encoder_of

ABI = artifact().abi
PARTIES = tuple(simulated(f"account {k}").address for k in range(5))
TERMS = RoundTerms(
    terms_hash=bytes(range(32)),
    game_hash=bytes(32),
    unit_scale=10**12,
    exchange_rate=10**6,
    funding_deadline=10,
    settlement_deadline=20,
    n_parties=5,
    by_proof=True,
)
TRANSFERS = (Transfer(0, 1, 7), Transfer(3, 2, 2**63 - 1))


def arguments_of(parameter, rng):
    kind = parameter["type"]
    if kind.endswith("[]"):
        return [
            arguments_of({**parameter, "type": kind[:-2]}, rng) for _ in range(rng.randrange(4))
        ]
    if kind == "tuple":
        return tuple(arguments_of(p, rng) for p in parameter["components"])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "address":
        return rng.choice(PARTIES)
    if kind == "bytes":
        return rng.randbytes(rng.randrange(70))
    if kind.startswith("bytes"):
        return rng.randbytes(int(kind[5:]))
    if kind.startswith("int"):
        return rng.randrange(-100, 100)
    return rng.randrange(2 ** int(kind[4:]))


FUNCTIONS = [i["name"] for i in ABI if i["type"] == "function" and i["stateMutability"] != "view"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_calls_are_encoded_as_the_general_encoder_does(name):
    item = next(i for i in ABI if i.get("name") == name and i["type"] == "function")
    rng = random.Random(name)
    calls, general = Calls(ABI), Interface(ABI)
    for _ in range(20):
        arguments = [arguments_of(p, rng) for p in item["inputs"]]
        assert calls.encode(name, *arguments) == general.encode(name, *arguments)


@pytest.mark.parametrize(
    "event",
    [
        RoundOpened(1, PARTIES[0], TERMS),
        PartiesRegistered(2, 0, PARTIES),
        Deposited(3, 4, 5, PARTIES[1]),
        Settled(6, bytes(range(32)), TRANSFERS),
        Settled(6, bytes(32), ()),
    ],
)
def test_events_are_the_logs_that_the_general_decoder_reads(event):
    from settlement.chain.records import Log
    from settlement.escrow.events import event_of

    log = Events(ABI).log("0x" + "11" * 20, event)
    full = Log(log.address, log.topics, log.data, 1, bytes(32), 0)
    assert event_of(*Interface(ABI).decode_log(full)) == event


@pytest.mark.parametrize("n_parties", [5, 70, 1100])
def test_digests_are_those_of_a_wallet(n_parties):
    parties = tuple(simulated(f"account {k}").address for k in range(n_parties))
    reference = RoundReference(77, "0x" + "22" * 20, 3, bytes(range(32)), n_parties)
    consent = Consent(
        plan=SettlementPlan(reference, TRANSFERS),
        game_hash=bytes(range(1, 33)),
        deposits_hash=bytes(range(2, 34)),
        deadline=99,
        revocations=2,
        asset="0x" + "00" * 20,
        unit_scale=10**12,
        parties=parties,
    )
    found = digests_of(consent)
    assert len(found) == n_parties
    for party in (0, 1, n_parties - 1):
        message = encode_typed_data(full_message=consent.typed_data(party))
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        assert found[party] == digest


def test_negative_numbers_and_what_is_not_known():
    assert encoder_of("int256")(-5) == encode(["int256"], [-5])
    with pytest.raises(WordError):
        encoder_of("bytes")
    with pytest.raises(WordError, match="fixed168x10"):
        encoder_of("fixed168x10")


def test_a_simulated_account_signs_what_the_evm_recovers():
    from eth_keys.datatypes import Signature

    account = simulated("account 1")
    digest = bytes(range(32))
    signed = account.sign(digest)
    signature = Signature(signed[:64] + bytes([signed[64] - 27]))
    assert signature.recover_public_key_from_msg_hash(digest).to_checksum_address() == (
        account.address
    )
