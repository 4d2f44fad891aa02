"""`allocate`: from a value table and budgets to factors, payoffs and model values, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import BrokenInvariant, CapError, SolverDisagreement
from ml.game.clearing.certificate import Certificate, check_certificate
from ml.game.clearing.clearing import factor_caps, solve
from ml.game.clearing.problem import checked_problem
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import decompose, flows_of_table, shapley_of_table
from ml.game.tables.reading import as_floats
from ml.game.tables.values import ValueTable
from ml.game.words import SOLVERS

__all__ = ["Allocation", "allocate", "allocate_flows", "check_allocation"]

_AGREEMENT = 1e-7
"""Largest difference between the two solvers' costs, as a share of the largest cost."""


@dataclass(frozen=True, eq=False)
class Allocation:
    """Who pays whom, and which model value each party receives, in value units."""

    flows: Any
    """Conditional Shapley values before budgets, eq. (5), shape (n, n), payer by payee; a dense
    array, or CSR if they were given so."""
    shapley: FloatArray
    """Shapley values phi_i, shape (n,)."""
    payoffs_unlimited: FloatArray
    """Payoffs if nobody had a budget, eqs. (1) and (7)."""
    budgets: FloatArray
    """b_i; infinite where there is no limit."""
    caps: FloatArray
    """Largest model value that each party wants; infinite where there is no cap."""
    adjustment_factors: FloatArray
    """lambda, in [0, 1]."""
    adjusted_flows: Any
    """lambda_i F_ij, eq. (11); sparse if the flows are."""
    payoffs: FloatArray
    """Payoffs under the budgets; sum to zero."""
    model_values: FloatArray
    """v'_i(N) = v(i) + lambda_i (v(N) - v(i))."""
    own_values: FloatArray
    """v(i)."""
    certificate: Certificate
    solver_gap: float
    """Largest difference between the costs of clearing and of the linear programme; NaN if
    the second was not asked for."""
    rounds: int
    """Rounds that the solver took."""

    def as_dict(self) -> dict[str, Any]:
        """Figures as plain numbers and lists, ready for JSON; no solver gap is None.

        Flows that were given sparse are left out: whoever gave them has them.
        """
        arrays = (
            "own_values",
            "budgets",
            "shapley",
            "payoffs_unlimited",
            "adjustment_factors",
            "payoffs",
            "model_values",
        )
        plain = {name: getattr(self, name).tolist() for name in arrays}
        if not hasattr(self.flows, "tocsr"):
            plain["flows"] = self.flows.tolist()
            plain["adjusted_flows"] = self.adjusted_flows.tolist()
        gap = None if np.isnan(self.solver_gap) else float(self.solver_gap)
        return plain | {"certificate_gap": float(self.certificate.gap), "solver_gap": gap}


def allocate(
    table: ValueTable,
    budgets: npt.ArrayLike | None = None,
    caps: npt.ArrayLike | None = None,
    *,
    method: str = "clearing",
    cross_check: bool = True,
    threads: int = 1,
) -> Allocation:
    """Fair allocation of one round: flows, adjustment factors, payoffs and model values.

    Parameters
    ----------
    table : ValueTable
        A table that is not monotone is taken as it is as long as no flow is negative.
    budgets : float64, shape (n,), optional
        The most that each party may pay net, value units; ``np.inf`` means no limit.
    caps : float64, shape (n,), optional
        Largest model value that each party wants (Remark 4.3); ``np.inf`` means no cap.
    method : {"clearing", "linear-programme"}
        Whose factors are returned.
    cross_check : bool
        Solve by both methods and compare their costs.
    threads : int
        For the flows.

    Returns
    -------
    Allocation

    Raises
    ------
    NegativeFlowError, BudgetError, CapError
        Bad input, with numbers.
    SolverDisagreement
        If the two solvers' costs differ by more than 1e-7 of the largest cost.
    BrokenInvariant
        If balance, row sums (4), the decomposition (6), the payoffs (1) and (7), the range of
        lambda, a budget, or Remark 4.2 (somebody receives v(N)) does not hold.

    Notes
    -----
    Source: Sec. 3 and 4, eqs. (1), (4) to (7), (11), (P), Remarks 4.2 and 4.3.

    Examples
    --------
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> allocation = allocate(table, [0.2, np.inf, np.inf])
    >>> allocation.payoffs.round(4)
    array([-0.2   ,  0.1125,  0.0875])
    >>> allocation.model_values.round(4)
    array([0.8, 1. , 1. ])
    """
    return allocate_flows(
        flows_of_table(table.values, threads),
        table.own_values,
        table.grand_value,
        budgets,
        caps,
        shapley=shapley_of_table(table.values),
        rounding=1e-13 * float(table.values.max()),
        method=method,
        cross_check=cross_check,
    )


