"""Many budgets on one game: thousands of allocations at once, and what one more unit does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BudgetError, FlowsError
from ml.game.clearing.clearing import adjustment_factors
from ml.game.clearing.elimination import eliminate
from ml.game.clearing.problem import Problem, checked_problem
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.reading import as_floats

__all__ = ["BudgetSensitivity", "ManyAllocations", "allocate_many", "budget_sensitivity"]

BoolArray = npt.NDArray[np.bool_]

_CHUNK = 4096
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class ManyAllocations:
    """Allocations of one game for many budget vectors; row = budget vector."""

    factors: FloatArray
    """lambda, shape (batch, n)."""
    payoffs: FloatArray
    """Shape (batch, n); each row sums to zero."""
    costs: FloatArray
    """lambda_i (v(N) - v(i)), shape (batch, n): add v(i) to get the model values."""
    relative_gaps: FloatArray
    """Duality gap over the total cost, shape (batch,): zero proves the row."""


def allocate_many(
    flows: npt.ArrayLike, budgets_batch: npt.ArrayLike, caps: npt.ArrayLike | None = None
) -> ManyAllocations:
    """Greatest adjustment factors for thousands of budget vectors on one game.

    Parameters
    ----------
    flows : float64, shape (n, n)
        ``flows[payer, payee]``, none negative.
    budgets_batch : float64, shape (batch, n)
        One budget vector a row, value units; ``np.inf`` means no limit.
    caps : float64, shape (n,), optional
        Upper bounds of the factors.

    Returns
    -------
    ManyAllocations

    Notes
    -----
    Fictitious default and elimination, vectorised over the batch: memory and time are those
    of batch * n**3 numbers, so it is meant for n up to about 30. Source: Sec. 4, (P).

    Examples
    --------
    >>> flows = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])
    >>> sweep = allocate_many(flows, [[0.2, np.inf, np.inf], [0.4, np.inf, np.inf]])
    >>> sweep.factors.round(6)
    array([[0.75, 1.  , 1.  ],
           [1.  , 1.  , 1.  ]])
    """
    problem = _dense_problem(flows, None, caps)
    n_parties = len(problem.costs)
    batch = as_floats(budgets_batch, "Budgets", BudgetError)
    if batch.ndim != 2 or batch.shape[1] != n_parties:
        raise BudgetError(f"Budgets have shape {batch.shape}; expected (batch, {n_parties}).")
    if not (batch >= 0).all():
        row, party = (int(index[0]) for index in np.nonzero(~(batch >= 0)))
        raise BudgetError(
            f"Budget of party {party} in row {row} is {batch[row, party]}; "
            "expected a number from 0 on, or infinity for no limit.",
            party=party,
        )
    parts = [_solve(problem, batch[i : i + _CHUNK]) for i in range(0, len(batch), _CHUNK)]
    if not parts:
        parts = [(np.empty((0, n_parties)), np.empty(0))]
    factors = np.concatenate([part[0] for part in parts])
    gaps = np.concatenate([part[1] for part in parts])
    costs = factors * problem.costs
    return ManyAllocations(factors, factors @ problem.flows - costs, costs, gaps)


def _dense_problem(flows: Any, budgets: Any, caps: Any) -> Problem:
    if hasattr(flows, "tocsr"):
        raise FlowsError("Flows are sparse; expected a dense array. Call toarray() first.")
    return checked_problem(flows, budgets, caps)


def _solve(problem: Problem, budgets: FloatArray) -> tuple[FloatArray, FloatArray]:
    flows, costs, caps = problem.flows, problem.costs, problem.caps
    factors = np.broadcast_to(caps, budgets.shape).copy()
    duals = np.zeros_like(budgets)
    marked = np.zeros(budgets.shape, dtype=bool)
    threshold = 8 * _EPSILON * float(np.sqrt(len(costs)))
    alive = np.arange(len(budgets))
    while len(alive):
        due, revenues = factors[alive] * costs, factors[alive] @ flows
        turnover = np.maximum(due + revenues, np.finfo(np.float64).tiny)
        deficits = (due - revenues - budgets[alive]) / turnover
        short = (deficits > threshold) & ~marked[alive]
        _spare_ways_out(flows, marked[alive], short, deficits)
        going = short.any(axis=1)
        alive, short = alive[going], short[going]
        if len(alive):
            marked[alive] |= short
            factors[alive], duals[alive] = _solve_marked(problem, budgets[alive], marked[alive])
    factors[:, costs == 0] = caps[costs == 0]
    reduced = costs * (1 - duals) + duals @ flows.T
    bought = (np.where(duals > 0, budgets, 0.0) * duals).sum(axis=1)
    gaps = bought + np.maximum(reduced, 0.0) @ caps - factors @ costs
    total = float(costs.sum())
    return factors, gaps / total if total > 0 else gaps


def _solve_marked(
    problem: Problem, budgets: FloatArray, marked: BoolArray
) -> tuple[FloatArray, FloatArray]:
    flows, costs, caps = problem.flows, problem.costs, problem.caps
    outside = np.where(marked, 0.0, caps)
    # An unmarked party becomes an equation of its own: it leaks 1 and has its cap as income.
    leaks = np.where(marked, (~marked).astype(np.float64) @ flows.T, 1.0)
    incomes = np.where(marked, np.where(marked, budgets, 0.0) + outside @ flows, caps)
    inner = flows * marked[:, :, None] * marked[:, None, :]
    factors, duals = eliminate(inner, leaks, incomes, np.where(marked, costs, 0.0))
    return np.minimum(factors, caps), duals


def _spare_ways_out(
    flows: FloatArray, marked: BoolArray, short: BoolArray, deficits: FloatArray
) -> None:
    """Take back marks that only rounding can have made; see the single solver."""
    pays = (flows > 0).astype(np.float64)
    while True:
        reached = ~(marked | short)
        for _ in range(len(flows)):
            further = reached | (reached.astype(np.float64) @ pays.T > 0)
            if (further == reached).all():
                break
            reached = further
        doubtful = ~reached & short
        rows = np.flatnonzero(doubtful.any(axis=1))
        if len(rows) == 0:
            return
        least = np.where(doubtful[rows], deficits[rows], np.inf).argmin(axis=1)
        short[rows, least] = False


@dataclass(frozen=True, eq=False)
class BudgetSensitivity:
    """What one more unit of a party's budget does to everybody; row = whose budget."""

    factors: FloatArray
    """d lambda_k / d b_i at ``[i, k]``, per unit of value."""
    model_values: FloatArray
    """d v'_k(N) / d b_i at ``[i, k]``; never negative."""
    payoffs: FloatArray
    """d p_k / d b_i at ``[i, k]``; each row sums to zero."""
    is_two_sided: bool
    """Whether the derivative exists. If not, some party is exactly at its limit, and these
    are the derivatives for budgets that grow."""


