"""Allocations from estimated flows: how far their standard errors move lambda and payoffs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import NegativeFlowError
from ml.game.allocation import allocate_flows
from ml.game.clearing.clearing import adjustment_factors, factor_caps
from ml.game.estimation.estimators import FlowEstimate
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import payoffs
from ml.game.uncertainty.seeded import with_error
from ml.game.uncertainty.uncertain import UncertainAllocation

__all__ = ["EstimatedAllocation", "allocate_estimate", "non_negative_rows"]

_DRAWS = 300
_TOLERATED_ERRORS = 5.0
"""A negative flow is noise if it is within this many standard errors of zero."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EstimatedAllocation(UncertainAllocation):
    """An allocation from estimated flows, with the standard error of each figure."""

    largest_raised: float
    """How far the most negative estimated flow was raised to reach zero, value units."""
    n_raised: int
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
        Sets of flows drawn around the estimate, by which the errors are found.

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
    negative entries and with the same sum, v(N) - v(i), and the result says how far.
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
    row_sums = grand - own
    flows = non_negative_rows(estimate.flows, row_sums)
    allocation = allocate_flows(flows, own, grand, budgets, caps, rounding=slack)
    limits = factor_caps(own, grand, np.maximum(allocation.caps, own))
    rng = np.random.default_rng(seed)
    drawn_factors, drawn_payoffs, drawn_unlimited = [], [], []
    for _ in range(draws):
        noise = estimate.standard_errors * rng.standard_normal(flows.shape)
        drawn = non_negative_rows(estimate.flows + noise, row_sums)
        factors = adjustment_factors(drawn, allocation.budgets, limits, tolerance=slack).factors
        drawn_factors.append(factors)
        drawn_payoffs.append(payoffs(factors[:, None] * drawn))
        drawn_unlimited.append(payoffs(drawn))
    factor_errors = np.std(drawn_factors, axis=0, ddof=1)
    raised = flows - estimate.flows
    was_negative = estimate.flows < 0
    return EstimatedAllocation(
        allocation=allocation,
        largest_raised=float(raised[was_negative].max(initial=0.0)),
        n_raised=int(was_negative.sum()),
        payoff_unlimited_errors=np.std(drawn_unlimited, axis=0, ddof=1),
        factor_errors=factor_errors,
        payoff_errors=np.std(drawn_payoffs, axis=0, ddof=1),
        model_value_errors=factor_errors * row_sums,
        n_draws=draws,
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
