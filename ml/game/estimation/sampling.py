"""Which coalitions to evaluate, in which order: a fixed list per seed, of which runs are prefixes.

Because any run evaluates a prefix of the same list, an estimate can be continued without
repeating a coalition, and ends where a longer run would have ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

__all__ = ["stratified_order"]

_LISTED = 20_000
"""A size with at most this many coalitions is listed and shuffled; others are drawn."""


def stratified_order(n_parties: int, seed: int, length: int) -> list[int]:
    """First coalitions of the stratified list: grand, singletons, then sizes in proportion.

    Parameters
    ----------
    n_parties : int
    seed : int
    length : int
        How many; all 2**n - 1 if there are no more.

    Returns
    -------
    list of int
        Bitmasks, each once; min(length, 2**n - 1) of them.

    Notes
    -----
    Size s is drawn in proportion to 1 / s + 1 / (n - s), without replacement: small and large
    coalitions are few and weigh most. Sizes take turns by the method of d'Hondt, which never
    takes back a seat when the list grows. A coalition is drawn together with the one of everybody
    else: Shapley values are a sum over such differences v(C) - v(N without C) alone.
    """
    certain = [(1 << n_parties) - 1, *(1 << party for party in range(n_parties))]
    counts = _counts_by_turn(n_parties, max(0, length - len(certain)))
    streams = [_coalitions_of_size(n_parties, size, seed) for size in range(2, n_parties)]
    drawn = [next(streams[turn]) for turn in counts]
    return (certain + drawn)[:length]


def _counts_by_turn(n_parties: int, length: int) -> npt.NDArray[np.intp]:
    """Whose turn it is, size by size: index 0 is size 2."""
    sizes = range(2, n_parties)
    weights = [1 / size + 1 / (n_parties - size) for size in sizes]
    available = [comb(n_parties, size) for size in sizes]
    # Raise the price of a seat until there are enough, so that no more are listed than needed.
    price = 1.0
    while True:
        seats = [min(most, int(price * w)) for most, w in zip(available, weights, strict=True)]
        if sum(seats) >= length or seats == available:
            break
        price *= 2
    if not seats or length == 0:
        return np.empty(0, dtype=np.intp)
    turns = np.repeat(np.arange(len(seats)), seats)
    quotients = np.concatenate(
        [np.arange(1, count + 1) / w for count, w in zip(seats, weights, strict=True)]
    )
    order = np.argsort(quotients, kind="stable")
    return np.asarray(turns[order][:length], dtype=np.intp)


def _coalitions_of_size(n_parties: int, size: int, seed: int) -> Iterator[int]:
    everybody = (1 << n_parties) - 1
    if 2 * size > n_parties:  # those that the coalitions of the other size leave out
        for coalition in _coalitions_of_size(n_parties, n_parties - size, seed):
            yield everybody ^ coalition
        return
    rng = np.random.default_rng((seed, size))
    if comb(n_parties, size) <= _LISTED:
        every = [sum(1 << p for p in group) for group in combinations(range(n_parties), size)]
        if 2 * size == n_parties:  # each group beside the rest: the last ones are their rests
            half = len(every) // 2
            paired = np.stack([order := rng.permutation(half), len(every) - 1 - order], axis=1)
            yield from (every[int(place)] for place in paired.ravel())
            return
        yield from (every[int(place)] for place in rng.permutation(len(every)))
        return
    seen: set[int] = set()
    while True:
        # A permutation cut into groups: each party is in exactly one, so counts stay even.
        order = rng.permutation(n_parties)
        for start in range(0, n_parties - size + 1, size):
            coalition = 0
            for party in order[start : start + size]:
                coalition |= 1 << int(party)
            both = {coalition, everybody ^ coalition} if 2 * size == n_parties else {coalition}
            if coalition not in seen:
                seen |= both
                yield from sorted(both, key=coalition.__ne__)
