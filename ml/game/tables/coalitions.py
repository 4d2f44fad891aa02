"""Coalitions as bitmasks: bit i of the integer is party i, 0 is empty, 2**n - 1 is grand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.errors import ValueTableError
from ml.game.words import MAX_TABLE_PARTIES

__all__ = [
    "FloatArray",
    "coalition_bits",
    "coalition_of",
    "describe_coalition",
    "members",
    "membership",
    "party_count",
]

FloatArray = npt.NDArray[np.float64]


def members(coalition: int) -> tuple[int, ...]:
    """Parties of a coalition, ascending.

    Examples
    --------
    >>> members(0b1101)
    (0, 2, 3)
    """
    return tuple(party for party in range(coalition.bit_length()) if coalition >> party & 1)


def coalition_of(parties: Iterable[int]) -> int:
    """Coalition that holds exactly these parties.

    Examples
    --------
    >>> coalition_of([0, 2, 3])
    13
    """
    coalition = 0
    for party in parties:
        coalition |= 1 << party
    return coalition


def describe_coalition(coalition: int, names: Sequence[str] | None = None) -> str:
    """Coalition for people: ``{0, 2}``, or with the parties' names.

    Examples
    --------
    >>> describe_coalition(0b101), describe_coalition(0b101, ["a", "b", "c"])
    ('{0, 2}', '{a, c}')
    """
    return "{" + ", ".join(names[i] if names else str(i) for i in members(coalition)) + "}"


def party_count(n_values: int) -> int:
    """Count the parties of a table with this many values: n where ``n_values == 2**n``.

    Raises
    ------
    ValueTableError
        If the length is not a power of two, or n is not between 2 and 26.
    """
    if n_values < 1 or n_values & (n_values - 1):
        raise ValueTableError(
            f"Value table has {n_values} entries; expected 2**n. "
            "Train the missing coalitions or check the number of parties."
        )
    n_parties = n_values.bit_length() - 1
    if n_parties < 2:
        raise ValueTableError(
            f"Value table has {n_values} entries, {n_parties} party; expected at least 2 parties. "
            "A party alone has nobody to pay: add a second one."
        )
    if n_parties > MAX_TABLE_PARTIES:
        raise ValueTableError(
            f"Value table is for {n_parties} parties; expected at most {MAX_TABLE_PARTIES}. "
            "Estimate the flows from a sample of coalitions (estimate_flows) instead."
        )
    return n_parties


def coalition_bits(coalitions: npt.NDArray[np.uint64], n_parties: int) -> FloatArray:
    """Matrix of shape (batch, n): 1.0 where the party is in the coalition."""
    shifts = np.arange(n_parties, dtype=np.uint64)
    bits: FloatArray = (coalitions[:, None] >> shifts & np.uint64(1)).astype(np.float64)
    return bits


@lru_cache(maxsize=32)
def membership(n_parties: int) -> FloatArray:
    """Read-only matrix of shape (2**n, n): 1.0 where the party is in the coalition."""
    matrix = coalition_bits(np.arange(1 << n_parties, dtype=np.uint64), n_parties)
    matrix.flags.writeable = False
    return matrix
