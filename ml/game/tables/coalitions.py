"""Coalitions: one is a bitmask, many are the rows of a matrix.

Bit i of a bitmask is party i; 0 is the empty coalition, 2**n - 1 the grand one. A bitmask is a
Python integer, so it has as many bits as there are parties. Whoever evaluates coalitions gets many
at once, as a boolean matrix with a row a coalition and a column a party.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ml.errors import ValueTableError
from ml.game.words import MAX_TABLE_PARTIES

__all__ = [
    "CoalitionMatrix",
    "FloatArray",
    "bitmasks",
    "coalition_matrix",
    "coalition_of",
    "describe_coalition",
    "members",
    "membership",
    "party_count",
]

FloatArray = npt.NDArray[np.float64]
CoalitionMatrix = npt.NDArray[np.bool_]
"""Shape (k, n): true where the party of the column is in the coalition of the row."""


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


def coalition_matrix(coalitions: Iterable[int], n_parties: int) -> CoalitionMatrix:
    """Members of coalitions that are given as bitmasks, shape (k, n).

    Examples
    --------
    >>> coalition_matrix([0b001, 0b110], 3).astype(int)
    array([[1, 0, 0],
           [0, 1, 1]])
    """
    n_bytes = -(-n_parties // 8)
    packed = b"".join(int(coalition).to_bytes(n_bytes, "little") for coalition in coalitions)
    rows = np.frombuffer(packed, dtype=np.uint8).reshape(-1, n_bytes)
    return np.unpackbits(rows, axis=1, count=n_parties, bitorder="little").astype(np.bool_)


def bitmasks(members: npt.ArrayLike) -> list[int]:
    """Bitmasks of coalitions that are given as rows of members: `coalition_matrix` backwards.

    Examples
    --------
    >>> bitmasks([[True, False, False], [False, True, True]])
    [1, 6]
    """
    packed = np.packbits(np.asarray(members, dtype=np.bool_), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


@lru_cache(maxsize=32)
def membership(n_parties: int) -> FloatArray:
    """Read-only matrix of shape (2**n, n): 1.0 where the party is in the coalition."""
    coalitions = np.arange(1 << n_parties)
    matrix = (coalitions[:, None] >> np.arange(n_parties) & 1).astype(np.float64)
    matrix.flags.writeable = False
    return matrix
