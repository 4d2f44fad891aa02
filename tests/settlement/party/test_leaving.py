import pytest
from eth_utils.address import to_checksum_address

from settlement.party.leaving import WrongAddress, checked_address

RIGHT = to_checksum_address("0x52908400098527886e0f7030069857d2e4169ee7")


@pytest.mark.parametrize("text", [RIGHT, RIGHT.lower(), "0x" + RIGHT[2:].upper()])
def test_an_address_without_or_with_its_checksum_is_taken(text):
    assert checked_address(text) == RIGHT


def test_every_single_wrong_capital_of_an_address_is_noticed():
    for place, sign in enumerate(RIGHT[2:], 2):
        if sign.isalpha():
            broken = RIGHT[:place] + sign.swapcase() + RIGHT[place + 1 :]
            with pytest.raises(WrongAddress, match="broken checksum"):
                checked_address(broken)


@pytest.mark.parametrize("text", ["hello", "", "0x", RIGHT[:-1], RIGHT + "0", RIGHT[2:], "0y" * 21])
def test_what_is_no_address_is_named(text):
    with pytest.raises(WrongAddress, match="is not an address"):
        checked_address(text)
