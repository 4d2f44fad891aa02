"""Allocations from tables of several seeds: standard errors carried through to lambda."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError, NegativeFlowError
from ml.game.allocation import Allocation, allocate
from ml.game.clearing.clearing import adjustment_factors, factor_caps
from ml.game.clearing.derivative import below_limit, budget_derivative
from ml.game.clearing.problem import Problem
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.covers import Cover, cover, made_monotone
from ml.game.tables.flows import conditional_shapley, payoffs
from ml.game.tables.values import ValueTable
from ml.game.uncertainty.seeded import SeededTables
from ml.game.uncertainty.uncertain import UncertainAllocation

__all__ = ["NoisyAllocation", "allocate_seeds"]

_REPLICATES = 400
_CLEAR = 2.0
"""A limit counts as clear of the kink if it is this many standard errors away."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NoisyAllocation(UncertainAllocation):
    """An allocation with the standard error of each of its figures."""

    flow_errors: FloatArray
    """Of the flows before budgets, shape (n, n)."""
    method: Literal["delta", "bootstrap"]
    """How the errors of factors, payoffs and model values were found."""
    n_replicates: int
    n_refused: int
    """Bootstrap replicates left out because a flow was negative."""
    cover: Cover | None = None
    """What was done to the mean table to make it monotone, if anything."""


def allocate_seeds(
    tables: SeededTables,
    budgets: npt.ArrayLike | None = None,
    caps: npt.ArrayLike | None = None,
    *,
    monotone: str = "keep",
    method: str = "auto",
    replicates: int = _REPLICATES,
    seed: int = 0,
) -> NoisyAllocation:
    """Allocation of the mean table, with standard errors through to lambda and payoffs.

    Parameters
    ----------
    tables : SeededTables
    budgets, caps : float64, shape (n,), optional
        As for `allocate`.
    monotone : {"keep", "refuse", "above", "below", "mean", "isotonic"}
        What to do with a mean table that is not monotone.
    method : {"auto", "delta", "bootstrap"}
        How errors pass through the factors: by the derivative, which is exact to first order
        where the factors are smooth, or by drawing seeds with replacement. ``auto`` takes the
        derivative where every limit is two standard errors clear and nothing was covered.
    replicates, seed : int
        Of the bootstrap.

    Returns
    -------
    NoisyAllocation

    Notes
    -----
    Flows and payoffs without budgets are linear in the values, so the spread of the seeds' own
    flows over the root of their number is their standard error, correlations between
    coalitions of one seed included. The factors solve L lambda = b for the parties below their
    limit; d lambda = -L^-1 (dA lambda - dF^T lambda) carries each seed's deviation on.
    """
    table, report = made_monotone(tables.mean(), monotone)
    allocation = allocate(table, budgets, caps)
    n_seeds = tables.n_seeds
    seed_flows = np.stack([conditional_shapley(row) for row in tables.values])
    deviations = seed_flows - seed_flows.mean(axis=0)
    own = tables.values[:, 1 << np.arange(table.n_parties)]
    changes = _linearised(allocation, deviations, own - own.mean(axis=0))
    errors = {name: _standard_error(change, n_seeds) for name, change in changes.items()}
    if method == "auto":
        is_smooth = report is None and _is_clear_of_limits(allocation, errors)
        method = "delta" if is_smooth else "bootstrap"
    n_refused = 0
    if method == "bootstrap":
        draws = np.random.default_rng(seed).multinomial(
            n_seeds, np.full(n_seeds, 1 / n_seeds), replicates
        )
        errors, n_refused = _bootstrap(tables, allocation, draws / n_seeds, report)
    elif method != "delta":
        raise EstimationError(f"Method is {method!r}; expected 'auto', 'delta' or 'bootstrap'.")
    return NoisyAllocation(
        allocation=allocation,
        flow_errors=_standard_error(deviations, n_seeds),
        payoff_unlimited_errors=_standard_error(
            np.stack([payoffs(d) for d in deviations]), n_seeds
        ),
        factor_errors=errors["factors"],
        payoff_errors=errors["payoffs"],
        model_value_errors=errors["model_values"],
        method="delta" if method == "delta" else "bootstrap",
        n_replicates=replicates if method == "bootstrap" else 0,
        n_refused=n_refused,
        cover=report,
        n_seeds=n_seeds,
    )


