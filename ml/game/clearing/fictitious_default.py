"""The clearing solver: mark who cannot pay, solve for the marked ones, repeat.

One loop serves a single game and thousands of budget vectors alike: each row is one vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BrokenInvariant
from ml.game.clearing.aggregation import marked_system, solve_duals, solve_factors
from ml.game.clearing.certificate import Certificate, gap_rounding
from ml.game.clearing.elimination import eliminate
from ml.game.clearing.problem import Problem
from ml.game.clearing.solution import AdjustmentFactors
from ml.game.tables.coalitions import FloatArray

__all__ = ["certificate_of", "default_in_rounds", "solve_clearing"]

BoolArray = npt.NDArray[np.bool_]

_LARGE = 32
"""From this many parties on the marked systems are iterated, not eliminated."""

_ELIMINATED_AT_MOST = 2500
"""Up to this many parties a slowly mixing market is eliminated in the end."""

_LARGEST_GAP = 1e-8
"""Relative duality gap beyond which an answer is not taken."""

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
    result = _single(problem, is_large)
    if is_large and not _is_proved(problem, result) and n_parties <= _ELIMINATED_AT_MOST:
        # A market that mixes slowly: elimination is exact whatever the shape, and slower.
        result = _single(problem, False)
    if not _is_proved(problem, result):
        raise BrokenInvariant(
            f"Clearing of {n_parties} parties leaves a relative duality gap of "
            f"{result.certificate.relative_gap:.3g}; expected at most {_LARGEST_GAP:g}. "
            "Use method='linear-programme' and report the flows."
        )
    return result


def _single(problem: Problem, is_large: bool) -> AdjustmentFactors:
    factors, duals, rounds = default_in_rounds(problem, problem.budgets[None], is_large)
    certificate = certificate_of(problem, factors[0], duals[0])
    return AdjustmentFactors(factors[0], rounds, certificate, "clearing")


def _is_proved(problem: Problem, result: AdjustmentFactors) -> bool:
    certificate = result.certificate
    allowed = _LARGEST_GAP * float(problem.costs.sum())
    allowed += gap_rounding(problem.costs, certificate.dual_values)
    return abs(certificate.gap) <= allowed


def certificate_of(problem: Problem, factors: FloatArray, duals: FloatArray) -> Certificate:
    """Certificate with the duality gap that these dual values leave."""
    bounded = np.isfinite(problem.budgets)
    reduced = problem.costs * (1 - duals) + np.asarray(problem.flows @ duals).ravel()
    upper = problem.budgets[bounded] @ duals[bounded] + problem.caps @ np.maximum(reduced, 0.0)
    total = float(problem.costs.sum())
    gap = float(upper - problem.costs @ factors)
    return Certificate(duals, gap, gap / total if total > 0 else 0.0)


def default_in_rounds(
    problem: Problem, budgets: FloatArray, is_large: bool = False
) -> tuple[FloatArray, FloatArray, int]:
    """Factors and dual values for each row of budgets, and how many rounds it took.

    Parameters
    ----------
    problem : Problem
        Its own budgets play no part.
    budgets : float64, shape (batch, n)
    is_large : bool
        Iterate the marked systems, one row only, instead of eliminating.
    """
    caps, costs = problem.caps, problem.costs
    factors = np.broadcast_to(caps, budgets.shape).copy()
    marked = np.zeros(budgets.shape, dtype=bool)
    # Rounding grows like a random walk over the n terms of a revenue.
    finest = 8 * _EPSILON * float(np.sqrt(len(caps)))
    # Iterated factors may be rough as long as only clear deficits count; then both get sharp.
    stages = ((1e-7, 1e-9), (finest, 1e-15)) if is_large else ((finest, 0.0),)
    rounds, duals = 0, np.zeros(budgets.shape)
    for threshold, tolerance in stages:
        if marked.any():
            factors[0] = _iterated(problem, budgets[0], marked[0], factors[0], tolerance)
        alive = np.arange(len(budgets))
        while len(alive):
            short = _newly_short(problem, budgets[alive], factors[alive], marked[alive], threshold)
            going = short.any(axis=1)
            alive, short = alive[going], short[going]
            if not len(alive):
                break
            marked[alive] |= short
            rounds += 1
            if is_large:
                factors[0] = _iterated(problem, budgets[0], marked[0], factors[0], tolerance)
            else:
                solved = _eliminated(problem, budgets[alive], marked[alive])
                factors[alive], duals[alive] = solved
    factors[:, costs == 0] = caps[costs == 0]
    if is_large and marked.any():
        system = marked_system(problem.flows, marked[0], costs)
        duals[0, marked[0]] = solve_duals(system, costs[marked[0]])
    return factors, duals, rounds


def _newly_short(
    problem: Problem,
    budgets: FloatArray,
    factors: FloatArray,
    marked: BoolArray,
    threshold: float,
) -> BoolArray:
    """Who cannot pay, and who cannot because of them, row by row.

    Letting the short ones pay no more than they have, before any system is solved, leaves all
    factors above the greatest allowed ones; so whoever that makes short is short indeed. A
    default that runs along a chain of n payers takes n cheap sweeps and not n systems.
    """
    deficits, means = _relative_deficits(problem, budgets, factors)
    short = (deficits > threshold) & ~marked
    further = short
    while further.any():
        defaulting = marked | short
        paid = np.divide(means, problem.costs, out=np.ones_like(means), where=problem.costs > 0)
        factors = np.where(defaulting, np.minimum(factors, paid), factors)
        now, means = _relative_deficits(problem, budgets, factors)
        further = (now > threshold) & ~defaulting
        deficits = np.where(further, now, deficits)
        short = short | further
    if short.any():
        _spare_ways_out(problem.flows, marked, short, deficits)
    return short


def _relative_deficits(
    problem: Problem, budgets: FloatArray, factors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What each party lacks to pay its cost, over all that it pays and receives; its means."""
    due, revenues = factors * problem.costs, factors @ problem.flows
    turnover = due + revenues
    lacking = due - revenues - budgets
    deficits = np.divide(lacking, turnover, out=np.zeros_like(due), where=turnover > 0)
    return deficits, budgets + revenues


