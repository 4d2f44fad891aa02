"""Pair moments of a value table, from which all flows follow: weights, plain sums, last step."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.tables.coalitions import FloatArray, membership, party_count

__all__ = ["BLOCK_PARTIES", "blocks", "flows_of_moments", "pair_weights", "plain_pair_moments"]

BLOCK_PARTIES = 10
"""Parties in the low half of the index: plain numpy walks blocks of 2**10 values."""


def pair_weights(n_parties: int) -> FloatArray:
    """Weight c(s) of a coalition of size s in the pair moments, shape (n + 1,)."""
    weights = np.zeros(n_parties + 1)
    for size in range(2, n_parties):
        weights[size] = 1 / ((n_parties - size) * comb(n_parties - 2, size - 2))
    return weights


def flows_of_moments(moments: FloatArray, own_gains: FloatArray) -> FloatArray:
    """Flows from P[i, j] and v(N) - v(i); in words that numba understands as well."""
    n_parties = len(own_gains)
    np.fill_diagonal(moments, 0.0)
    shares = (own_gains - moments.sum(axis=1)) / (n_parties - 1)
    flows: FloatArray = moments + shares.reshape((n_parties, 1))
    np.fill_diagonal(flows, 0.0)
    return flows


def plain_pair_moments(table: npt.NDArray[Any]) -> FloatArray:
    """P[i, j] by plain numpy blocks: the reference for the compiled kernel, any n."""
    n_parties = party_count(len(table))
    weights = pair_weights(n_parties)
    low = membership(min(n_parties, BLOCK_PARTIES))
    n_low = low.shape[1]
    offset = float(table[-1])
    column_sums = np.zeros(len(low))
    moments = np.zeros((n_parties, n_parties))
    for block, sizes, start in blocks(table, n_parties):
        weighted = weights[sizes] * (block - offset)
        column_sums += weighted
        high = [i for i in range(n_low, n_parties) if start >> i & 1]
        if high:
            firsts = weighted @ low
            moments[np.ix_(high, range(n_low))] += firsts
            moments[np.ix_(range(n_low), high)] += firsts[:, None]
            moments[np.ix_(high, high)] += weighted.sum()
    moments[:n_low, :n_low] = (low * column_sums[:, None]).T @ low
    return moments


def blocks(table: npt.NDArray[Any], n_parties: int) -> Any:
    """Blocks of a table, the sizes of their coalitions, and where each block starts."""
    low_parties = min(n_parties, BLOCK_PARTIES)
    low_sizes = np.bitwise_count(np.arange(1 << low_parties, dtype=np.uint32)).astype(np.intp)
    for start in range(0, len(table), 1 << low_parties):
        block = np.asarray(table[start : start + (1 << low_parties)], dtype=np.float64)
        yield block, low_sizes + start.bit_count(), start
