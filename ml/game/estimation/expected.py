"""The game behind an estimate: what every coalition is expected to be worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.errors import EstimationError
from ml.game.estimation.estimators import FlowEstimate, takes_process
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
    Flows of this game are those of the process alone. The estimate averages them with means by
    size, which have no game: on smooth games that is nearly the same, on games of steps it is not.

    Examples
    --------
    >>> from ml.game import ValueTable, conditional_shapley, estimate_flows, family
    >>> from ml.game.tables.coalitions import membership
    >>> estimate = estimate_flows(family("coverage", 6).evaluate, 6, 40)
    >>> values = expected_game(estimate)(membership(6).astype(bool))
    >>> bool(np.allclose(conditional_shapley(values), estimate.flows, atol=1e-3))
    True
    """
    n_parties, values = estimate.n_parties, estimate.values
    bits = coalition_matrix(estimate.coalitions, n_parties).astype(np.float64)
    known = dict(zip(estimate.coalitions, values.tolist(), strict=True)) | {0: 0.0}
    complete = len(known) == 2**n_parties
    fits = []
    if not complete:
        if estimate.method != "gaussian-process" or not takes_process(n_parties, len(values)):
            raise EstimationError(
                f"Flows of {n_parties} parties from {estimate.n_evaluations} coalitions by "
                f"{estimate.method!r} have no game behind them; expected a Gaussian process, which "
                f"takes neither few coalitions a party nor many parties, or all coalitions."
            )
        fits = fit_process(bits, values)

    def evaluate(members: CoalitionMatrix) -> FloatArray:
        coalitions = bitmasks(members)
        found = np.array([known.get(coalition, 0.0) for coalition in coalitions])
        unknown = np.array([coalition not in known for coalition in coalitions], dtype=np.bool_)
        if unknown.any():
            candidates = np.asarray(members)[unknown].astype(np.float64)
            found[unknown] = np.mean([fit.expected(values, candidates) for fit in fits], axis=0)
        return found

    return evaluate