def _spare_ways_out(flows: Any, marked: BoolArray, short: BoolArray, deficits: FloatArray) -> None:
    """Take back marks that only rounding can have made.

    The deficits of a set of parties that owe nothing outside of it sum to minus its budgets
    and inflow: they cannot all be positive. If all would be marked, the least short one is
    not short at all.
    """
    pays = (flows > 0).astype(np.float64).T
    while True:
        reached = ~(marked | short)
        while True:
            further = reached | (reached.astype(np.float64) @ pays > 0)
            if (further == reached).all():
                break
            reached = further
        doubtful = ~reached & short
        rows = np.flatnonzero(doubtful.any(axis=1))
        if len(rows) == 0:
            return
        least = np.where(doubtful[rows], deficits[rows], np.inf).argmin(axis=1)
        short[rows, least] = False


def _eliminated(
    problem: Problem, budgets: FloatArray, marked: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Factors and dual values if the marked parties pay all they have, by elimination."""
    caps, costs = problem.caps, problem.costs
    flows = problem.flows.toarray() if hasattr(problem.flows, "toarray") else problem.flows
    outside = np.where(marked, 0.0, caps)
    # An unmarked party becomes an equation of its own: it leaks 1 and has its cap as income.
    leaks = np.where(marked, (~marked).astype(np.float64) @ flows.T, 1.0)
    incomes = np.where(marked, np.where(marked, budgets, 0.0) + outside @ flows, caps)
    inner = flows * marked[:, :, None] * marked[:, None, :]
    factors, duals = eliminate(inner, leaks, incomes, np.where(marked, costs, 0.0))
    return np.minimum(factors, caps), duals


def _iterated(
    problem: Problem, budgets: FloatArray, marked: BoolArray, start: FloatArray, tolerance: float
) -> FloatArray:
    """The same factors for one row of many parties, by iteration to a tolerance."""
    factors = np.where(marked, 0.0, problem.caps)
    incomes = (budgets + factors @ problem.flows)[marked]
    system = marked_system(problem.flows, marked, problem.costs)
    factors[marked] = solve_factors(system, incomes, start[marked], tolerance)
    return np.asarray(np.minimum(factors, problem.caps))
