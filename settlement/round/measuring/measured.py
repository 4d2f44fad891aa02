"""What whoever measures coalitions does, and how a round asks: for all of them, or for a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.game import CoalitionMatrix, bitmasks
from settlement.config.reading import RoundConfig
from settlement.round.context import Progress
from settlement.round.game import estimate_of

__all__ = ["Measured", "Measurer", "Provenance", "measure_round"]

Told = Callable[[int, int], None]
"""Told steps done and steps in all."""


class Measurer(Protocol):
    """Whoever knows the scores of coalitions, or finds them out when it is asked.

    ``source`` is the word for it in the file of values. ``seeds`` are those that each coalition is
    measured with, empty where there are none.
    """

    source: str
    seeds: tuple[int, ...]

    def measure(self, coalitions: Sequence[int], told: Told) -> NDArray[np.float64]:
        """Scores of these coalitions, none of them empty, shape (seeds, coalitions)."""
        ...

    def provenance(self, measured: Measured) -> Provenance:
        """What the scores rest on, once all are known."""
        ...


@dataclass(frozen=True)
class Provenance:
    """What scores rest on: device, hashes, the range they were in, and files that show it.

    ``untrained_score`` is what the network scores as it starts, where a party brought no data.
    """

    device: str | None = None
    basis: dict[str, Any] | None = None
    score_range: tuple[float, ...] | None = None
    files: dict[str, bytes] = field(default_factory=dict)  # kept beside the values
    untrained_score: float | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """All that a round asked for: scores, shape (seeds, coalitions).

    ``coalitions`` is None where all 2**n are there, in order; the empty one scores nothing.
    """

    scores: NDArray[np.float64]
    coalitions: list[int] | None

    def asked(self) -> Sequence[int]:
        """The coalitions that were measured; nobody is not measured."""
        return self.coalitions or range(1, self.scores.shape[1])


def measure_round(config: RoundConfig, measurer: Measurer, progress: Progress) -> Measured:
    """Ask for all coalitions, or for those that the estimator chooses, a batch at a time."""
    n_parties = len(config.parties)
    if (sampling := config.sampling) is None:
        scores = measurer.measure(
            range(1, 2**n_parties), lambda done, total: progress("train", done, total)
        )
        return Measured(np.pad(scores, ((0, 0), (1, 0))), None)
    batches: list[NDArray[np.float64]] = []
    asked = sampling.evaluations

    def evaluate(members: CoalitionMatrix) -> NDArray[np.float64]:
        batches.append(measurer.measure(bitmasks(members), lambda done, total: None))
        progress("train", sum(batch.shape[1] for batch in batches), asked)
        return batches[-1]

    progress("train", 0, asked)
    buyers = () if config.data is None else config.data.buyers
    estimate = estimate_of(sampling, n_parties, evaluate, buyers)
    return Measured(np.concatenate(batches, axis=1), list(estimate.coalitions))
