"""The figures of a posting and their bytes: scales, fields, and eq. (5) in whole numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from math import comb, lcm

from settlement.errors import SettlementError

__all__ = [
    "DUAL_LIMIT",
    "FACTOR_ONE",
    "MAX_EXACT_PARTIES",
    "MAX_EXCHANGE_RATE",
    "MAX_POSTED_PARTIES",
    "NO_CAP",
    "NUMBER_LIMIT",
    "VALUE_SCALE",
    "Fault",
    "Posting",
    "PostingError",
    "flow_scale",
    "flows_of_table",
    "pack_numbers",
    "posted_units",
    "wanted_units",
]

VALUE_SCALE = 10**15
"""Posted value units in one unit of value."""

FACTOR_ONE = 2**72
"""The adjustment factor 1, and the dual value 1."""

NO_CAP = 2**64 - 1
"""Wanted value of a party without a cap."""

MAX_EXACT_PARTIES = 8
MAX_POSTED_PARTIES = 64
MAX_EXCHANGE_RATE = 2**48
NUMBER_LIMIT = 2**64
DUAL_LIMIT = 2**96


class PostingError(SettlementError):
    """An allocation that cannot be posted: too many parties, negative flows, numbers too large."""


class Fault(IntEnum):
    """What a challenge can find, numbered as in the contract."""

    NONE = 0
    WRONG_SHAPE = 1
    WRONG_TABLE = 2
    WRONG_FLOWS = 3
    WRONG_OWN_VALUES = 4
    WRONG_CAPS = 5
    WRONG_FACTORS = 6
    WRONG_DUALS = 7
    WRONG_GAP = 8
    WRONG_NETS = 9


@dataclass(frozen=True, slots=True)
class Posting:
    """Posted figures of one round; indexed by party.

    Parameters
    ----------
    table : tuple of int
        2**n values for n <= 8, bit i of the index is party i; empty for more parties.
    flows : tuple of tuple of int
        ``flows[payer][payee]``.
    own, wanted : tuple of int
        Own values, and caps on model values (`NO_CAP`: none).
    factors, duals : tuple of int
        Adjustment factors and their certificate.
    """

    table: tuple[int, ...]
    flows: tuple[tuple[int, ...], ...]
    own: tuple[int, ...]
    wanted: tuple[int, ...]
    factors: tuple[int, ...]
    duals: tuple[int, ...]

    @property
    def n_parties(self) -> int:
        """Number of parties."""
        return len(self.own)

    @property
    def table_hash(self) -> bytes:
        """What the operator commits before it posts: SHA-256 of the encoded table."""
        return hashlib.sha256(self.encode_table()).digest()

    def encode_table(self) -> bytes:
        """2**n numbers of 8 bytes; nothing for more than 8 parties."""
        return pack_numbers(self.table)

    def encode(self) -> bytes:
        """Flows row by row, wanted values, then 32 bytes a party, as the contract reads them."""
        records = b"".join(
            own.to_bytes(8, "big") + factor.to_bytes(12, "big") + dual.to_bytes(12, "big")
            for own, factor, dual in zip(self.own, self.factors, self.duals, strict=True)
        )
        return b"".join(map(pack_numbers, self.flows)) + pack_numbers(self.wanted) + records

    @classmethod
    def decode(cls, posting: bytes, table: bytes) -> Posting:
        """The inverse of `encode` and `encode_table`."""
        n_parties = 0
        while n_parties * (8 * n_parties + 40) < len(posting):
            n_parties += 1
        if n_parties * (8 * n_parties + 40) != len(posting) or len(table) % 8:
            raise PostingError(
                f"A posting of {len(posting)} bytes and a table of {len(table)} bytes; "
                "expected n (8 n + 40) and 8 * 2**n."
            )
        numbers = _read_numbers(posting[: 8 * n_parties * (n_parties + 1)])
        records = posting[8 * n_parties * (n_parties + 1) :]
        fields = [records[k : k + 32] for k in range(0, len(records), 32)]
        return cls(
            table=_read_numbers(table),
            flows=tuple(numbers[n_parties * i : n_parties * (i + 1)] for i in range(n_parties)),
            own=tuple(int.from_bytes(record[:8], "big") for record in fields),
            wanted=numbers[n_parties * n_parties :],
            factors=tuple(int.from_bytes(record[8:20], "big") for record in fields),
            duals=tuple(int.from_bytes(record[20:], "big") for record in fields),
        )


def flow_scale(n_parties: int) -> int:
    """Flow units in one value unit: the least number that makes every flow whole, for n <= 8.

    Examples
    --------
    >>> [flow_scale(n) for n in range(2, 10)]
    [1, 2, 6, 24, 60, 360, 420, 1]
    """
    if n_parties > MAX_EXACT_PARTIES:
        return 1
    shares = [(n_parties - s) * comb(n_parties - 2, s - 2) for s in range(2, n_parties)]
    return (n_parties - 1) * lcm(*shares)


def flows_of_table(table: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Conditional Shapley values of a table of whole numbers, eq. (5), times `flow_scale`.

    Examples
    --------
    >>> flows_of_table([0, 2, 5, 6, 4, 7, 8, 10])  # the three parties, in tenths
    ((0, 7, 9), (3, 0, 7), (5, 7, 0))
    """
    n_parties = len(table).bit_length() - 1
    scale = flow_scale(n_parties)
    pairs = [[0] * n_parties for _ in range(n_parties)]
    for coalition, value in enumerate(table):
        members = [i for i in range(n_parties) if coalition >> i & 1]
        if not 2 <= len(members) < n_parties:
            continue
        share = (n_parties - len(members)) * comb(n_parties - 2, len(members) - 2)
        for i in members:
            for j in members:
                if i != j:
                    pairs[i][j] += scale // share * value
    return tuple(
        tuple(
            0
            if i == j
            else pairs[i][j]
            + (scale * (table[-1] - table[1 << i]) - sum(pairs[i])) // (n_parties - 1)
            for j in range(n_parties)
        )
        for i in range(n_parties)
    )


def posted_units(value: float | Fraction, what: str) -> int:
    """A value in posted units, rounded to the nearest."""
    units = round(Fraction(value) * VALUE_SCALE)
    if not 0 <= units < NUMBER_LIMIT:
        raise PostingError(f"{what} {float(value)} is posted as {units}; expected 0 to 2**64 - 1.")
    return units


def wanted_units(wanted: Sequence[float | Fraction | None], n_parties: int) -> tuple[int, ...]:
    """Caps in posted units; `NO_CAP` where there is none."""
    if len(wanted) != n_parties:
        raise PostingError(f"{len(wanted)} caps for {n_parties} parties; expected one each.")
    return tuple(NO_CAP if value is None else posted_units(value, "Cap") for value in wanted)


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Whole numbers of 8 bytes, one after the other."""
    return b"".join(number.to_bytes(8, "big") for number in numbers)


def _read_numbers(packed: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(packed[k : k + 8], "big") for k in range(0, len(packed), 8))
