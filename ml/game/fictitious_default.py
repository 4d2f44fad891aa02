"""The clearing solver: mark who cannot pay, solve for the marked ones, repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.certificate import Certificate
from ml.game.clearing import AdjustmentFactors, Problem
from ml.game.coalitions import FloatArray
from ml.game.elimination import eliminate

__all__ = ["certificate_of", "solve_clearing"]

BoolArray = npt.NDArray[np.bool_]

_EPSILON = float(np.finfo(np.float64).eps)


def solve_clearing(problem: Problem) -> AdjustmentFactors:
    """Greatest adjustment factors by fictitious default.

    Everybody starts at its cap. A party that cannot pay its cost out of its budget and of what
    it receives is marked; the marked ones pay all they have, a linear system; what they now
    pay less may leave others unable to pay, so repeat. Marks are never taken back and each
    round adds one, so there are at most n rounds; in practice a handful.
    """
    caps, costs = problem.caps, problem.costs
    factors, duals = caps.copy(), np.zeros(len(caps))
    marked = np.zeros(len(caps), dtype=bool)
    rounds = 0
    while True:
        deficits = _relative_deficits(problem, factors)
        # Rounding grows like a random walk over the n terms of a revenue.
        short = (deficits > 8 * _EPSILON * np.sqrt(len(caps))) & ~marked
        short = _spare_a_way_out(problem, marked, short, deficits)
        if not short.any():
            break
        marked |= short
        rounds += 1
        factors, duals = _solve_marked(problem, marked)
    factors[costs == 0] = caps[costs == 0]
    return AdjustmentFactors(factors, rounds, certificate_of(problem, factors, duals), "clearing")


def certificate_of(problem: Problem, factors: FloatArray, duals: FloatArray) -> Certificate:
    """Certificate with the duality gap that these dual values leave."""
    bounded = np.isfinite(problem.budgets)
    reduced = problem.costs * (1 - duals) + np.asarray(problem.flows @ duals).ravel()
    upper = problem.budgets[bounded] @ duals[bounded] + problem.caps @ np.maximum(reduced, 0.0)
    total = float(problem.costs.sum())
    gap = float(upper - problem.costs @ factors)
    return Certificate(duals, gap, gap / total if total > 0 else 0.0)


def _relative_deficits(problem: Problem, factors: FloatArray) -> FloatArray:
    """What each party lacks to pay its cost, as a share of all that it pays and receives."""
    due = problem.costs * factors
    revenues = np.asarray(problem.flows.T @ factors).ravel()
    lacking = due - revenues - problem.budgets
    turnover = due + revenues
    return np.where(turnover > 0, lacking / np.where(turnover > 0, turnover, 1.0), 0.0)


def _spare_a_way_out(
    problem: Problem, marked: BoolArray, short: BoolArray, deficits: FloatArray
) -> BoolArray:
    """Take back marks that only rounding can have made.

    The deficits of a set of parties that owe nothing outside of it sum to minus its budgets
    and inflow: they cannot all be positive. If all would be marked, the least short one is
    not short at all.
    """
    short = short.copy()
    while short.any():
        stuck = (marked | short) & ~_reaching(problem.flows, ~(marked | short))
        doubtful = np.flatnonzero(stuck & short)
        if len(doubtful) == 0:
            break
        short[doubtful[np.argmin(deficits[doubtful])]] = False
    return short


def _reaching(flows: Any, goal: BoolArray) -> BoolArray:
    """Parties from which money can reach the goal along positive flows."""
    reached = goal.copy()
    frontier = goal
    while frontier.any():
        pays = np.asarray(flows @ frontier.astype(np.float64)).ravel() > 0
        frontier = pays & ~reached
        reached |= frontier
    return reached


def _solve_marked(problem: Problem, marked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Factors if the marked parties pay all they have, and the dual values that go with it."""
    factors, duals = np.where(marked, 0.0, problem.caps), np.zeros(len(marked))
    incomes = problem.budgets + np.asarray(problem.flows.T @ factors).ravel()
    leaks = np.asarray(problem.flows @ (~marked).astype(np.float64)).ravel()
    inner = problem.flows[np.ix_(marked, marked)]
    factors[marked], duals[marked] = eliminate(
        inner, leaks[marked], incomes[marked], problem.costs[marked]
    )
    return np.minimum(factors, problem.caps), duals
