"""`ValueTable`: what every coalition is worth, checked on entry; how far it is from monotone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import NotMonotoneError, ValueTableError
from ml.game.tables.coalitions import (
    CoalitionMatrix,
    FloatArray,
    bitmasks,
    describe_coalition,
    party_count,
)
from ml.game.tables.reading import as_floats

__all__ = ["BrokenEdge", "MonotonicityReport", "ValueTable"]

_LISTED_EDGES = 1000
_LEAST_GRAIN = 1e-300  # below it floating point loses digits and quotients overflow
_LARGEST_VALUE = 1e300  # above it sums overflow


@dataclass(frozen=True, slots=True)
class BrokenEdge:
    """One party that makes one coalition worse: ``v(coalition + party) < v(coalition)``."""

    coalition: int
    party: int
    drop: float
    """How much the value falls, in value units; positive."""


@dataclass(frozen=True, slots=True)
class MonotonicityReport:
    """How far a value table is from monotone, over all edges (coalition, one more party)."""

    n_edges: int
    n_broken: int
    largest: float
    """Largest drop along an edge, in value units; 0.0 if the table is monotone."""
    broken: tuple[BrokenEdge, ...]
    """Broken edges, largest drop first; at most the 1000 largest."""

    @property
    def is_monotone(self) -> bool:
        """Whether no party makes any coalition worse."""
        return self.n_broken == 0

    def summary(self) -> str:
        """One sentence with the numbers."""
        if self.is_monotone:
            return f"monotone: none of {self.n_edges} edges broken"
        worst = self.broken[0]
        return (
            f"not monotone: {self.n_broken} of {self.n_edges} edges broken, largest "
            f"{self.largest:.6g} where party {worst.party} joins "
            f"{describe_coalition(worst.coalition)}"
        )


@dataclass(frozen=True, eq=False, init=False)
class ValueTable:
    """Characteristic function of a collaboration: the value of each coalition's model.

    Parameters
    ----------
    values : float64 or float32, shape (2**n,), 2 <= n <= 26
        Value of each coalition in value units (1.0 = a score of 1); bit i of the index is
        party i; ``values[0] == 0``. Any finite value that is not negative is taken: scores
        lie in [0, 1], other units are welcome. A read-only array (a memory map opened with
        mode "r", say) is kept as it is; anything else is copied.

    Raises
    ------
    ValueTableError
        If the length is not 2**n, n is not between 2 and 26, the empty coalition has a
        value, an entry is negative, infinite or not a number, the largest is so small (below
        1e-300) that floating point has no digits left or so large (above 1e300) that sums
        overflow, or the values are not real numbers at all (text, complex, masked).

    Notes
    -----
    The table may break monotonicity: trained scores are noisy. It says so
    (`monotonicity`) and is never repaired in silence (`cover`, `require_monotone`).
    Source: Sec. 2.

    Examples
    --------
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> table.n_parties, table.grand_value, table.own_values.tolist()
    (3, 1.0, [0.2, 0.5, 0.4])
    """

    values: npt.NDArray[Any]
    n_parties: int

    def __init__(self, values: npt.ArrayLike) -> None:
        checked = _checked_values(values)
        object.__setattr__(self, "values", checked)
        object.__setattr__(self, "n_parties", party_count(len(checked)))

    @property
    def grand_value(self) -> float:
        """v(N): value of the model trained on everybody's data."""
        return float(self.values[-1])

    @property
    def own_values(self) -> npt.NDArray[np.float64]:
        """v(i) of each party alone, shape (n,)."""
        singletons = 1 << np.arange(self.n_parties)
        return np.asarray(self.values[singletons], dtype=np.float64)

    def value(self, coalition: int) -> float:
        """v(C) of one coalition, by bitmask."""
        return float(self.values[coalition])

    def evaluate(self, members: CoalitionMatrix) -> FloatArray:
        """Values of many coalitions, a row of members each, as `estimate_flows` asks for them.

        Examples
        --------
        >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
        >>> table.evaluate(np.array([[True, False, True], [True, True, True]]))
        array([0.7, 1. ])
        """
        return np.asarray(self.values[bitmasks(members)], dtype=np.float64)

    def monotonicity(self) -> MonotonicityReport:
        """Count and list the edges along which a party makes a coalition worse."""
        values, n_parties = self.values, self.n_parties
        n_broken, found = 0, []
        for party in range(n_parties):
            pairs = values.reshape(-1, 2, 1 << party)
            # Falls of v along party's edges; high and low are the other bits of the index.
            high, low = np.nonzero(pairs[:, 1] < pairs[:, 0])
            n_broken += len(high)
            drops = pairs[high, 0, low].astype(np.float64) - pairs[high, 1, low]
            kept = np.argsort(-drops, kind="stable")[:_LISTED_EDGES]
            coalitions = (high[kept].astype(np.int64) << (party + 1)) | low[kept]
            found += [
                BrokenEdge(int(coalition), party, float(drop))
                for coalition, drop in zip(coalitions, drops[kept], strict=True)
            ]
        found.sort(key=lambda edge: (-edge.drop, edge.coalition, edge.party))
        largest = found[0].drop if found else 0.0
        n_edges = n_parties << (n_parties - 1)
        return MonotonicityReport(n_edges, n_broken, largest, tuple(found[:_LISTED_EDGES]))

    def require_monotone(self) -> None:
        """Do nothing if the table is monotone.

        Raises
        ------
        NotMonotoneError
            With the number of broken edges and the worst of them.
        """
        report = self.monotonicity()
        if not report.is_monotone:
            raise NotMonotoneError(
                f"Value table is {report.summary()}; expected none. "
                "Train more seeds, or cover the table and report both.",
                party=report.broken[0].party,
                coalition=report.broken[0].coalition,
            )


def _checked_values(values: object) -> npt.NDArray[Any]:
    array = as_floats(values, "Values", ValueTableError, keep_single=True)
    if array.ndim != 1:
        raise ValueTableError(
            f"Value table has shape {array.shape}; expected (2**n,). Flatten it by bitmask."
        )
    n_parties = party_count(len(array))
    _check_numbers(array, n_parties)
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, order="C")
        array.flags.writeable = False
    return array


def _check_numbers(array: npt.NDArray[Any], n_parties: int) -> None:
    # Blocks keep the check of a memory-mapped table from loading the whole.
    largest = 0.0
    for start in range(0, len(array), 1 << 20):
        block = array[start : start + (1 << 20)]
        largest = max(largest, float(block.max()))
        if block.min() >= 0 and block.max() < np.inf:
            continue
        offset = int(np.flatnonzero(~((block >= 0) & (block < np.inf)))[0])
        coalition = start + offset
        raise ValueTableError(
            f"Value of coalition {coalition} {describe_coalition(coalition)} is "
            f"{float(block[offset])}; expected a finite number that is not negative "
            f"for each of the {1 << n_parties} coalitions. Train it again."
        )
    if array[0] != 0:
        raise ValueTableError(
            f"Empty coalition has value {float(array[0])}; expected 0. "
            "Subtract the score of a model without data, or set it to 0."
        )
    if largest > 0 and not _LEAST_GRAIN <= largest <= _LARGEST_VALUE:
        raise ValueTableError(
            f"Largest value is {largest}; expected {_LEAST_GRAIN} to {_LARGEST_VALUE}, or 0 for "
            "all. Choose another unit of value."
        )
