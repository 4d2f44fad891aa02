"""Monotone covers of a noisy value table, each saying how much it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BrokenInvariant, ValueTableError
from ml.game.tables.coalitions import FloatArray, party_count
from ml.game.tables.flows import conditional_shapley, payoffs
from ml.game.tables.values import ValueTable
from ml.game.words import COVER_KINDS, MONOTONE

__all__ = ["Cover", "best_coalitions", "cover", "made_monotone"]

_MAX_SWEEPS = 20_000
"""Sweeps of the isotonic projection; a few hundred settle it."""


@dataclass(frozen=True, eq=False)
class Cover:
    """A monotone table near a given one, and what the change did."""

    kind: str
    table: ValueTable
    n_edges: int
    n_broken: int
    """Edges that the given table broke."""
    largest: float
    """Largest drop along a broken edge of the given table, value units."""
    n_changed: int
    """Coalitions whose value is not what it was."""
    largest_change: float
    """Largest change of a coalition's value, value units."""
    payoffs_before: FloatArray
    payoffs_after: FloatArray

    @property
    def payoffs_moved(self) -> float:
        """Largest change of a party's payoff (no budgets), value units."""
        return float(np.abs(self.payoffs_after - self.payoffs_before).max())

    def summary(self) -> str:
        """One sentence with the numbers."""
        return (
            f"cover {self.kind}: {self.n_broken} of {self.n_edges} edges were broken "
            f"(largest {self.largest:.6g}); {self.n_changed} values changed by up to "
            f"{self.largest_change:.6g}, payoffs by up to {self.payoffs_moved:.6g}"
        )


def cover(table: ValueTable, kind: str = "above") -> Cover:
    """Monotone table near a noisy one.

    Parameters
    ----------
    table : ValueTable
    kind : {"above", "below", "mean", "isotonic"}
        ``above``: the least monotone table that is nowhere below (a coalition may use the
        best model of any of its sub-coalitions). ``below``: the greatest that is nowhere
        above. ``mean``: the average of the two, least biased under symmetric noise.
        ``isotonic``: the nearest in least squares, all coalitions weighted alike.

    Returns
    -------
    Cover
        The monotone table, and how many edges were broken, by how much, and how far
        values and payoffs moved.

    Raises
    ------
    ValueTableError
        If the kind is none of the four.

    Examples
    --------
    >>> noisy = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 0.7])
    >>> cover(noisy, "above").table.values[-1], cover(noisy, "below").table.values[-2]
    (np.float64(0.8), np.float64(0.7))
    """
    if kind not in COVER_KINDS:
        raise ValueTableError(f"Cover is {kind!r}; expected one of {', '.join(COVER_KINDS)}.")
    report = table.monotonicity()
    values = np.array(table.values, dtype=np.float64)
    covered = values if report.is_monotone else _COVERS[kind](values, table.n_parties)
    covered_table = ValueTable(covered)
    left = covered_table.monotonicity()
    if not left.is_monotone:
        raise BrokenInvariant(f"Cover {kind} is {left.summary()}; expected none.")
    change = np.abs(covered - table.values)
    return Cover(
        kind=kind,
        table=covered_table,
        n_edges=report.n_edges,
        n_broken=report.n_broken,
        largest=report.largest,
        n_changed=int(np.count_nonzero(change)),
        largest_change=float(change.max()),
        payoffs_before=payoffs(conditional_shapley(table.values)),
        payoffs_after=payoffs(conditional_shapley(covered)),
    )


def made_monotone(table: ValueTable, monotone: str) -> tuple[ValueTable, Cover | None]:
    """Table to go on with where a table may not be monotone.

    Parameters
    ----------
    table : ValueTable
    monotone : {"refuse", "keep", "above", "below", "mean", "isotonic"}
        Refuse a table that is not monotone, keep it as it is, or cover it; see `cover`.

    Returns
    -------
    ValueTable, Cover or None
        The cover is None if the table is the one that was given.

    Raises
    ------
    NotMonotoneError
        If that is to be refused.
    ValueTableError
        If the word is none of the six.
    """
    if monotone not in MONOTONE:
        raise ValueTableError(f"Monotone is {monotone!r}; expected one of {', '.join(MONOTONE)}.")
    if monotone == "keep" or table.monotonicity().is_monotone:
        return table, None
    if monotone == "refuse":
        table.require_monotone()
    covered = cover(table, monotone)
    return covered.table, covered


