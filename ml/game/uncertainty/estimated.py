"""Allocations from estimated flows: how far their standard errors move lambda and payoffs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import NegativeFlowError
from ml.game.allocation import allocate_flows
from ml.game.clearing.clearing import factor_caps, solve
from ml.game.clearing.problem import checked_problem
from ml.game.estimation.estimators import FlowEstimate
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import payoffs
from ml.game.uncertainty.seeded import with_error
from ml.game.uncertainty.uncertain import UncertainAllocation

__all__ = ["EstimatedAllocation", "allocate_estimate", "non_negative_rows"]

_DRAWS = 300
"""Games drawn around the estimate: errors of errors are then some 4 %."""

_FIGURES = ("payoff_unlimited_errors", "factor_errors", "payoff_errors", "model_value_errors")
_TOLERATED_ERRORS = 5.0
"""A negative flow is noise if it is within this many standard errors of zero."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EstimatedAllocation(UncertainAllocation):
    """An allocation from estimated flows, with the standard error of each figure."""

    largest_raised: float
    """How far the most negative estimated flow was raised to reach zero, value units."""
    n_raised: int
    """How many estimated flows were below zero and were raised."""
    n_draws: int


def allocate_estimate(
    estimate: FlowEstimate,
    budgets: npt.ArrayLike | None = None,
    caps: npt.ArrayLike | None = None,
    *,
    draws: int = _DRAWS,
    seed: int = 0,
) -> EstimatedAllocation:
    """Allocation from estimated flows, with errors carried through to lambda and payoffs.

    Parameters
    ----------
    estimate : FlowEstimate
    budgets, caps : float64, shape (n,), optional
        As for `allocate`.
    draws, seed : int
        Sets of flows drawn around the estimate, all of a set together, by which errors are found.

    Returns
    -------
    EstimatedAllocation

    Raises
    ------
    NegativeFlowError
        If a flow is negative by more than five standard errors: the game is not monotone.

    Notes
    -----
    Estimated flows may fall below zero by accident. Rows are moved to the nearest ones without
    negative entries and with the same sum, v(N) - v(i), and the result says how far. Errors are
    root mean squares about what is paid, so that the bias of raising is in them.
    """
    slack = 1e-12 * max(estimate.grand_value, 1e-300)
    limit = _TOLERATED_ERRORS * estimate.standard_errors + slack
    if (estimate.flows < -limit).any():
        payer, payee = np.unravel_index(np.argmin(estimate.flows + limit), estimate.flows.shape)
        raise NegativeFlowError(
            f"Estimated flow from party {payer} to party {payee} is "
            f"{with_error(estimate.flows[payer, payee], estimate.standard_errors[payer, payee])}; "
            f"expected none below 0 by more than {_TOLERATED_ERRORS:g} standard errors: the game "
            "is not monotone. Evaluate more seeds a coalition.",
            party=int(payer),
            coalition=1 << int(payee),
        )
    own, grand = estimate.own_values, estimate.grand_value
    flows = non_negative_rows(estimate.flows, grand - own)
    allocation = allocate_flows(flows, own, grand, budgets, caps, rounding=slack)
    normals = np.random.default_rng(seed).standard_normal((draws, len(estimate.scatter)))
    drawn: dict[str, list[FloatArray]] = {name: [] for name in _FIGURES}
    moves = []
    for z in normals:
        drawn_own = np.maximum(own + z @ estimate.own_scatter, 0.0)
        moved = estimate.flows + np.tensordot(z, estimate.scatter, 1)
        moves.append(payoffs(moved - estimate.flows))
        # Noise of the seeds moves v(i) and v(N) - v(i); the grand value is what both leave.
        drawn_grand = float(np.mean(moved.sum(axis=1) + drawn_own))
        gains = np.maximum(drawn_grand - drawn_own, 0.0)
        raised_rows = non_negative_rows(moved, gains)
        limits = factor_caps(drawn_own, drawn_grand, allocation.caps)
        problem = checked_problem(raised_rows, allocation.budgets, limits, slack)
        factors = solve(problem, "clearing").factors
        for name, figure in zip(
            _FIGURES,
            (
                payoffs(raised_rows) - allocation.payoffs_unlimited,
                factors - allocation.adjustment_factors,
                payoffs(factors[:, None] * raised_rows) - allocation.payoffs,
                drawn_own + factors * gains - allocation.model_values,
            ),
            strict=True,
        ):
            drawn[name].append(figure)
    # Errors are around the figures that are paid, not around the mean of the draws, which
    # raised flows and budget limits shift to one side.
    errors = {name: np.sqrt(np.mean(np.square(rows), axis=0)) for name, rows in drawn.items()}
    # A flow found at zero or below can only be larger, as far as its error says, but raising
    # takes half of its draws away: give back what it has of the width that was lost.
    variances = estimate.standard_errors**2
    at_zero = float(variances[estimate.flows <= slack].sum() / max(variances.sum(), 1e-300))
    kept = max(float(np.mean(errors["payoff_unlimited_errors"] ** 2)), 1e-300)
    lost = max(0.0, float(np.mean(np.square(moves))) / kept - 1)
    errors = {name: error * np.sqrt(1 + at_zero * lost) for name, error in errors.items()}
    was_negative = estimate.flows < -slack
    return EstimatedAllocation(
        allocation=allocation,
        largest_raised=float((flows - estimate.flows)[was_negative].max(initial=0.0)),
        n_raised=int(was_negative.sum()),
        n_draws=draws,
        n_seeds=estimate.n_seeds,
        **errors,
    )


def non_negative_rows(flows: FloatArray, row_sums: FloatArray) -> FloatArray:
    """Nearest flows without negative entries whose rows sum to v(N) - v(i), diagonal zero."""
    n_parties = len(flows)
    off = ~np.eye(n_parties, dtype=bool)
    entries = flows[off].reshape(n_parties, n_parties - 1)
    # Projection onto a simplex: take the same off all entries that stay positive.
    ordered = -np.sort(-entries, axis=1)
    excess = np.cumsum(ordered, axis=1) - row_sums[:, None]
    counts = np.arange(1, n_parties)
    kept = np.maximum((ordered * counts > excess).sum(axis=1), 1)
    taken = excess[np.arange(n_parties), kept - 1] / kept
    projected = np.zeros_like(flows)
    projected[off] = np.maximum(entries - taken[:, None], 0.0).ravel()
    return projected
