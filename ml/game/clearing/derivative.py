"""How adjustment factors move with what the parties have: used by shadow prices and by errors."""

from __future__ import annotations

import numpy as np

from ml.game.clearing.clearing import solve
from ml.game.clearing.elimination import eliminate
from ml.game.clearing.problem import Problem, checked_problem
from ml.game.tables.coalitions import FloatArray

__all__ = ["NEAR", "below_limit", "budget_derivative", "flow_derivative"]

NEAR = 1e-12
"""A factor this close to its cap, relative to it, is at its cap."""


def below_limit(problem: Problem, factors: FloatArray) -> np.ndarray:
    """Parties that pay all they have because their budget keeps them below their cap."""
    return np.asarray((factors < problem.caps * (1 - NEAR)) & (problem.costs > 0))


def budget_derivative(problem: Problem, factors: FloatArray) -> FloatArray:
    """Derivative d lambda_k / d b_i at ``[i, k]``, shape (n, n).

    Zero unless both parties are below their caps: these pay all they have, so their factors
    solve a linear system, and its inverse is the derivative. No entry is negative: a larger
    budget lowers nobody's factor.
    """
    below = below_limit(problem, factors)
    n_below = int(below.sum())
    derivative = np.zeros((len(factors), len(factors)))
    if n_below:
        leaks = problem.flows[np.ix_(below, ~below)].sum(axis=1)
        inner = np.broadcast_to(problem.flows[np.ix_(below, below)], (n_below,) * 3)
        leaks = np.broadcast_to(leaks, (n_below, n_below))
        derivative[np.ix_(below, below)], _ = eliminate(inner, leaks, np.eye(n_below), leaks)
    return derivative


def flow_derivative(flows: FloatArray, budgets: FloatArray) -> FloatArray:
    """Derivative of each party's payoff with respect to each flow, shape (n, n, n).

    One more unit of flow from i to j takes lambda_i from i and gives it to j; what either then
    passes on, because it pays all it has, moves the payoffs of all.
    """
    problem = checked_problem(flows, budgets)
    factors = solve(problem, "clearing").factors
    n_parties = len(factors)
    passed = budget_derivative(problem, factors) @ (problem.flows - np.diag(problem.costs))
    arriving = np.eye(n_parties) + passed  # [i, k]: what one unit at i does to the payoff of k
    derivative = factors[:, None, None] * (arriving[None, :, :] - arriving[:, None, :])
    return np.asarray(derivative)
