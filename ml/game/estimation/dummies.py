"""Estimates of games in which some parties add nothing, such as buyers without data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ml.game.estimation.estimators import FlowEstimate
from ml.game.tables.coalitions import CoalitionMatrix, FloatArray, bitmasks, coalition_matrix

__all__ = ["estimate_with_dummies"]

Evaluate = Callable[[CoalitionMatrix], npt.ArrayLike]


def estimate_with_dummies(
    estimate: Callable[[Evaluate, int], FlowEstimate],
    evaluate: Evaluate,
    n_parties: int,
    dummies: Sequence[int],
) -> FlowEstimate:
    """Payoff flows of a game in which the ``dummies`` add nothing, from a sample of the others.

    Parameters
    ----------
    estimate : callable
        Takes an ``evaluate`` and a number of parties, all of them no dummies; see `estimate_flows`.
    evaluate : callable
        Of all parties. Asked for coalitions without dummies, and for the grand one.
    n_parties : int
        Of all parties.
    dummies : sequence of int
        Who adds nothing to any coalition.

    Returns
    -------
    FlowEstimate
        Flows to a dummy are 0. A dummy pays each party its Shapley value, eq. (6) of the others'
        flows, since what j adds given a dummy is what j adds; errors follow in the same way.

    Notes
    -----
    No evaluation is spent on what is known. Source: the dummy party of Sec. 3.1; Lemma 3.7.
    """
    if not dummies:
        return estimate(evaluate, n_parties)
    others = [party for party in range(n_parties) if party not in dummies]

    def with_dummies(members: CoalitionMatrix) -> CoalitionMatrix:
        found = np.zeros((len(members), n_parties), dtype=bool)
        found[:, others] = members
        found[members.all(axis=1)] = True
        return found

    small = estimate(lambda members: evaluate(with_dummies(members)), len(others))
    coalitions = bitmasks(with_dummies(coalition_matrix(small.coalitions, len(others))))
    own, own_scatter = np.zeros(n_parties), np.zeros((len(small.scatter), n_parties))
    own[others], own_scatter[:, others] = small.own_values, small.own_scatter
    return replace(
        small,
        flows=_spread(small.flows[None], small.own_values[None], others, n_parties)[0],
        scatter=_spread(small.scatter, small.own_scatter, others, n_parties),
        own_scatter=own_scatter,
        coalitions=tuple(coalitions),
        own_values=own,
    )


def _spread(flows: FloatArray, own: FloatArray, others: list[int], n_parties: int) -> FloatArray:
    """Flows of all parties, shape (rows, n, n), from those of the others, shape (rows, m, m)."""
    shapley = (own + flows.sum(axis=1)) / len(others)
    found = np.zeros((len(flows), n_parties, n_parties))
    found[:, :, others] = shapley[:, None, :]
    found[np.ix_(range(len(flows)), others, others)] = flows
    return found