def best_coalitions(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Whose model stands for each coalition under the cover from above, shape (2**n,).

    The sub-coalition of greatest value; the coalition itself where none is better.

    Examples
    --------
    >>> best_coalitions([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 0.7]).tolist()
    [0, 1, 2, 3, 4, 5, 6, 6]
    """
    array = np.asarray(values)
    best = np.arange(len(array))
    for party in range(party_count(len(array))):
        pairs = best.reshape(-1, 2, 1 << party)  # a view: without the party, with it
        better = array[pairs[:, 0]] > array[pairs[:, 1]]
        pairs[:, 1][better] = pairs[:, 0][better]
    return best


def _above(values: FloatArray, n_parties: int) -> FloatArray:
    covered = values.copy()
    for party in range(n_parties):
        pairs = covered.reshape(-1, 2, 1 << party)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return covered


def _below(values: FloatArray, n_parties: int) -> FloatArray:
    covered = values.copy()
    for party in range(n_parties):
        pairs = covered.reshape(-1, 2, 1 << party)
        np.minimum(pairs[:, 0], pairs[:, 1], out=pairs[:, 0])
    return covered


def _mean(values: FloatArray, n_parties: int) -> FloatArray:
    return (_above(values, n_parties) + _below(values, n_parties)) / 2


def _isotonic(values: FloatArray, n_parties: int) -> FloatArray:
    """Least-squares projection onto the monotone tables.

    Dykstra's cyclic projection: the edges of one party pair coalitions off, so one sweep of a
    party is an exact projection, done for all pairs at once. What it takes off each edge is
    that edge's multiplier; edges with a positive one tie their ends together, and the mean of
    each tied group is the exact projection once the groups are right.
    """
    nearest = values.copy()
    nearest[0] = -np.inf  # the empty coalition stays at 0 and takes no part
    multipliers = np.zeros((n_parties, len(values) // 2))
    scale = float(np.abs(values).max())
    for _ in range(_MAX_SWEEPS):
        moved = 0.0
        for party in range(n_parties):
            pairs = nearest.reshape(-1, 2, 1 << party)
            multiplier = multipliers[party].reshape(-1, 1 << party)
            # Undo this party's last push, then push no more than its edges now need.
            drop = pairs[:, 0] - pairs[:, 1] + 2 * multiplier
            pushed = np.maximum(drop / 2, 0.0)
            step = pushed - multiplier
            moved = max(moved, float(np.abs(step).max()))
            pairs[:, 0] -= step
            pairs[:, 1] += step
            multiplier[...] = pushed
        if moved <= 1e-15 * scale:
            break
    nearest[0] = 0.0
    pooled = _pool(values, multipliers, n_parties, 1e-12 * scale)
    # Pooling is exact but for rounding; if a tie was missed keep the sweeps' own answer.
    best = pooled if np.abs(pooled - nearest).max() <= 1e-9 * scale else nearest
    return _above(best, n_parties)


def _pool(
    values: FloatArray, multipliers: FloatArray, n_parties: int, threshold: float
) -> FloatArray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    heads: list[npt.NDArray[np.int64]] = []
    tails: list[npt.NDArray[np.int64]] = []
    for party in range(n_parties):
        tied = np.flatnonzero(multipliers[party] > threshold)
        low = tied & ((1 << party) - 1)
        lower = ((tied - low) << 1) | low
        heads.append(lower)
        tails.append(lower | 1 << party)
    head, tail = np.concatenate(heads), np.concatenate(tails)
    graph: Any = coo_array((np.ones(len(head)), (head, tail)), shape=(len(values), len(values)))
    _, group = connected_components(graph, directed=False)
    means = np.bincount(group, weights=values) / np.bincount(group)
    return np.asarray(np.where(np.bincount(group)[group] > 1, means[group], values))


_COVERS = {"above": _above, "below": _below, "mean": _mean, "isotonic": _isotonic}
