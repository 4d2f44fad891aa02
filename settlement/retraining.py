"""Train a random sample of coalitions again: what covers the part that no chain can know.

The logs prove the money, the table proves the allocation; whether the table came from honest
training only training can tell. A forged share of the entries is missed by K independent draws
with a probability that falls geometrically in K.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from settlement.config import read_config
from settlement.documents import ValueDocument
from settlement.errors import SettlementError
from settlement.stages.context import RoundContext
from settlement.stages.train import agreed_data
from settlement.store import RoundFolder

__all__ = ["Retrained", "RetrainingError", "detection_probability", "retrain_sample"]

TOLERANCE_SCORE = 0.005
"""Scores may differ so much: another stack layout or device rounds differently."""


class RetrainingError(SettlementError):
    """A round whose coalitions cannot be trained again, or too many of them asked for."""


@dataclass(frozen=True)
class Retrained:
    """Coalitions trained again, and the largest difference of any seed's score from the table."""

    coalitions: tuple[int, ...]
    differences: tuple[float, ...]

    @property
    def forged(self) -> tuple[int, ...]:
        """Coalitions whose scores differ by more than rounding explains."""
        pairs = zip(self.coalitions, self.differences, strict=True)
        return tuple(c for c, difference in pairs if difference > TOLERANCE_SCORE)


def detection_probability(n_entries: int, share: float, n_retrained: int) -> float:
    """Probability that a sample without replacement holds at least one of the forged entries.

    Examples
    --------
    >>> round(detection_probability(1023, 0.1, 29), 2)
    0.95
    """
    n_forged = max(1, round(share * n_entries))
    if n_forged + n_retrained > n_entries:
        return 1.0
    missed = math.comb(n_entries - n_forged, n_retrained) / math.comb(n_entries, n_retrained)
    return 1.0 - missed


def retrain_sample(path: Path, n_coalitions: int, seed: int | None = None) -> Retrained:
    """Train ``n_coalitions`` random coalitions of a finished round again, from nothing.

    Parameters
    ----------
    seed
        Of the draw; None draws anew each time, so that a forger cannot know what will be drawn.

    Raises
    ------
    RetrainingError
        If the values were given, or there are fewer coalitions.
    """
    from ml.training.scores import train_coalitions

    folder = RoundFolder(path)
    context = RoundContext(folder, read_config(folder.config_path), lambda stage, done, total: None)
    stored = ValueDocument.read(folder)
    if stored.source != "trained":
        raise RetrainingError(f"The values of {path} were given; there is nothing to train again.")
    scores = np.array(stored.scores)
    # Column of every trained coalition; an exact table has the empty one too.
    columns = {c: k for k, c in enumerate(stored.coalitions or range(scores.shape[1])) if c}
    trained = np.array(sorted(columns))
    if not 1 <= n_coalitions <= len(trained):
        raise RetrainingError(
            f"{n_coalitions} coalitions to retrain; expected 1 to {len(trained)}."
        )
    drawn = np.sort(np.random.default_rng(seed).choice(trained, n_coalitions, replace=False))
    measured = scores[:, [columns[coalition] for coalition in drawn.tolist()]]
    collaboration, recipe = agreed_data(context)
    with tempfile.TemporaryDirectory() as cache:  # nothing may be recalled
        again = train_coalitions(collaboration, recipe, drawn, cache=Path(cache))
    differences = np.abs(again.scores - measured).max(axis=0)
    return Retrained(tuple(drawn.tolist()), tuple(differences.tolist()))
