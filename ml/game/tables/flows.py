"""Exact payoff flows: conditional Shapley values, Shapley values and payoffs of a value table."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import FlowsError, ValueTableError
from ml.game.tables.coalitions import FloatArray, describe_coalition, membership, party_count
from ml.game.tables.moments import BLOCK_PARTIES, blocks, flows_of_moments, plain_pair_moments
from ml.game.tables.reading import as_floats

__all__ = [
    "conditional_shapley",
    "decompose",
    "flows_of_table",
    "payoffs",
    "shapley_of_table",
    "shapley_values",
]

_COMPILED_FROM = 13
"""From this many parties on the compiled kernel is faster, its import included."""


def conditional_shapley(values: npt.ArrayLike, *, threads: int = 1) -> FloatArray:
    """Payoff flows before any budget: what each party would pay each other party.

    Party i pays party j the average of j's marginal contributions to coalitions
    that already contain i.

    Parameters
    ----------
    values : float64 or float32, shape (2**n,), 2 <= n <= 26
        Value table in value units; bit i of the index is party i; ``values[0] == 0``.
        A memory-mapped table is read block by block.
    threads : int, default 1
        Threads of the compiled kernel; they pay from about 22 parties on.

    Returns
    -------
    float64, shape (n, n)
        ``flows[payer, payee]`` in value units; the diagonal is zero. If values are
        monotone no flow is negative. Row i sums to v(N) - v(i), eq. (4).

    Raises
    ------
    ValueTableError
        If the length is not a power of two, n is not between 2 and 26, the empty coalition
        has a value, an entry is not a finite number, sums overflow (values above 1e300), or
        the values are not real numbers at all (text, complex, masked).

    Notes
    -----
    One pass over the table, no copy of it. Source: Lemma 3.7, eq. (5); payoffs by eq. (7)
    are column sums minus row sums. With c(s) = 1 / ((n - s) binom(n - 2, s - 2)) and P[i, j]
    the sum of c(size) v(S) over coalitions S that hold both i and j, the flow is
    P[i, j] - mean_k P[i, k] + (v(N) - v(i)) / (n - 1). Adding a constant to all v(S) moves
    no flow, so v(N) is taken off first: a large offset costs no accuracy.

    Examples
    --------
    >>> three_parties = np.array([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> flows = conditional_shapley(three_parties)
    >>> flows.round(2)
    array([[0.  , 0.35, 0.45],
           [0.15, 0.  , 0.35],
           [0.25, 0.35, 0.  ]])
    """
    return flows_of_table(_as_table(values), threads)


def flows_of_table(table: npt.NDArray[Any], threads: int = 1) -> FloatArray:
    """`conditional_shapley` of values that have been read and checked."""
    if party_count(len(table)) >= _COMPILED_FROM:
        # Imported here: small games never wait for numba.
        from ml.game.tables.kernel import compiled_flows

        flows = compiled_flows(table, threads)
    else:
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are named below
            flows = flows_of_moments(plain_pair_moments(table), _own_gains(table))
    _require_finite(flows, table)
    return flows


def shapley_values(values: npt.ArrayLike) -> FloatArray:
    """Shapley value of each party, straight from the table and not through the flows.

    Parameters
    ----------
    values : float64 or float32, shape (2**n,), 2 <= n <= 26

    Returns
    -------
    float64, shape (n,)
        Sums to v(N), in value units.

    Raises
    ------
    ValueTableError
        As for `conditional_shapley`.

    Notes
    -----
    Source: Sec. 3.1. `decompose` gets the same from the flows, eq. (6); that the two agree is
    a check of both.

    Examples
    --------
    >>> shapley_values([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]).round(3)
    array([0.2, 0.4, 0.4])
    """
    return shapley_of_table(_as_table(values))


def shapley_of_table(table: npt.NDArray[Any]) -> FloatArray:
    """`shapley_values` of values that have been read and checked."""
    n = party_count(len(table))
    joined = np.zeros(n + 1)  # weight of v(S) in phi_i for i in S, by size
    without = np.zeros(n + 1)  # weight of v(S) in phi_i for i not in S, by size
    for size in range(1, n + 1):
        joined[size] = 1 / (size * comb(n, size))
        without[size] = 0.0 if size == n else 1 / ((n - size) * comb(n, size))
    firsts = np.zeros(n)
    total = 0.0
    low = membership(min(n, BLOCK_PARTIES))
    with np.errstate(invalid="ignore", over="ignore"):
        for block, sizes, start in blocks(table, n):
            weighted = (joined + without)[sizes] * block
            firsts[: low.shape[1]] += weighted @ low
            high = [i for i in range(low.shape[1], n) if start >> i & 1]
            firsts[high] += weighted.sum()
            total += float(without[sizes] @ block)
        shapley: FloatArray = firsts - total
    _require_finite(shapley, table)
    return shapley


def payoffs(flows: npt.ArrayLike) -> FloatArray:
    """Payoff of each party: what it receives minus what it pays; negative means it pays.

    Parameters
    ----------
    flows : float64, shape (n, n)
        ``flows[payer, payee]`` in value units.

    Returns
    -------
    float64, shape (n,)
        Sums to zero but for rounding.

    Notes
    -----
    Source: eqs. (3) and (7). For the flows of eq. (5) it equals n phi_i - v(N), eq. (1).

    Examples
    --------
    >>> payoffs([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]]).round(2)
    array([-0.4,  0.2,  0.2])
    """
    matrix = as_floats(flows, "Flows", FlowsError)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise FlowsError(f"Flows have shape {matrix.shape}; expected (n, n), payer by payee.")
    return np.asarray(matrix.sum(axis=0) - matrix.sum(axis=1))


def decompose(flows: npt.ArrayLike, own_values: npt.ArrayLike) -> FloatArray:
    """Shapley value of each party, split into where it comes from.

    Parameters
    ----------
    flows : float64, shape (n, n)
        Conditional Shapley values, ``flows[payer, payee]``.
    own_values : float64, shape (n,)
        v(i) of each party alone.

    Returns
    -------
    float64, shape (n, n)
        ``parts[i, j]`` is what party j's payments add to the Shapley value of i, and
        ``parts[i, i]`` what i's own model adds. Row i sums to phi_i.

    Notes
    -----
    Source: eq. (6), n phi_i = v(i) + sum_k p_ki.

    Examples
    --------
    >>> flows = [[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]]
    >>> decompose(flows, [0.2, 0.5, 0.4]).sum(axis=1).round(3)
    array([0.2, 0.4, 0.4])
    """
    matrix = as_floats(flows, "Flows", FlowsError)
    own = as_floats(own_values, "Own values", FlowsError)
    if own.ndim != 1 or matrix.shape != (len(own), len(own)):
        raise FlowsError(
            f"Flows have shape {matrix.shape} and own values {own.shape}; expected (n, n) and (n,)."
        )
    parts = matrix.T / len(own)
    np.fill_diagonal(parts, own / len(own))
    return np.asarray(parts)


def _as_table(values: npt.ArrayLike) -> npt.NDArray[Any]:
    table = as_floats(values, "Values", ValueTableError, keep_single=True)
    if table.ndim != 1:
        raise ValueTableError(f"Value table has shape {table.shape}; expected (2**n,).")
    party_count(len(table))
    if table[0] != 0:
        raise ValueTableError(f"Empty coalition has value {float(table[0])}; expected 0.")
    return table


def _require_finite(results: FloatArray, table: npt.NDArray[Any]) -> None:
    """Name the value that made a result NaN or infinite: cheaper than a check of all values."""
    if np.isfinite(results).all():
        return
    for start in range(0, len(table), 1 << 20):
        bad = np.flatnonzero(~np.isfinite(table[start : start + (1 << 20)]))
        if len(bad):
            coalition = start + int(bad[0])
            raise ValueTableError(
                f"Value of coalition {coalition} {describe_coalition(coalition)} is "
                f"{float(table[coalition])}; expected a finite number. Train it again."
            )
    raise ValueTableError("Sums overflow float64; expected values below 1e300. Rescale the table.")


def _own_gains(table: npt.NDArray[Any]) -> FloatArray:
    singletons = table[1 << np.arange(party_count(len(table)))]
    return np.asarray(float(table[-1]) - singletons.astype(np.float64))