def allocate_flows(
    flows: Any,
    own_values: FloatArray,
    grand_value: float,
    budgets: npt.ArrayLike | None = None,
    caps: npt.ArrayLike | None = None,
    *,
    shapley: FloatArray | None = None,
    rounding: float | None = None,
    method: str = "clearing",
    cross_check: bool = True,
) -> Allocation:
    """Allocation from flows that are already there, such as estimated ones.

    Parameters
    ----------
    flows : float64 or scipy.sparse, shape (n, n)
        ``flows[payer, payee]``, none negative; rows sum to v(N) - v(i).
    own_values : float64, shape (n,)
    grand_value : float
    budgets, caps, method, cross_check
        As for `allocate`.
    shapley : float64, shape (n,), optional
        Shapley values found in another way, to be checked against eq. (6); from the flows by
        that equation if not given.
    rounding : float, optional
        Flows this close to zero are zero.

    Returns
    -------
    Allocation
        With the checks, and the errors, of `allocate`.
    """
    wanted = np.full(len(own_values), np.inf)
    if caps is not None:
        wanted = np.array(as_floats(caps, "Caps", CapError))
    problem = checked_problem(
        flows, budgets, factor_caps(own_values, grand_value, wanted), rounding
    )
    solved = solve(problem, method)
    factors = solved.factors
    solver_gap = float("nan")
    if cross_check:
        second = solve(problem, next(other for other in SOLVERS if other != method))
        solver_gap = _solver_gap(problem.costs, factors, second.factors)
    adjusted = _scaled_rows(flows, factors)
    allocation = Allocation(
        flows=flows,
        shapley=_shapley_of_flows(flows, own_values) if shapley is None else shapley,
        payoffs_unlimited=flows.sum(axis=0) - flows.sum(axis=1),
        budgets=problem.budgets,
        caps=wanted,
        adjustment_factors=factors,
        adjusted_flows=adjusted,
        payoffs=adjusted.sum(axis=0) - adjusted.sum(axis=1),
        model_values=own_values + factors * (grand_value - own_values),
        own_values=own_values,
        certificate=solved.certificate,
        solver_gap=solver_gap,
        rounds=solved.rounds,
    )
    check_allocation(allocation, grand_value, problem.caps)
    return allocation


def check_allocation(allocation: Allocation, grand_value: float, limits: FloatArray) -> None:
    """Check at run time what the paper proves; raise `BrokenInvariant` with the numbers."""
    flows, factors = allocation.flows, allocation.adjustment_factors
    own, n_parties = allocation.own_values, len(allocation.own_values)
    scale = max(grand_value, float(own.max()), float(abs(flows).max()))
    slack = 1e-10 * scale if scale > 0 else 1e-300
    _close("row sums, eq. (4)", flows.sum(axis=1), grand_value - own, slack)
    _close("decomposition, eq. (6)", _shapley_of_flows(flows, own), allocation.shapley, slack)
    by_shapley = n_parties * allocation.shapley - grand_value
    _close("payoffs, eqs. (1) and (7)", allocation.payoffs_unlimited, by_shapley, n_parties * slack)
    _close("balance", np.array([allocation.payoffs.sum()]), np.zeros(1), slack)
    if not ((factors >= 0) & (factors <= limits)).all():
        raise BrokenInvariant(
            f"Adjustment factors range from {factors.min()} to {factors.max()}; expected [0, cap]."
        )
    over = -allocation.payoffs - allocation.budgets
    if over.max() > slack:
        party = int(np.argmax(over))
        raise BrokenInvariant(
            f"Party {party} pays {-allocation.payoffs[party]} net of budget "
            f"{allocation.budgets[party]}; expected no more than its budget.",
            party=party,
        )
    unmet = (limits - factors) * (grand_value - own)
    if unmet.min() > slack:
        raise BrokenInvariant(
            f"Nobody receives v(N) = {grand_value} or its cap, the nearest lacks {unmet.min()}; "
            "expected at least one party (Remark 4.2)."
        )
    if not check_certificate(
        _without_rounding(flows), allocation.budgets, factors, allocation.certificate, limits
    ):
        raise BrokenInvariant(
            f"Adjustment factors are not proved greatest for every party (duality gap "
            f"{allocation.certificate.gap:.3g}; expected 0). If they are HiGHS's, it rounds those "
            "whose costs are far below the largest: use method='clearing'."
        )


def _shapley_of_flows(flows: Any, own_values: FloatArray) -> FloatArray:
    """phi_i by eq. (6); `decompose` has its parts, of which there are too many if sparse."""
    if hasattr(flows, "tocsr"):
        return np.asarray((own_values + flows.sum(axis=0)) / len(own_values))
    return np.asarray(decompose(flows, own_values).sum(axis=1))


def _scaled_rows(flows: Any, factors: FloatArray) -> Any:
    """lambda_i F_ij, eq. (11); sparse if the flows are."""
    if hasattr(flows, "tocsr"):
        return flows.multiply(factors[:, None]).tocsr()
    return factors[:, None] * flows


def _without_rounding(flows: Any) -> Any:
    """Flows as the solvers take them: what is below zero by rounding is zero."""
    return flows.maximum(0.0) if hasattr(flows, "tocsr") else np.maximum(flows, 0.0)


def _solver_gap(costs: FloatArray, factors: FloatArray, others: FloatArray) -> float:
    gaps = np.abs((factors - others) * costs)
    party, largest = int(np.argmax(gaps)), float(costs.max())
    if gaps[party] > _AGREEMENT * largest:
        raise SolverDisagreement(
            f"Cost of party {party} differs by {gaps[party]:.3g} between clearing and linear "
            f"programme; expected at most {_AGREEMENT * largest:.3g}. Keep the value table and "
            "report it. Flows more than 8 orders of magnitude apart are beyond HiGHS.",
            party=party,
        )
    return float(gaps[party])


def _close(name: str, found: FloatArray, expected: FloatArray, slack: float) -> None:
    off = np.abs(found - expected)
    if not off.max() <= slack:
        party = int(np.argmax(off))
        raise BrokenInvariant(
            f"{name}: found {found[party]} at {party}, expected {expected[party]} within {slack}."
        )
