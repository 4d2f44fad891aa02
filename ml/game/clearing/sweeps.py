"""Many budgets on one game: thousands of allocations at once, and what one more unit does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BudgetError, FlowsError
from ml.game.clearing.derivative import NEAR, below_limit, budget_derivative
from ml.game.clearing.fictitious_default import default_in_rounds, solve_clearing
from ml.game.clearing.problem import Problem, checked_problem
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.reading import as_floats

__all__ = ["BudgetSensitivity", "ManyAllocations", "allocate_many", "budget_sensitivity"]

_CHUNK = 4096
"""Rows solved side by side: as many as keep the systems of 8 parties in the cache."""


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
    """Factors and relative duality gaps of some rows."""
    factors, duals, _ = default_in_rounds(problem, budgets)
    reduced = problem.costs * (1 - duals) + duals @ problem.flows.T
    bought = (np.where(duals > 0, budgets, 0.0) * duals).sum(axis=1)
    gaps = bought + np.maximum(reduced, 0.0) @ problem.caps - factors @ problem.costs
    total = float(problem.costs.sum())
    return factors, gaps / total if total > 0 else gaps


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
    factors = solve_clearing(problem).factors
    slack = problem.budgets + factors @ problem.flows - factors * problem.costs
    turnover = factors * problem.costs + factors @ problem.flows
    is_at_limit = ~below_limit(problem, factors) & (problem.caps > 0) & (problem.costs > 0)
    is_at_limit &= slack <= NEAR * np.maximum(turnover, NEAR)
    derivative = budget_derivative(problem, factors)
    model_values = derivative * problem.costs
    payoffs = derivative @ problem.flows - model_values
    return BudgetSensitivity(derivative, model_values, payoffs, not bool(is_at_limit.any()))