def _standard_error(deviations: FloatArray, n_seeds: int) -> FloatArray:
    return np.asarray(np.sqrt((deviations**2).sum(axis=0) / (n_seeds - 1) / n_seeds))


def _linearised(
    allocation: Allocation, deviations: FloatArray, own_deviations: FloatArray
) -> dict[str, FloatArray]:
    """First-order change of the figures with each seed's flows, one row a seed."""
    factors, flows = allocation.adjustment_factors, np.maximum(allocation.flows, 0.0)
    costs = flows.sum(axis=1)
    cost_changes = deviations.sum(axis=2)
    pushes = factors @ deviations - cost_changes * factors  # (seeds, n)
    factor_changes = pushes @ budget_derivative(_problem(allocation, flows), factors)
    model_changes = own_deviations + factor_changes * costs + factors * cost_changes
    received = factor_changes @ flows + factors @ deviations
    paid = factor_changes * costs + factors * cost_changes
    return {
        "factors": factor_changes,
        "model_values": model_changes,
        "payoffs": received - paid,
        "slacks": received - paid,
    }


def _problem(allocation: Allocation, flows: FloatArray) -> Problem:
    own = allocation.own_values
    grand = float(own[0] + allocation.flows[0].sum())
    limits = factor_caps(own, grand, allocation.caps)
    return Problem(flows, flows.sum(axis=1), allocation.budgets, limits)


def _is_clear_of_limits(allocation: Allocation, errors: dict[str, FloatArray]) -> bool:
    """Whether no party is so near its limit that noise may move it across."""
    factors = allocation.adjustment_factors
    problem = _problem(allocation, allocation.flows)
    limits, below = problem.caps, below_limit(problem, factors)
    near_cap = below & (limits - factors < _CLEAR * errors["factors"])
    slacks = allocation.payoffs + allocation.budgets
    near_budget = ~below & (slacks < _CLEAR * errors["slacks"])
    return not (near_cap.any() or near_budget.any())


def _bootstrap(
    tables: SeededTables, allocation: Allocation, shares: FloatArray, report: Cover | None
) -> tuple[dict[str, FloatArray], int]:
    found: dict[str, list[FloatArray]] = {"factors": [], "payoffs": [], "model_values": []}
    n_refused = 0
    for share in shares:
        table = ValueTable(share @ tables.values)
        if report is not None:
            table = cover(table, report.kind).table
        try:
            factors, paid, models = _factors_of(table, allocation)
        except NegativeFlowError:
            n_refused += 1
            continue
        found["factors"].append(factors)
        found["payoffs"].append(paid)
        found["model_values"].append(models)
    if len(found["factors"]) < 2:
        raise EstimationError(
            f"{n_refused} of {len(shares)} bootstrap tables have negative flows; expected at most "
            f"{len(shares) - 2}. Cover the tables (monotone='mean')."
        )
    # Drawing n of n seeds shows a spread that is small by the factor (n - 1) / n.
    widened = np.sqrt(tables.n_seeds / (tables.n_seeds - 1))
    return {name: widened * np.std(rows, axis=0, ddof=1) for name, rows in found.items()}, n_refused


def _factors_of(
    table: ValueTable, allocation: Allocation
) -> tuple[FloatArray, FloatArray, FloatArray]:
    own, grand = table.own_values, table.grand_value
    flows = conditional_shapley(table.values)
    limits = factor_caps(own, grand, allocation.caps)
    rounding = 1e-13 * float(table.values.max())
    factors = adjustment_factors(flows, allocation.budgets, limits, tolerance=rounding).factors
    return factors, payoffs(factors[:, None] * flows), own + factors * (grand - own)