def budget_sensitivity(
    flows: npt.ArrayLike, budgets: npt.ArrayLike, caps: npt.ArrayLike | None = None
) -> BudgetSensitivity:
    """Shadow prices: what one more unit of each party's budget does to everybody.

    Parameters
    ----------
    flows : float64, shape (n, n)
        ``flows[payer, payee]``, none negative.
    budgets : float64, shape (n,)
    caps : float64, shape (n,), optional
        Upper bounds of the factors.

    Returns
    -------
    BudgetSensitivity
        All zero in the row of a party whose budget does not bind.

    Notes
    -----
    Parties below their cap pay all they have, so the factors solve the linear system of those
    parties, and its inverse, which has no negative entry, is the derivative: a larger budget
    hurts nobody's model and helps those whom its owner pays. Where a party is exactly at its
    limit the derivative for growing budgets still exists, and that is what is returned.
    Source: third observation of Sec. 5.

    Examples
    --------
    >>> flows = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])
    >>> prices = budget_sensitivity(flows, [0.2, np.inf, np.inf])
    >>> prices.model_values[0].round(6), prices.payoffs[0].round(4)
    (array([1., 0., 0.]), array([-1.    ,  0.4375,  0.5625]))
    """
    problem = _dense_problem(flows, budgets, caps)
    factors = adjustment_factors(flows, budgets, caps).factors
    n_parties = len(factors)
    near = 1e-12
    below = (factors < problem.caps * (1 - near)) & (problem.costs > 0)
    slack = problem.budgets + factors @ problem.flows - factors * problem.costs
    turnover = factors * problem.costs + factors @ problem.flows
    is_at_limit = ~below & (problem.caps > 0) & (problem.costs > 0)
    is_at_limit &= slack <= near * np.maximum(turnover, near)
    derivative = np.zeros((n_parties, n_parties))
    if below.any():
        inner = problem.flows[np.ix_(below, below)]
        n_below = int(below.sum())
        leaks = np.broadcast_to(problem.flows[np.ix_(below, ~below)].sum(axis=1), (n_below,) * 2)
        stacked = np.broadcast_to(inner, (n_below, n_below, n_below))
        solved, _ = eliminate(stacked, leaks, np.eye(n_below), leaks)
        derivative[np.ix_(below, below)] = solved
    model_values = derivative * problem.costs
    payoffs = derivative @ problem.flows - model_values
    return BudgetSensitivity(derivative, model_values, payoffs, not bool(is_at_limit.any()))
