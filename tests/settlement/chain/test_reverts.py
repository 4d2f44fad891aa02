from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from settlement.chain.reverts import NO_REASON, revert_reason

ERROR_SELECTOR = bytes.fromhex("08c379a0")


@given(st.text())
def test_reason_is_the_sentence_of_the_contract(sentence):
    assert revert_reason(ERROR_SELECTOR + encode(["string"], [sentence])) == sentence


@given(st.binary(max_size=200))
def test_reason_never_fails_whatever_was_returned(data):
    assert revert_reason(data)
    assert revert_reason(ERROR_SELECTOR + data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", NO_REASON),
        (bytes.fromhex("4e487b71") + (0x32).to_bytes(32, "big"), "panic 0x32"),
        (bytes.fromhex("deadbeef"), "reverted with 0xdeadbeef"),
    ],
)
def test_reason_of_other_data_is_shown_as_it_is(data, words):
    assert revert_reason(data) == words
