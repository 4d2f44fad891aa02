"""Scores of coalitions: recalled from the cache, or trained and added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.datasets.collaboration import Collaboration
from ml.engines import Engine, LocalEngine
from ml.training.cache import ModelCache
from ml.training.checks import check_training
from ml.training.devices import choose_device
from ml.training.recipe import Recipe
from ml.training.stack.chunks import assignments_of, train_chunk
from ml.training.stack.footprint import layout_size

__all__ = ["Progress", "TrainedScores", "model_keys", "train_coalitions"]

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all; a step is one batch of one model."""


@dataclass(frozen=True, eq=False)
class TrainedScores:
    """Scores of coalitions for every seed.

    ``scores`` is float64 (n_seeds, m) for the m ``coalitions``, in the order asked for. Distinct
    models are counted: coalitions that hold the same samples share one. ``n_trained`` were trained
    by this call, ``n_recalled`` came from the cache.
    """

    coalitions: tuple[int, ...]
    scores: NDArray[np.float64]
    n_trained: int
    n_recalled: int
    device: str

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean score of each coalition over the seeds, (m,)."""
        return np.asarray(self.scores.mean(axis=0))

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Standard error of each mean, (m,); NaN with one seed, which says nothing of spread."""
        n_seeds = len(self.scores)
        if n_seeds < 2:
            return np.full(self.scores.shape[1], np.nan)
        return np.asarray(self.scores.std(axis=0, ddof=1) / np.sqrt(n_seeds))


def model_keys(collaboration: Collaboration, recipe: Recipe, coalition: int) -> tuple[str, ...]:
    """Cache keys of a coalition's models, one for each seed of the recipe; none of buyers alone."""
    return tuple(a.key for a in assignments_of(collaboration, recipe, coalition))


def train_coalitions(
    collaboration: Collaboration,
    recipe: Recipe,
    coalitions: Iterable[int],
    *,
    cache: Path,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> TrainedScores:
    """Scores of the coalitions' models, trained or recalled from the cache folder.

    Members without data change nothing: the model is the one of the other members, and a coalition
    of such buyers alone has none and scores 0 (v of the empty coalition, Sec. 3.1).

    Every finished model is kept before the next report, so a run that is killed and started again
    trains only the models that were not finished.

    Parameters
    ----------
    coalitions : iterable of int
        Bitmasks; not the empty coalition, which has no model.
    cache : Path
        Folder of finished models; may be shared by any number of rounds.
    progress : callable, optional
        Told steps done and steps in all, of all distinct models.

    Raises
    ------
    CollaborationError
        If a coalition is empty or has members beyond the last party.
    DeviceMemoryError
        If a stack is too large for its device; what was finished is kept.
    """
    asked = tuple(map(int, coalitions))
    network = check_training(collaboration, recipe)
    runner: Engine = engine or LocalEngine()
    device_type = runner.device_type if recipe.device != "cpu" else "cpu"
    device_type = device_type or choose_device(recipe.device).type
    stack_size = layout_size(network, recipe, collaboration, device_type)
    store = ModelCache(cache)
    per_coalition = [assignments_of(collaboration, recipe, coalition) for coalition in asked]
    distinct = {a.key: a for assignments in per_coalition for a in assignments}
    # Longest first, so that finished models are the tail of a stack; ties by key, so that the
    # layout is always the same.
    ordered = sorted(distinct.values(), key=lambda a: (-a.trainee.n_steps, a.key))
    scores: dict[str, float] = {}
    for key in distinct:
        known = store.get(key)
        if known is not None:
            scores[key] = known.score
    n_recalled = len(scores)
    chunks = [
        tuple(a for a in ordered[at : at + stack_size] if a.key not in scores)
        for at in range(0, len(ordered), stack_size)
    ]
    total = sum(a.trainee.n_steps for a in ordered)
    done = total - sum(a.trainee.n_steps for chunk in chunks for a in chunk)
    if progress is not None:
        progress(done, total)
    running = runner.run(train_chunk, (collaboration, recipe), [chunk for chunk in chunks if chunk])
    try:
        for n_steps, finished in running:
            for model in finished:
                store.put(model)
                scores[model.key] = model.score
            done += n_steps
            if progress is not None:
                progress(done, total)
    finally:
        # An interrupt ends the engine's work at once, not when the garbage is collected.
        close = getattr(running, "close", None)
        if close is not None:
            close()
    nothing = [0.0] * len(recipe.seeds)
    by_seed = [[scores[a.key] for a in assignments] or nothing for assignments in per_coalition]
    return TrainedScores(
        coalitions=asked,
        scores=np.array(by_seed, dtype=np.float64).reshape(len(asked), len(recipe.seeds)).T,
        n_trained=len(distinct) - n_recalled,
        n_recalled=n_recalled,
        device=device_type,
    )
