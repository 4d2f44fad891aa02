"""Money, time and place in words, for whoever is asked whether to send something.

Amounts are in ether or in the token's own units, with base units beside them. What a contract or a
file says about itself is shown without signs that do not print.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from eth_abi.abi import decode

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.escrow.events import ETHER

__all__ = ["Asset", "asset_of", "chain_in_words", "ether_in_words", "moment_in_words", "printable"]

ETHER_DECIMALS = 18
SYMBOL = bytes.fromhex("95d89b41")  # symbol()
DECIMALS = bytes.fromhex("313ce567")  # decimals()
LONGEST_SYMBOL = 12
LAST_MOMENT = 253_370_764_800
"""Of which there are dates in every zone; the contract takes later ones."""
QUESTION_GAS = 100_000
"""Most that a question to a token may cost the node that answers it."""
KNOWN_CHAINS = {
    1: "Ethereum",
    10: "OP Mainnet",
    100: "Gnosis",
    137: "Polygon",
    8453: "Base",
    31337: "a local test node",
    42161: "Arbitrum One",
    11155111: "Sepolia, a test network",
    131277322940537: "a chain simulated in this folder, its money worthless",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """What a round settles in: its address, what people call it, and how a base unit is shown."""

    address: str
    symbol: str
    decimals: int | None  # None: the token does not say
    unit_scale: int  # of the asset's smallest units, in one base unit

    def in_words(self, units: int) -> str:
        """An amount of base units.

        Examples
        --------
        >>> Asset(ETHER, "ether", 18, 10**12).in_words(200_000)
        '0.2 ether (200,000 base units)'
        >>> Asset("0x" + "12" * 20, "of the token 0x1212", None, 1).in_words(5)
        '5 smallest units of the token 0x1212 (5 base units)'
        """
        smallest = units * self.unit_scale
        if self.decimals is None:
            whole = f"{smallest:,} smallest units {self.symbol}"
        else:
            whole = f"{_shifted(smallest, self.decimals)} {self.symbol}"
        return f"{whole} ({units:,} base units)"


def asset_of(chain: Chain, address: str, unit_scale: int) -> Asset:
    """The asset of a round; a token is asked for its name and its decimals, and not believed much.

    A token's name is its own word: its address says which token it is, so it stands beside it.
    """
    if address == ETHER:
        return Asset(address, "ether", ETHER_DECIMALS, unit_scale)
    symbol, decimals = _text(_ask(chain, address, SYMBOL)), _ask(chain, address, DECIMALS)
    named = f'of the token "{symbol}" at {address}' if symbol else f"of the token at {address}"
    places = int.from_bytes(decimals, "big") if len(decimals) == 32 else 256
    return Asset(address, named, places if places <= 36 else None, unit_scale)


def _ask(chain: Chain, address: str, data: bytes) -> bytes:
    try:
        return chain.call(address, data, gas=QUESTION_GAS)
    except Reverted:
        return b""


def _text(answer: bytes) -> str:
    """A name as tokens give it: a string, or 32 bytes with zeros behind."""
    try:
        found = decode(["string"], answer)[0] if len(answer) > 32 else answer.rstrip(b"\0").decode()
    except Exception:  # whatever a token of any make answers is no trouble of ours
        return ""
    return printable(found)[:LONGEST_SYMBOL]


def printable(text: str) -> str:
    """A text without signs that do not print: none can move the cursor or hide what follows."""
    return "".join(sign for sign in text if sign.isprintable())


def ether_in_words(amount_wei: int) -> str:
    """An amount of wei in ether, without losing a digit.

    Examples
    --------
    >>> ether_in_words(95_200_000_000_000_000_000)
    '95.2 ether'
    """
    return f"{_shifted(amount_wei, ETHER_DECIMALS)} ether"


def _shifted(amount: int, places: int) -> str:
    digits = f"{Decimal(amount).scaleb(-places):,f}" if amount else "0"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def moment_in_words(timestamp: int) -> str:
    """A moment as a date in local time, with its zone; a round's deadline may be out of sight."""
    if timestamp >= LAST_MOMENT:
        return f"a moment after the year 9998 ({timestamp} in Unix time)"
    return dt.datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def chain_in_words(chain_id: int) -> str:
    """A chain by its number and, where it is widely known, its name."""
    name = KNOWN_CHAINS.get(chain_id)
    return f"chain {chain_id} ({name})" if name else f"chain {chain_id}, which we do not know"
