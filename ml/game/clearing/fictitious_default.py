"""The clearing solver: mark who cannot pay, solve for the marked ones, repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BrokenInvariant
from ml.game.clearing.aggregation import marked_system, solve_duals, solve_factors
from ml.game.clearing.certificate import Certificate
from ml.game.clearing.elimination import eliminate
from ml.game.clearing.problem import Problem
from ml.game.clearing.solution import AdjustmentFactors
from ml.game.tables.coalitions import FloatArray

__all__ = ["certificate_of", "solve_clearing"]

BoolArray = npt.NDArray[np.bool_]

_LARGE = 32
"""From this many parties on the marked systems are iterated, not eliminated."""

_ELIMINATED_AT_MOST = 2500
"""Up to this many parties a slowly mixing market is eliminated in the end."""

_LARGEST_GAP = 1e-8

_EPSILON = float(np.finfo(np.float64).eps)


def solve_clearing(problem: Problem) -> AdjustmentFactors:
    """Greatest adjustment factors by fictitious default.

    Everybody starts at its cap. A party that cannot pay its cost out of its budget and of what
    it receives is marked, and so are those that it leaves unable to pay; the marked ones pay
    all they have, a linear system; what they now pay less may leave others unable to pay, so
    repeat. Marks are never taken back and each round adds one, so there are at most n rounds;
    in practice a handful.

    Raises
    ------
    BrokenInvariant
        If the duality gap says that the answer is not the greatest.
    """
    n_parties = len(problem.caps)
    is_large = n_parties > _LARGE
    result = _default_in_rounds(problem, is_large)
    if is_large and not _is_proved(result) and n_parties <= _ELIMINATED_AT_MOST:
        # A market that mixes slowly: elimination is exact whatever the shape, and slower.
        result = _default_in_rounds(problem, False)
    if not _is_proved(result):
        raise BrokenInvariant(
            f"Clearing of {n_parties} parties leaves a relative duality gap of "
            f"{result.certificate.relative_gap:.3g}; expected at most {_LARGEST_GAP:g}. "
            "Use method='linear-programme' and report the flows."
        )
    return result


def _is_proved(result: AdjustmentFactors) -> bool:
    return abs(result.certificate.relative_gap) <= _LARGEST_GAP


def _default_in_rounds(problem: Problem, is_large: bool) -> AdjustmentFactors:
    caps, costs = problem.caps, problem.costs
    # Rounding grows like a random walk over the n terms of a revenue.
    finest = 8 * _EPSILON * float(np.sqrt(len(caps)))
    # Iterated factors may be rough as long as only clear deficits count; then both get sharp.
    stages = ((1e-7, 1e-9), (finest, 1e-15)) if is_large else ((finest, None),)
    factors, marked, rounds = caps.copy(), np.zeros(len(caps), dtype=bool), 0
    for threshold, tolerance in stages:
        if marked.any():
            factors = _solve_marked(problem, marked, factors, tolerance)
        while True:
            short, deficits = _newly_short(problem, marked, factors, threshold)
            short = _spare_a_way_out(problem, marked, short, deficits)
            if not short.any():
                break
            marked |= short
            rounds += 1
            factors = _solve_marked(problem, marked, factors, tolerance)
    factors[costs == 0] = caps[costs == 0]
    duals = _solve_marked_duals(problem, marked, is_large)
    return AdjustmentFactors(factors, rounds, certificate_of(problem, factors, duals), "clearing")


def certificate_of(problem: Problem, factors: FloatArray, duals: FloatArray) -> Certificate:
    """Certificate with the duality gap that these dual values leave."""
    bounded = np.isfinite(problem.budgets)
    reduced = problem.costs * (1 - duals) + np.asarray(problem.flows @ duals).ravel()
    upper = problem.budgets[bounded] @ duals[bounded] + problem.caps @ np.maximum(reduced, 0.0)
    total = float(problem.costs.sum())
    gap = float(upper - problem.costs @ factors)
    return Certificate(duals, gap, gap / total if total > 0 else 0.0)


def _newly_short(
    problem: Problem, marked: BoolArray, factors: FloatArray, threshold: float
) -> tuple[BoolArray, FloatArray]:
    """Who cannot pay, and who cannot because of them; and by how much each is short.

    Letting the short ones pay no more than they have, before any system is solved, leaves all
    factors above the greatest allowed ones; so whoever that makes short is short indeed. A
    default that runs along a chain of n payers takes n cheap sweeps and not n systems.
    """
    deficits = _relative_deficits(problem, factors)
    short = (deficits > threshold) & ~marked
    further = short
    while further.any():
        defaulting = marked | short
        means = problem.budgets + np.asarray(problem.flows.T @ factors).ravel()
        paid = means[defaulting] / problem.costs[defaulting]
        factors = factors.copy()
        factors[defaulting] = np.minimum(factors[defaulting], paid)
        now = _relative_deficits(problem, factors)
        further = (now > threshold) & ~defaulting
        deficits[further] = now[further]
        short = short | further
    return short, deficits


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


def _solve_marked(
    problem: Problem, marked: BoolArray, start: FloatArray, tolerance: float | None
) -> FloatArray:
    """Factors if the marked parties pay all they have and the others stay at their caps.

    Iterated to the tolerance, or eliminated if there is none.
    """
    factors = np.where(marked, 0.0, problem.caps)
    incomes = (problem.budgets + np.asarray(problem.flows.T @ factors).ravel())[marked]
    if tolerance is not None:
        system = marked_system(problem.flows, marked, problem.costs)
        factors[marked] = solve_factors(system, incomes, start[marked], tolerance)
    else:
        inner, leaks = _small_system(problem, marked)
        factors[marked], _ = eliminate(inner, leaks, incomes, problem.costs[marked])
    return np.asarray(np.minimum(factors, problem.caps))


def _solve_marked_duals(problem: Problem, marked: BoolArray, is_large: bool) -> FloatArray:
    duals = np.zeros(len(marked))
    charges = problem.costs[marked]
    if not marked.any():
        return duals
    if is_large:
        duals[marked] = solve_duals(marked_system(problem.flows, marked, problem.costs), charges)
    else:
        inner, leaks = _small_system(problem, marked)
        _, duals[marked] = eliminate(inner, leaks, charges, charges)
    return duals


def _small_system(problem: Problem, marked: BoolArray) -> tuple[FloatArray, FloatArray]:
    flows = problem.flows.toarray() if hasattr(problem.flows, "toarray") else problem.flows
    return flows[np.ix_(marked, marked)], flows[np.ix_(marked, ~marked)].sum(axis=1)
