"""How good an estimate is, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError
from ml.game.estimation.estimators import FlowEstimate
from ml.game.tables.reading import as_floats

__all__ = ["EstimateError", "estimate_error"]


@dataclass(frozen=True, slots=True)
class EstimateError:
    """Error of estimated flows against the true ones, and what the estimate itself said."""

    rms_flow: float
    """Root mean square of the true flows, value units."""
    rms: float
    """Root mean square error of a flow, value units."""
    relative_rms: float
    """The same over the root mean square of the true flows."""
    largest: float
    claimed_rms: float
    """Root mean square of the standard errors."""
    share_within_two_errors: float
    """Share of the flows whose truth lies within two standard errors; about 0.95 if honest."""


def estimate_error(estimate: FlowEstimate, true_flows: npt.ArrayLike) -> EstimateError:
    """Error of an estimate where the true flows are known.

    Parameters
    ----------
    estimate : FlowEstimate
    true_flows : float64, shape (n, n)
        Such as ``Family.flows`` or `conditional_shapley` of the whole table.

    Raises
    ------
    EstimationError
        If the flows are of another number of parties.

    Examples
    --------
    >>> from ml.game import estimate_flows, family
    >>> game = family("saturating", 12)
    >>> error = estimate_error(estimate_flows(game.evaluate, 12, 500), game.flows)
    >>> error.relative_rms < 0.015
    True
    """
    truth = as_floats(true_flows, "True flows", EstimationError)
    if truth.shape != estimate.flows.shape:
        raise EstimationError(
            f"True flows have shape {truth.shape}; expected {estimate.flows.shape}."
        )
    off = ~np.eye(len(truth), dtype=bool)
    misses, claims = np.abs(estimate.flows - truth)[off], estimate.standard_errors[off]
    rms, size = np.sqrt((misses**2).mean()), np.sqrt((truth[off] ** 2).mean())
    rounding = 1e-12 * max(float(size), np.finfo(np.float64).tiny)
    return EstimateError(
        rms_flow=float(size),
        rms=float(rms),
        relative_rms=float(rms / size) if size > 0 else float(rms > 0),
        largest=float(misses.max()),
        claimed_rms=float(np.sqrt((claims**2).mean())),
        share_within_two_errors=float((misses <= 2 * claims + rounding).mean()),
    )
