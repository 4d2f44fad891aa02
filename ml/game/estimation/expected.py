"""The game behind an estimate: what every coalition is expected to be worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.errors import EstimationError
from ml.game.estimation.estimators import (
    LARGEST_PROCESS,
    PROCESS_PARTIES,
    SAMPLES_A_PARTY,
    FlowEstimate,
    is_fitted_by_process,
)
from ml.game.estimation.process import fit_process
from ml.game.tables.coalitions import CoalitionMatrix, FloatArray, bitmasks, coalition_matrix

__all__ = ["expected_game"]


def expected_game(estimate: FlowEstimate) -> Callable[[CoalitionMatrix], FloatArray]:
    """Values of coalitions as an estimate expects them: measured ones as they were measured.

    Parameters
    ----------
    estimate : FlowEstimate
        By a Gaussian process, or of all coalitions. The process is fitted again, which takes as
        long as it took before.

    Returns
    -------
    callable
        Takes a boolean matrix, shape (k, n), and returns the mean over seeds, shape (k,): what
        `shapiq_game` and `estimate_flows` take. The empty coalition is worth nothing.

    Raises
    ------
    EstimationError
        If flows were estimated in a way that expects nothing of single coalitions.

    Notes
    -----
    Flows are linear in the values, so the flows of this game are those of the estimate.

    Examples
    --------
    >>> from ml.game import ValueTable, conditional_shapley, estimate_flows, family
    >>> from ml.game.tables.coalitions import membership
    >>> estimate = estimate_flows(family("coverage", 6).evaluate, 6, 40)
    >>> values = expected_game(estimate)(membership(6).astype(bool))
    >>> bool(np.allclose(conditional_shapley(values), estimate.flows))
    True
    """
    n_parties, values = estimate.n_parties, estimate.values
    bits = coalition_matrix(estimate.coalitions, n_parties).astype(np.float64)
    known = dict(zip(estimate.coalitions, values.tolist(), strict=True)) | {0: 0.0}
    complete = len(known) == 2**n_parties
    if not complete and not is_fitted_by_process(bits, values, estimate.method):
        raise EstimationError(
            f"{estimate.n_evaluations} coalitions of {n_parties} parties by {estimate.method!r} "
            f"have no game behind them; expected all coalitions, or 'gaussian-process' from at "
            f"least {SAMPLES_A_PARTY} coalitions a party on, of at most {PROCESS_PARTIES} parties "
            f"and {LARGEST_PROCESS:,} coalitions, whose values are not those of their sizes alone."
        )
    fits = [] if complete else fit_process(bits, values)

    def evaluate(members: CoalitionMatrix) -> FloatArray:
        coalitions = bitmasks(members)
        found = np.array([known.get(coalition, 0.0) for coalition in coalitions])
        unknown = np.array([coalition not in known for coalition in coalitions], dtype=np.bool_)
        if unknown.any():
            candidates = np.asarray(members)[unknown].astype(np.float64)
            found[unknown] = np.mean([fit.expected(values, candidates) for fit in fits], axis=0)
        return found

    return evaluate
