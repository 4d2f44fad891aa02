"""Games and estimates as shapiq's own objects, for its estimators, benchmarks and plots.

The other way needs nothing: a shapiq game is a callable on a boolean matrix of coalitions, which is
what `estimate_flows` takes. This is the only file that imports shapiq, which is optional.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError
from ml.game.estimation.estimators import FlowEstimate
from ml.game.tables.coalitions import CoalitionMatrix
from ml.game.tables.flows import decompose

__all__ = ["shapiq_game", "shapiq_values"]


def shapiq_game(
    evaluate: Callable[[CoalitionMatrix], npt.ArrayLike],
    n_parties: int,
    names: Sequence[str] | None = None,
) -> Any:
    """A ``shapiq.Game`` with these values; the empty coalition is worth nothing.

    Parameters
    ----------
    evaluate : callable
        Values of coalitions, a row of members each: `ValueTable.evaluate`, `Family.evaluate`, or
        whatever `estimate_flows` takes.
    n_parties : int
    names : sequence of str, optional
        Of the players in plots.

    Raises
    ------
    EstimationError
        If shapiq is not installed.
    """
    base: Any = _shapiq().Game

    class PartyGame(base):  # type: ignore[misc]
        def value_function(self, coalitions: CoalitionMatrix) -> npt.NDArray[np.float64]:
            values = np.zeros(len(coalitions))
            somebody = coalitions.any(axis=1)
            if somebody.any():
                values[somebody] = evaluate(coalitions[somebody])
            return values

    named = None if names is None else list(names)
    return PartyGame(n_parties, normalize=True, normalization_value=0.0, player_names=named)


def shapiq_values(estimate: FlowEstimate) -> Any:
    """Shapley values of an estimate as ``shapiq.InteractionValues`` of order 1, eq. (6).

    Raises
    ------
    EstimationError
        If shapiq is not installed.
    """
    shapley = decompose(estimate.flows, estimate.own_values).sum(axis=1)
    return _shapiq().InteractionValues(
        shapley,
        index="SV",
        max_order=1,
        min_order=1,
        n_players=estimate.n_parties,
        interaction_lookup={(party,): party for party in range(estimate.n_parties)},
        estimated=estimate.stopped_by != "all coalitions",
        estimation_budget=estimate.n_evaluations,
        baseline_value=0.0,
    )


def _shapiq() -> Any:
    try:
        import shapiq
    except ImportError:
        raise EstimationError(
            "shapiq is not installed; expected the extra: pip install 'fairround[bench]'."
        ) from None
    return shapiq
