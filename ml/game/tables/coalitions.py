"""Coalitions as bitmasks: bit i of the integer is party i, 0 is empty, 2**n - 1 is grand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import ValueTableError

__all__ = [
    "MAX_EXACT_PARTIES",
    "FloatArray",
    "coalition_of",
    "coalition_sizes",
    "describe_coalition",
    "members",
    "membership",
    "party_count",
    "subsets",
]

FloatArray = npt.NDArray[np.float64]

MAX_EXACT_PARTIES = 26
"""A table of 2**26 values takes 512 MiB; beyond that flows are estimated."""


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


def subsets(coalition: int) -> Iterator[int]:
    """Yield every subset of a coalition, itself first and the empty one last.

    Examples
    --------
    >>> list(subsets(0b101))
    [5, 4, 1, 0]
    """
    subset = coalition
    while subset:
        yield subset
        subset = (subset - 1) & coalition
    yield 0


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
    if n_parties > MAX_EXACT_PARTIES:
        raise ValueTableError(
            f"Value table is for {n_parties} parties; expected at most {MAX_EXACT_PARTIES}. "
            "Estimate the flows from a sample of coalitions (estimate_flows) instead."
        )
    return n_parties


def coalition_sizes(n_parties: int) -> npt.NDArray[np.uint8]:
    """Size of each coalition, shape (2**n,), by bitmask."""
    return np.bitwise_count(np.arange(1 << n_parties, dtype=np.uint32))


@lru_cache(maxsize=32)
def membership(n_parties: int) -> FloatArray:
    """Read-only matrix of shape (2**n, n): 1.0 where the party is in the coalition."""
    bits: Any = np.arange(1 << n_parties)[:, None] >> np.arange(n_parties) & 1
    matrix: FloatArray = bits.astype(np.float64)
    matrix.flags.writeable = False
    return matrix
