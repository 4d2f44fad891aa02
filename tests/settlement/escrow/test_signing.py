from __future__ import annotations

import copy

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.chain import ChainSpec, open_chain
from settlement.chain.errors import SignatureError
from settlement.escrow.signing import (
    check_signature,
    plan_in_words,
    sign_typed_data,
    signer_of,
    typed_data_in_words,
)
from settlement.escrow.typed_data import settlement_typed_data
from settlement.money.terms import RoundReference, SettlementPlan, Transfer
from tests.settlement.escrow import escrow_story

ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NAMES = ("lab", "clinic", "archive")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PLAN = SettlementPlan(
    RoundReference(31337, ESCROW, 4, bytes(range(32))),
    (Transfer(0, 1, 112_500), Transfer(0, 2, 87_500)),
)


@pytest.fixture
def signer():
    return Account.from_key(bytes([7] * 32))


# The example of the EIP itself.
MAIL = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}


def test_signature_of_the_example_of_the_eip_is_the_one_it_prints():
    account = Account.from_key(keccak(text="cow"))
    signature = sign_typed_data(account, MAIL)
    assert signature.hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562"
        "1c"
    )
    assert signer_of(MAIL, signature) == "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"


def test_words_show_every_field_that_is_signed():
    words = typed_data_in_words(MAIL)
    for shown in ("Mail", "Ether Mail", "chainId: 1", "Cow", "Bob", "Hello, Bob!", "0xbBbB"):
        assert shown in words


@pytest.mark.parametrize("part", ["domain", "message"])
def test_words_refuse_a_field_that_is_not_declared(part):
    changed = copy.deepcopy(MAIL)
    changed[part]["hidden"] = 5
    with pytest.raises(SignatureError, match="Fields hidden of"):
        typed_data_in_words(changed)
    changed = copy.deepcopy(MAIL)
    del changed["message"]["contents"]
    with pytest.raises(SignatureError, match="Fields contents of"):
        typed_data_in_words(changed)


def test_words_show_lists_item_by_item():
    data = {
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Item": [{"name": "units", "type": "uint64"}],
            "Order": [{"name": "items", "type": "Item[]"}, {"name": "marks", "type": "bytes4[2]"}],
        },
        "primaryType": "Order",
        "domain": {"name": "shop"},
        "message": {"items": [{"units": 3}, {"units": 4}], "marks": [b"abcd", b"efgh"]},
    }
    assert typed_data_in_words(data) == (
        'Sign "Order"\n  for name: shop\n  items: 2 items\n    [0]:\n      units: 3\n'
        "    [1]:\n      units: 4\n  marks: 2 items\n    [0]: 0x61626364\n    [1]: 0x65666768"
    )


def test_plan_is_told_to_its_signer_in_words():
    words = plan_in_words(PLAN, settlement_typed_data(PLAN), NAMES, signer=0)
    assert words.startswith(
        f"Settlement of round 4 in escrow {ESCROW} on chain 31337.\n"
        'You, "lab", pay 200000 base units net.\n'
        '  "lab" pays "clinic" 112500 base units.\n'
        '  "lab" pays "archive" 87500 base units.\n'
    )
    assert f"plan_id: 0x{PLAN.plan_id.hex()}" in words
    assert 'You, "clinic", receive 112500' in plan_in_words(
        PLAN, settlement_typed_data(PLAN), NAMES, 1
    )


@pytest.mark.parametrize(
    ("part", "field", "value", "what"),
    [
        ("domain", "chainId", 1, "chain"),
        ("domain", "verifyingContract", "0x" + "11" * 20, "contract"),
        ("message", "round_id", 5, "round"),
        ("message", "terms_hash", bytes(32), "terms hash"),
        ("message", "plan_id", bytes(32), "plan"),
    ],
)
def test_plan_in_words_refuses_typed_data_of_another_plan(part, field, value, what):
    data = settlement_typed_data(PLAN)
    data[part][field] = value
    with pytest.raises(SignatureError, match=f"to be signed is of {what} .*Nothing was signed"):
        plan_in_words(PLAN, data, NAMES)


@settings(max_examples=25)
@given(unit=st.integers(1, 112_499))
def test_signature_of_one_plan_fits_no_other(unit):
    other = SettlementPlan(PLAN.round, (Transfer(0, 1, 112_500 - unit), Transfer(0, 2, 87_500)))
    account = Account.from_key(bytes([7] * 32))
    signature = sign_typed_data(account, settlement_typed_data(PLAN))
    with pytest.raises(SignatureError, match="of another account, or of another plan"):
        check_signature(settlement_typed_data(other), signature, account.address)


def test_signature_of_another_party_is_refused(signer):
    signature = sign_typed_data(Account.from_key(bytes([8] * 32)), settlement_typed_data(PLAN))
    with pytest.raises(SignatureError, match=f"expected {signer.address}"):
        check_signature(settlement_typed_data(PLAN), signature, signer.address)


def test_bytes_that_are_no_signature_are_refused(signer):
    signature = sign_typed_data(signer, settlement_typed_data(PLAN))
    with pytest.raises(SignatureError, match="Signature has 64 bytes; expected 65"):
        signer_of(settlement_typed_data(PLAN), signature[:-1])
    with pytest.raises(SignatureError, match="Not a signature"):
        signer_of(settlement_typed_data(PLAN), bytes(64) + b"\x1b")
    with pytest.raises(SignatureError, match="Not a signature"):
        signer_of(settlement_typed_data(PLAN), signature[:64] + b"\x05")


def test_digest_that_is_signed_is_the_contracts_own(monkeypatch, compiled_contracts):
    monkeypatch.setenv("FAIRROUND_CACHE", str(compiled_contracts))
    with open_chain(None, ChainSpec(accounts=escrow_story.ACCOUNTS)) as chain:
        escrow, round_id = escrow_story.prepare(chain)
        plan = SettlementPlan(escrow.reference(round_id), escrow_story.TRANSFERS)
        table_hash = bytes([9] * 32)
        data = settlement_typed_data(plan, table_hash)
        call = escrow.interface.encode("digest", round_id, table_hash, plan.plan_id)
        message = encode_typed_data(full_message=data)
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        assert chain.call(escrow.address, call) == digest
        assert f"table_hash: 0x{table_hash.hex()}" in plan_in_words(plan, data, NAMES)


def test_malleable_twin_of_a_signature_is_refused(signer):
    signature = sign_typed_data(signer, settlement_typed_data(PLAN))
    s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    recovered = Account.recover_message(
        encode_typed_data(full_message=settlement_typed_data(PLAN)), signature=twin
    )
    assert recovered == signer.address  # it is of the same account, for those who do not look
    with pytest.raises(SignatureError, match="s above half the order"):
        signer_of(settlement_typed_data(PLAN), twin)
