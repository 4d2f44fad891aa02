"""The compiled kernel of the exact flows: pair moments of a value table in one pass.

The index of a coalition is split in three: a block (high bits), a row and a column (6 bits
each). A pair of parties lies in two of the three or in one, so three marginal sums of the
weighted values hold all pair moments: by (row, column), by (block, row) and by
(block, column). The kernel fills them in one pass; the last two are folded block by block
into one number a party, so that memory stays small.

Indices are unsigned and the widths are constants: only then are all offsets between loads
known to the compiler, and the loop becomes one vector loop with a handful of overlap checks.
Written with 3-d arrays it takes twice as long.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ml.game.coalitions import FloatArray, membership, party_count
from ml.game.flows import pair_weights

__all__ = ["MIN_KERNEL_PARTIES", "compiled_pair_moments"]

_SIDE_PARTIES = 6
_SIDE = 1 << _SIDE_PARTIES
_BLOCK = _SIDE * _SIDE

_VALUES_A_THREAD = 1 << 20

MIN_KERNEL_PARTIES = 2 * _SIDE_PARTIES + 1
"""Blocks are taken in twos, so there has to be one high bit at least."""

_U = np.uint64
_SIDE_U, _BLOCK_U, _ONE, _ZERO = _U(_SIDE), _U(_BLOCK), _U(1), _U(0)

# Sums may be reordered (that is what makes them vectors); NaN and infinity keep their meaning.
_FAST_MATH = {"reassoc", "contract", "nsz"}


def _compiled(function: Any) -> Any:
    """Compile on first use and keep the result on disk, if there is a place to keep it."""
    try:
        return numba.njit(nogil=True, cache=True, fastmath=_FAST_MATH)(function)
    except RuntimeError:  # neither the package's folder nor the home can be written
        return numba.njit(nogil=True, fastmath=_FAST_MATH)(function)


@_compiled
def _fold(sums: Any, start: Any, firsts: Any, block: Any, moment: Any) -> Any:  # pragma: no cover
    """Add up the half of the sums where each bit is set, highest bit first."""
    half = _SIDE_U >> _ONE
    while half > _ZERO:
        total = 0.0
        for index in range(half):
            low = start + _U(index)
            total += sums[low + half]
            sums[low] += sums[low + half]
        firsts[block, moment] = total
        moment += _ONE
        half >>= _ONE
    return moment


@_compiled
def _accumulate(  # pragma: no cover
    values: Any,
    offset: Any,
    weights: Any,
    sizes: Any,
    pairs: Any,
    sums: Any,
    rows: Any,
    firsts: Any,
) -> None:
    """Walk pairs of blocks: the four values of two blocks and two rows share their loads.

    ``sums`` holds the (row, column) sums, then the column sums of the two blocks; ``weights``
    has one row of 64 columns for each size of block and row together.
    """
    first_pair, last_pair = pairs
    for pair in range(first_pair, last_pair):
        block = _U(2) * _U(pair)
        for index in range(2 * _SIDE):
            sums[_BLOCK_U + _U(index)] = 0.0
        for row_pair in range(_SIDE // 2):
            row = _U(2) * _U(row_pair)
            # Of the four (block, row) pairs one is of this size, two one larger, one two.
            weight = (sizes[block] + sizes[row]) * _SIDE_U
            value = block * _BLOCK_U + row * _SIDE_U
            cell = row * _SIDE_U
            sum_00 = sum_01 = sum_10 = sum_11 = 0.0
            for index in range(_SIDE):
                column = _U(index)
                middle = weights[weight + _SIDE_U + column]
                of_00 = weights[weight + column] * (values[value + column] - offset)
                of_01 = middle * (values[value + _SIDE_U + column] - offset)
                of_10 = middle * (values[value + _BLOCK_U + column] - offset)
                of_11 = weights[weight + _SIDE_U + _SIDE_U + column] * (
                    values[value + _BLOCK_U + _SIDE_U + column] - offset
                )
                sum_00 += of_00
                sum_01 += of_01
                sum_10 += of_10
                sum_11 += of_11
                sums[cell + column] += of_00 + of_10
                sums[cell + _SIDE_U + column] += of_01 + of_11
                sums[_BLOCK_U + column] += of_00 + of_01
                sums[_BLOCK_U + _SIDE_U + column] += of_10 + of_11
            rows[row] = sum_00
            rows[row + _ONE] = sum_01
            rows[_SIDE_U + row] = sum_10
            rows[_SIDE_U + row + _ONE] = sum_11
        for second in range(2):
            here = block + _U(second)
            moment = _fold(sums, _BLOCK_U + _U(second) * _SIDE_U, firsts, here, _ZERO)
            moment = _fold(rows, _U(second) * _SIDE_U, firsts, here, moment)
            firsts[here, moment] = rows[_U(second) * _SIDE_U]


def compiled_pair_moments(table: npt.NDArray[Any], threads: int = 1) -> FloatArray:
    """P[i, j], the weighted sum over coalitions with both i and j, of v(S) - v(N).

    Parameters
    ----------
    table : float64 or float32, shape (2**n,), n >= 13
        Read once, never copied; a memory map is paged in as the pass goes.
    threads : int
        Each takes a run of blocks and sums of its own; numba releases the interpreter. A
        thread that would get less than 2**20 values is not worth waking, and is not.
    """
    n_parties = party_count(len(table))
    n_high = n_parties - 2 * _SIDE_PARTIES
    n_pairs = 1 << (n_high - 1)
    # One frozen type a dtype: a memory map or a writeable array compiles nothing anew.
    values = np.ascontiguousarray(table).view(np.ndarray)
    values.flags.writeable = False
    weight_rows, sizes = _layout(n_parties)
    offset = float(table[-1])
    firsts = np.empty((2 * n_pairs, 2 * _SIDE_PARTIES + 1))
    threads = max(1, min(threads, len(table) // _VALUES_A_THREAD))
    bounds = [n_pairs * share // threads for share in range(threads + 1)]

    def work(thread: int) -> FloatArray:
        sums, rows = _aligned_zeros(_BLOCK + 2 * _SIDE), _aligned_zeros(2 * _SIDE)
        pairs = (bounds[thread], bounds[thread + 1])
        _accumulate(values, offset, weight_rows, sizes, pairs, sums, rows, firsts)
        return sums[:_BLOCK].reshape(_SIDE, _SIDE)

    others = [_pool(threads - 1).submit(work, thread) for thread in range(1, threads)]
    cells = work(0)
    for other in others:
        cells += other.result()
    return _assemble(cells, firsts, n_high)


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    # Kept: starting threads would cost as much as a pass over 2**20 values.
    return ThreadPoolExecutor(workers, thread_name_prefix="flows")


# A forked child has none of its parent's threads; it must not wait for them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@lru_cache(maxsize=4)
def _layout(n_parties: int) -> tuple[FloatArray, npt.NDArray[np.uint64]]:
    """Rows of 64 column weights by size of block and row, and the size of each block or row."""
    longest = max(_SIDE, 1 << (n_parties - 2 * _SIDE_PARTIES))
    sizes = np.bitwise_count(np.arange(longest, dtype=np.uint64)).astype(np.uint64)
    by_size = np.arange(n_parties - _SIDE_PARTIES + 1)[:, None] + sizes[:_SIDE].astype(np.intp)
    # The loop reads, and leaves unused, one row past the last.
    return np.append(pair_weights(n_parties)[by_size].ravel(), np.zeros(_SIDE)), sizes


def _aligned_zeros(length: int) -> FloatArray:
    # On a cache line: a vector that straddles two costs a second load.
    raw = np.zeros(length + 8)
    start = (-raw.ctypes.data // 8) % 8
    return raw[start : start + length]


def _assemble(cells: FloatArray, firsts: FloatArray, n_high: int) -> FloatArray:
    side = membership(_SIDE_PARTIES)  # (64, 6)
    n_low = 2 * _SIDE_PARTIES
    moments = np.empty((n_low + n_high, n_low + n_high))
    columns, rows = slice(0, _SIDE_PARTIES), slice(_SIDE_PARTIES, n_low)
    high = slice(n_low, None)
    moments[columns, columns] = (side * cells.sum(axis=0)[:, None]).T @ side
    moments[rows, rows] = (side * cells.sum(axis=1)[:, None]).T @ side
    moments[rows, columns] = side.T @ cells @ side
    moments[columns, rows] = moments[rows, columns].T
    bits = membership(n_high)  # (blocks, n_high)
    # Folding went from the highest bit down.
    cross = (bits.T @ firsts[:, :n_low])[:, [*range(5, -1, -1), *range(11, 5, -1)]]
    moments[high, :n_low], moments[:n_low, high] = cross, cross.T
    moments[high, high] = (bits * firsts[:, -1:]).T @ bits
    return moments
