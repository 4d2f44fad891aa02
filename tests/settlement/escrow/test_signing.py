from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.chain.errors import SignatureError
from settlement.escrow.events import ETHER
from settlement.escrow.signing import (
    check_signature,
    pack_signatures,
    plan_in_words,
    sign_typed_data,
    signer_of,
    typed_data_in_words,
)
from settlement.escrow.typed_data import Consent
from settlement.money.terms import RoundReference, SettlementPlan, Transfer

ESCROW = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NAMES = ("lab", "clinic", "archive")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PLAN = SettlementPlan(
    RoundReference(31337, ESCROW, 4, bytes(range(32)), 3),
    (Transfer(0, 1, 112_500), Transfer(0, 2, 87_500)),
)
CONSENT = Consent(
    plan=PLAN,
    game_hash=bytes([1] * 32),
    deposits_hash=bytes([2] * 32),
    deadline=1_700_000_000,
    revocations=0,
    asset=ETHER,
    unit_scale=10**12,
    parties=("0x" + "Aa" * 20, "0x" + "Bb" * 20, "0x" + "Cc" * 20),
)
DATA = CONSENT.typed_data(0)


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
    words = plan_in_words(CONSENT, NAMES, 0)
    assert words.startswith(
        f"Settlement of round 4 in escrow {ESCROW} on chain 31337.\n"
        'You, "lab", pay 200000 base units net.\n'
        '  "lab" pays "clinic" 112500 base units.\n'
        '  "lab" pays "archive" 87500 base units.\n'
    )
    for shown in ("transfers: 2 items", f"amount_wei: {112_500 * 10**12}", "deadline: 1700000000"):
        assert shown in words
    for figure in (CONSENT.game_hash, CONSENT.deposits_hash, PLAN.round.agreement):
        assert f"0x{figure.hex()}" in words
    assert 'You, "clinic", receive 112500' in plan_in_words(CONSENT, NAMES, 1)


def test_plan_of_a_large_round_tells_its_signer_its_own_position():
    many = (Transfer(0, 1, 1),) * 40 + (Transfer(0, 2, 2),) * 40
    large = replace(CONSENT, plan=SettlementPlan(PLAN.round, many))
    for party, net in enumerate((-120, 40, 80)):
        words = plan_in_words(large, NAMES, party)
        assert 'Sign "LargeSettlement"' in words
        assert f"own_net_units: {net}" in words
        assert f"plan_id: 0x{large.plan.plan_id.hex()}" in words
        assert "n_transfers: 80\n" in words
        assert "total_units: 120\n" in words


@pytest.mark.parametrize(
    ("n_parties", "n_transfers", "kind"),
    [
        (64, 64, "Settlement"),
        (65, 1, "LargeSettlement"),
        (2, 65, "LargeSettlement"),
        (1_024, 1_024, "LargeSettlement"),
        (1_025, 1, "ChunkedSettlement"),
        (2, 1_025, "ChunkedSettlement"),
    ],
)
def test_what_is_signed_depends_on_the_size(n_parties, n_transfers, kind):
    plan = SettlementPlan(
        replace(PLAN.round, n_parties=n_parties), (PLAN.transfers[0],) * n_transfers
    )
    consent = replace(CONSENT, plan=plan, parties=("0x" + "Aa" * 20,) * n_parties)
    data = consent.typed_data(1)
    assert data["primaryType"] == kind
    assert ("own_net_units" in data["message"]) == (kind == "LargeSettlement")
    assert typed_data_in_words(data).startswith(f'Sign "{kind}"')


def test_packed_signatures_hold_keys_in_place_and_wallets_behind():
    key, short, odd = bytes([1] * 64) + b"\x1b", b"\x07" * 33, bytes([2] * 64) + b"\0"
    assert pack_signatures([key, key]) == key + key
    packed = pack_signatures([short, key, odd])
    assert packed[65:130] == key
    assert len(packed) % 32 == 0
    for record, signature in ((packed[:65], short), (packed[130:195], odd)):
        start, length = (int.from_bytes(record[k : k + 32], "big") for k in (0, 32))
        assert record[64] == 0
        assert start % 32 == 0
        assert packed[start : start + length] == signature
    with pytest.raises(SignatureError, match="party 1 has 2049 bytes"):
        pack_signatures([key, bytes(2_049)])


@settings(max_examples=25)
@given(unit=st.integers(1, 112_499))
def test_signature_of_one_plan_fits_no_other(unit):
    other = SettlementPlan(PLAN.round, (Transfer(0, 1, 112_500 - unit), Transfer(0, 2, 87_500)))
    account = Account.from_key(bytes([7] * 32))
    signature = sign_typed_data(account, DATA)
    with pytest.raises(SignatureError, match="of another account, or of another plan"):
        check_signature(replace(CONSENT, plan=other).typed_data(0), signature, account.address)


def test_signature_of_another_party_is_refused(signer):
    signature = sign_typed_data(Account.from_key(bytes([8] * 32)), DATA)
    with pytest.raises(SignatureError, match=f"expected {signer.address}"):
        check_signature(DATA, signature, signer.address)


def test_bytes_that_are_no_signature_are_refused(signer):
    signature = sign_typed_data(signer, DATA)
    with pytest.raises(SignatureError, match="Signature has 64 bytes; expected 65"):
        signer_of(DATA, signature[:-1])
    with pytest.raises(SignatureError, match="Not a signature"):
        signer_of(DATA, bytes(64) + b"\x1b")
    with pytest.raises(SignatureError, match="Not a signature"):
        signer_of(DATA, signature[:64] + b"\x05")


def test_malleable_twin_of_a_signature_is_refused(signer):
    signature = sign_typed_data(signer, DATA)
    s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    recovered = Account.recover_message(encode_typed_data(full_message=DATA), signature=twin)
    assert recovered == signer.address  # it is of the same account, for those who do not look
    with pytest.raises(SignatureError, match="s above half the order"):
        signer_of(DATA, twin)
