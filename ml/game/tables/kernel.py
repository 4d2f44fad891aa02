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
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ml.game.tables.coalitions import FloatArray, party_count
from ml.game.tables.moments import flows_of_moments, pair_weights

__all__ = ["compiled_flows"]

_SIDE_PARTIES = 6
_SIDE = 1 << _SIDE_PARTIES
_BLOCK = _SIDE * _SIDE

_VALUES_A_THREAD = 1 << 20

_LINE = 8
"""Values in a cache line."""

_AHEAD = 128 * _SIDE
"""How far ahead of its use a value is fetched: the same rows of the next two blocks."""

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


@intrinsic
def _prefetch_line(context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an element, without waiting and without fear of the end."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        line = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        declared = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [line.type],
            ir.FunctionType(ir.VoidType(), [line.type, *[ir.IntType(32)] * 3]),
        )
        to_read, outer_cache, data_cache = (ir.IntType(32)(number) for number in (0, 1, 1))
        builder.call(declared, [line, to_read, outer_cache, data_cache])
        return target.get_dummy_value()

    return types.void(array, types.uint64), generate


_prefetch: Any = _prefetch_line  # numba adds the typing context, of which callers know nothing


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
            # The processor's own guesses stop at each page and wait for two misses.
            for line in range(2 * _SIDE // _LINE):
                ahead = value + _U(_AHEAD) + _U(_LINE) * _U(line)
                _prefetch(values, ahead)
                _prefetch(values, ahead + _BLOCK_U)
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


def compiled_flows(table: npt.NDArray[Any], threads: int = 1) -> FloatArray:
    """Conditional Shapley values, eq. (5), of a table that has been checked.

    Parameters
    ----------
    table : float64 or float32, shape (2**n,)
        From 13 parties on: blocks are taken in twos, so there is one high bit at least.
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
        return sums

    others = [_pool(threads - 1).submit(work, thread) for thread in range(1, threads)]
    sums = work(0)
    for other in others:
        sums += other.result()
    return np.asarray(_finish(values, _assemble(sums, firsts, n_high)))


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
    start = (-raw.__array_interface__["data"][0] // 8) % 8
    return raw[start : start + length]


@_compiled
def _assemble(sums: Any, firsts: Any, n_high: Any) -> Any:  # pragma: no cover
    """P[i, j] of all pairs from the three marginal sums.

    A dozen numpy calls would do; right after a pass has emptied the caches each of them
    costs ten times its usual time, together a third of a pass over 2**20 values.
    """
    side, low = _SIDE_PARTIES, 2 * _SIDE_PARTIES
    moments = np.zeros((low + n_high, low + n_high))
    column_sums = np.zeros(_SIDE)
    by_row = np.zeros((_SIDE, side + 1))  # of each row: its columns' moments, then its sum
    for row in range(_SIDE):
        start = row * _SIDE
        for column in range(_SIDE):
            column_sums[column] += sums[start + column]
        _fold(sums, _U(start), by_row, _U(row), _ZERO)
        by_row[row, side] = sums[start]
    for index in range(_SIDE):
        for party in range(side):
            if not (index >> party) & 1:
                continue
            for other in range(side):
                # Folding went from the highest bit down.
                moments[side + party, other] += by_row[index, side - 1 - other]
                if (index >> other) & 1:
                    moments[party, other] += column_sums[index]
                    moments[side + party, side + other] += by_row[index, side]
    for block in range(len(firsts)):
        for party in range(n_high):
            if not (block >> party) & 1:
                continue
            for other in range(side):
                moments[low + party, other] += firsts[block, side - 1 - other]
                moments[low + party, side + other] += firsts[block, low - 1 - other]
            for other in range(n_high):
                if (block >> other) & 1:
                    moments[low + party, low + other] += firsts[block, low]
    for party in range(low + n_high):
        for other in range(party):
            moments[other, party] = moments[party, other]
    return moments


_flows_of_moments = _compiled(flows_of_moments)


@_compiled
def _finish(values: Any, moments: Any) -> Any:  # pragma: no cover
    """Flows of the moments, compiled for the same reason."""
    own_gains = np.empty(len(moments))
    for party in range(len(moments)):
        own_gains[party] = np.float64(values[-1]) - np.float64(values[1 << party])
    return _flows_of_moments(moments, own_gains)
