import pytest
from eth_abi.abi import encode

from settlement.chain.errors import Reverted
from settlement.escrow.events import ETHER
from settlement.round.words import (
    LAST_MOMENT,
    asset_of,
    chain_in_words,
    ether_in_words,
    moment_in_words,
    printable,
)

TOKEN = "0x" + "12" * 20


class Chain:
    """Answers as a token of some make would."""

    def __init__(self, symbol=None, decimals=None):
        self.answers = {b"\x95\xd8\x9b\x41": symbol, b"\x31\x3c\xe5\x67": decimals}

    def call(self, address, data, gas):
        assert address == TOKEN
        answer = self.answers[data]
        if answer is None:
            raise Reverted("no such function")
        return answer


def word(number):
    return number.to_bytes(32, "big")


def test_ether_is_shown_in_ether():
    assert asset_of(Chain(), ETHER, 10**12).in_words(1) == "0.000001 ether (1 base units)"


def test_a_token_is_shown_in_its_own_units_with_its_address():
    asset = asset_of(Chain(encode(["string"], ["USDC"]), word(6)), TOKEN, 10)
    assert asset.in_words(2_500_000) == f'25 of the token "USDC" at {TOKEN} (2,500,000 base units)'


def test_an_old_token_that_answers_with_32_bytes_is_understood():
    asset = asset_of(Chain(b"MKR".ljust(32, b"\0"), word(18)), TOKEN, 10**12)
    assert '"MKR"' in asset.in_words(1)


@pytest.mark.parametrize(
    ("symbol", "decimals"),
    [
        (None, None),
        (b"", b""),
        (b"\xff" * 32, word(2**200)),
        (b"\xff" * 64, b"\1"),
        (word(2**255) + word(2**255), word(255)),
    ],
)
def test_a_token_that_says_nothing_sensible_is_shown_in_smallest_units(symbol, decimals):
    asset = asset_of(Chain(symbol, decimals), TOKEN, 7)
    assert f"21 smallest units of the token at {TOKEN}" in asset.in_words(3)


def test_a_token_cannot_move_the_cursor_or_pretend_to_be_long():
    name = "\x1b[2K\rUSD\u202eC" + "x" * 100
    asset = asset_of(Chain(encode(["string"], [name]), word(6)), TOKEN, 1)
    assert "\x1b" not in asset.symbol
    assert "\u202e" not in asset.symbol
    assert len(asset.symbol) < 90


def test_no_digit_of_an_amount_is_lost():
    assert ether_in_words(1) == "0.000000000000000001 ether"
    assert ether_in_words(10**27 + 1) == "1,000,000,000.000000000000000001 ether"
    assert ether_in_words(0) == "0 ether"


def test_an_unknown_chain_is_called_unknown():
    assert chain_in_words(424242) == "chain 424242, which we do not know"
    assert printable("a\x00b\nc") == "abc"


@pytest.mark.parametrize("timestamp", [LAST_MOMENT, 2**40 - 1, 2**256 - 1])
def test_a_deadline_beyond_all_calendars_is_told_as_a_number(timestamp):
    assert moment_in_words(timestamp).startswith("a moment after the year 9998")
    assert str(timestamp) in moment_in_words(timestamp)


def test_the_last_moment_that_has_a_date_is_shown_as_one():
    assert moment_in_words(LAST_MOMENT - 1).startswith("9998-")
