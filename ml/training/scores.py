"""Scores of coalitions: train what the cache does not have, remember the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ml.datasets.collaboration import Collaboration, array_digest
from ml.engines import Engine, LocalEngine
from ml.errors import MlError
from ml.training.cache import FinishedModel, ModelCache
from ml.training.devices import choose_device, reproducible, to_device
from ml.training.evaluate import Judge, ScoreError, score_function
from ml.training.footprint import bytes_per_model
from ml.training.modules import code_digest, network_for
from ml.training.narrowing import Narrowing
from ml.training.networks import Network, stack_weights
from ml.training.orders import Trainee
from ml.training.recipe import Recipe
from ml.training.trainer import train_stack

__all__ = [
    "DeviceMemoryError",
    "Progress",
    "TrainedScores",
    "check_training",
    "model_keys",
    "train_coalitions",
]

#: What the stacks that are laid out for a CUDA device may take of it; the same for every device,
#: so that the layout does not depend on who trains.
STACK_BYTES_ON_CUDA = 8 * 2**30

#: Called with steps done and steps in all; a step is one batch of one model.
Progress = Callable[[int, int], None]


class DeviceMemoryError(MlError):
    """A stack of models does not fit the memory of its device."""


@dataclass(frozen=True, eq=False)
class TrainedScores:
    """Scores of coalitions for every seed.

    ``scores`` is float64 (n_seeds, m) for the m ``coalitions``, in the order asked for. Distinct
    models are counted: coalitions that hold the same samples share one. ``n_trained`` were trained
    by this call, ``n_recalled`` came from the cache.
    """

    coalitions: NDArray[np.int64]
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


@dataclass(frozen=True)
class Assignment:
    """One model to train: its key in the cache, its seed and its samples."""

    key: str
    seed: int
    trainee: Trainee


def model_keys(collaboration: Collaboration, recipe: Recipe, coalition: int) -> tuple[str, ...]:
    """Cache keys of a coalition's models, one for each seed of the recipe."""
    return tuple(a.key for a in _assignments(collaboration, recipe, coalition))


def _assignments(
    collaboration: Collaboration, recipe: Recipe, coalition: int
) -> tuple[Assignment, ...]:
    rows = collaboration.coalition_indices(coalition)
    content = array_digest(rows)
    code = code_digest(recipe.network) + code_digest(recipe.score)
    found = []
    for seed in recipe.seeds:
        parts = (
            recipe.model_digest,
            collaboration.train.digest,
            collaboration.validation.digest,
            str(collaboration.n_classes),
            content,
            code,
            str(seed),
        )
        trainee = Trainee.for_epochs(rows, recipe.epochs, recipe.batch_size, f"{seed}/{content}")
        found.append(
            Assignment(hashlib.sha256("/".join(parts).encode()).hexdigest(), seed, trainee)
        )
    return tuple(found)


def train_chunk(
    shared: tuple[Collaboration, Recipe], chunk: Sequence[Assignment]
) -> Iterator[tuple[int, tuple[FinishedModel, ...]]]:
    """Train the models of one chunk as a stack: yields steps done and models finished."""
    collaboration, recipe = shared
    device = choose_device(recipe.device)
    network = network_for(recipe, collaboration)
    score_of = score_function(recipe, collaboration)
    judge = Judge.on(network, score_of, collaboration.validation, device)
    features = to_device(collaboration.train.features, device)
    narrowing = Narrowing.of(network, features)
    initial = {seed: network.initial(seed) for seed in {assignment.seed for assignment in chunk}}
    start = stack_weights([initial[assignment.seed] for assignment in chunk])
    advances = train_stack(
        narrowing.network,
        narrowing.shrink({name: tensor.to(device) for name, tensor in start.items()}),
        [assignment.trainee for assignment in chunk],
        narrowing.features,
        to_device(collaboration.train.targets, device),
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
    )
    try:
        with reproducible(device, int(chunk[0].key[:15], 16)):
            for advance in advances:
                finished = []
                for index, narrow in advance.finished:
                    weights = narrowing.grow(narrow, initial[chunk[index].seed])
                    score = judge.score(weights)
                    # Whoever asked for the model may be on a machine without such a device.
                    there = {name: tensor.cpu() for name, tensor in weights.items()}
                    finished.append(FinishedModel(chunk[index].key, score, there))
                yield advance.n_steps, tuple(finished)
    except torch.OutOfMemoryError as trouble:
        raise DeviceMemoryError(
            f"A stack of {len(chunk)} models does not fit the device's memory ({trouble}). Set "
            f"training.stack_size below {len(chunk)}."
        ) from trouble


def layout_size(
    network: Network, recipe: Recipe, collaboration: Collaboration, device_type: str
) -> int:
    """How many models train as one stack: the recipe's number, or what suits and fits."""
    if recipe.stack_size:
        return recipe.stack_size
    size = network.best_stack_size(device_type)
    if device_type != "cuda":
        return size
    each = bytes_per_model(network, collaboration, recipe.batch_size)
    return max(1, min(size, STACK_BYTES_ON_CUDA // each))


def check_training(collaboration: Collaboration, recipe: Recipe) -> Network:
    """The recipe's network, after making sure that it and the score fit this data.

    Raises
    ------
    NetworkError, ScoreError
        If they do not; nothing was trained.
    """
    network = network_for(recipe, collaboration)
    score_of = score_function(recipe, collaboration)
    if ":" in recipe.score:
        judge = Judge.on(network, score_of, collaboration.validation, torch.device("cpu"))
        outputs = judge.outputs(network.initial(0))
        first, again = (score_of(outputs, judge.targets) for _ in range(2))
        if first != again:
            raise ScoreError(
                f"{recipe.score} gave {first!r} and then {again!r} for the same outputs; expected "
                "one score. Leave chance out of it."
            )
    return network


def train_coalitions(
    collaboration: Collaboration,
    recipe: Recipe,
    coalitions: ArrayLike,
    *,
    cache: Path,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> TrainedScores:
    """Scores of the coalitions' models, trained or recalled from the cache folder.

    Every finished model is kept before the next report: a killed run that is started again trains
    only what was not finished.

    Parameters
    ----------
    coalitions : int, shape (m,)
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
    asked = np.asarray(coalitions, dtype=np.int64).reshape(-1)
    network = check_training(collaboration, recipe)
    runner: Engine = engine or LocalEngine()
    device_type = runner.device_type if recipe.device != "cpu" else "cpu"
    device_type = device_type or choose_device(recipe.device).type
    stack_size = layout_size(network, recipe, collaboration, device_type)
    store = ModelCache(cache)
    per_coalition = [_assignments(collaboration, recipe, int(c)) for c in asked]
    distinct = {a.key: a for assignments in per_coalition for a in assignments}
    # Longest first, so that finished models are the tail of a stack; ties by key, for one layout.
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
    by_seed = [[scores[a.key] for a in assignments] for assignments in per_coalition]
    return TrainedScores(
        coalitions=asked,
        scores=np.array(by_seed, dtype=np.float64).reshape(len(asked), len(recipe.seeds)).T,
        n_trained=len(distinct) - n_recalled,
        n_recalled=n_recalled,
        device=device_type,
    )
