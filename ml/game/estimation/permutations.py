"""One sampled game per payer, by permutations: what estimates without shared samples do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations

import numpy as np
import numpy.typing as npt

from ml.game.estimation.size_means import step_variance, unseen_variance
from ml.game.tables.coalitions import FloatArray

__all__ = ["by_permutations", "permutation_coalitions", "permutation_order"]


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


def by_permutations(
    known: dict[int, int], values: FloatArray, n_parties: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Weights and scatter of the mean marginals over the orders whose coalitions are all known.

    Parameters
    ----------
    known : dict
        Place of each coalition among the values.
    values : float64, shape (samples,)
    n_parties, seed : int
    """
    weights = np.zeros((len(values), n_parties, n_parties))
    payers: list[int] = []
    marginals: list[FloatArray] = []
    grand = (1 << n_parties) - 1
    orders = islice(permutation_order(n_parties, seed), _ORDERS_A_COALITION * len(known))
    for payer, order, path in orders:
        if any(coalition not in known for coalition in path):
            break
        steps = [known[coalition] for coalition in (1 << payer, *path, grand)]
        added = np.full(n_parties, np.nan)
        added[list(order)] = np.diff(values[steps])
        marginals.append(added)
        payers.append(payer)
        for party, before, after in zip(order, steps[:-1], steps[1:], strict=True):
            weights[before, payer, party] -= 1
            weights[after, payer, party] += 1
    # Payers by turn: all have the same number of orders, or one more.
    counts = np.bincount(payers, minlength=n_parties)
    weights /= counts[:, None]
    spread = _spread(np.array(marginals), np.array(payers), values)
    errors = np.sqrt(spread / counts[:, None])
    # Each payer has a sample of its own, in which what one payee gets more another gets less.
    scatter = np.zeros((n_parties * (n_parties - 1), n_parties, n_parties))
    for row, (payer, payee) in enumerate(permutations(range(n_parties), 2)):
        others = [party for party in range(n_parties) if party not in (payer, payee)]
        scatter[row, payer, payee] = errors[payer, payee]
        scatter[row, payer, others] = -errors[payer, payee] / max(len(others), 1)
    kept = np.sqrt((scatter**2).sum(axis=0))
    scatter *= np.divide(errors, kept, out=np.zeros_like(errors), where=kept > 0)
    return weights, scatter


def _spread(marginals: FloatArray, payers: npt.NDArray[np.intp], values: FloatArray) -> FloatArray:
    """Variance of each payee's marginals in the orders of a payer, shape (n, n).

    Parameters
    ----------
    marginals : float64, shape (orders, n)
        NaN for the payer.
    payers : int, shape (orders,)
    values : float64, shape (samples,)
    """
    n_parties = marginals.shape[1]
    own = np.zeros((n_parties, n_parties))
    for payer in range(n_parties):
        mine = np.nan_to_num(marginals[payers == payer])
        own[payer] = ((mine - mine.mean(axis=0)) ** 2).sum(axis=0)
    # A few orders more each, in which the marginals deviate as they do over all payers: orders
    # that happen to agree are not taken for exact, nor who never was the one to make a step.
    n_orders = (~np.isnan(marginals)).sum(axis=0)  # (n,)
    deviations = np.nanvar(marginals, axis=0) * n_orders
    # A spread known from few draws is uncertain itself: two do not count, as in the variance of
    # Student's distribution.
    of_payee = (deviations + unseen_variance(values, len(payers))) / np.maximum(n_orders - 2, 1)
    known = marginals[~np.isnan(marginals)]
    of_payee = np.maximum(of_payee, [step_variance(known, int(count)) for count in n_orders])
    counts = np.bincount(payers, minlength=n_parties)
    return np.asarray((own + _BORROWED * of_payee) / (counts - 1 + _BORROWED)[:, None])
