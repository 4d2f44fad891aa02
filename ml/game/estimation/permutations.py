"""One sampled game per payer, by permutations: what estimates without shared samples do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from ml.game.estimation.size_means import unseen_variance
from ml.game.tables.coalitions import FloatArray

__all__ = ["flows_by_permutations", "permutation_coalitions", "permutation_order"]


_ORDERS_A_COALITION = 20
"""Where all coalitions are known orders never run out; this many are enough."""

_BORROWED = 4
"""Orders of other payers that count in the spread of a payer's marginals, beside its own."""


def permutation_order(
    n_parties: int, seed: int
) -> Iterator[tuple[int, tuple[int, ...], list[int]]]:
    """Yield (payer, order of the others, coalitions on the way) without end, payers by turn."""
    rng = np.random.default_rng((seed, 64))
    while True:
        for payer in range(n_parties):
            others = [party for party in range(n_parties) if party != payer]
            order = tuple(int(party) for party in rng.permutation(others))
            coalition, path = 1 << payer, []
            for party in order[:-1]:
                coalition |= 1 << party
                path.append(coalition)
            yield payer, order, path


def permutation_coalitions(n_parties: int, seed: int, evaluations: int) -> list[int]:
    """Coalitions on the way of as many whole orders as the evaluations pay for."""
    wanted = {(1 << n_parties) - 1: None} | {1 << party: None for party in range(n_parties)}
    everything = min(evaluations, 2**n_parties - 1)
    idle = 0
    for _, _, path in permutation_order(n_parties, seed):
        new = [coalition for coalition in path if coalition not in wanted]
        idle = 0 if new else idle + 1
        if len(wanted) + len(new) > everything or idle > 50 * n_parties:
            break
        wanted |= dict.fromkeys(new)
    return list(wanted)


def flows_by_permutations(
    known: dict[int, float], n_parties: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Mean marginals over the orders whose coalitions are all known, and their errors."""
    sums, squares = np.zeros((n_parties, n_parties)), np.zeros((n_parties, n_parties))
    counts = np.zeros(n_parties)
    grand = (1 << n_parties) - 1
    orders = islice(permutation_order(n_parties, seed), _ORDERS_A_COALITION * len(known))
    for payer, order, path in orders:
        if any(coalition not in known for coalition in path):
            break
        steps = np.array([known[1 << payer], *(known[c] for c in path), known[grand]])
        marginals = np.diff(steps)
        sums[payer, list(order)] += marginals
        squares[payer, list(order)] += marginals**2
        counts[payer] += 1
    # Payers by turn: all have the same number of orders, or one more.
    means = sums / counts[:, None]
    deviations = np.maximum(squares - counts[:, None] * means**2, 0.0)
    # A few orders more each, in which the marginals deviate as they do for the other payers:
    # orders that happen to agree are not taken for exact.
    unseen = unseen_variance(np.array(list(known.values())), int(counts.sum()))
    of_payee = (deviations.sum(axis=0) + unseen) / ((counts - 1).sum() + 1)
    spread = (deviations + _BORROWED * of_payee) / (counts - 1 + _BORROWED)[:, None]
    errors = np.sqrt(spread / counts[:, None])
    np.fill_diagonal(errors, 0.0)
    return means, errors
