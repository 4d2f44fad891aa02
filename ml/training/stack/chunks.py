"""Chunks of models: the key, seed and samples of each, and the training of one chunk as a stack."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ml.datasets.collaboration import Collaboration, array_digest
from ml.engines.own_code import code_digest
from ml.errors import MlError
from ml.training.cache import FinishedModel
from ml.training.checks import network_for
from ml.training.devices import choose_device, reproducible, to_device
from ml.training.models.networks import stack_weights
from ml.training.models.used_columns import UsedColumns
from ml.training.recipe import Recipe
from ml.training.scores import Evaluator, score_function
from ml.training.stack.orders import Trainee
from ml.training.stack.trainer import train_stack

__all__ = ["Assignment", "DeviceMemoryError", "assignments_of", "train_chunk"]


class DeviceMemoryError(MlError):
    """A stack of models does not fit the memory of its device."""


@dataclass(frozen=True)
class Assignment:
    """One model to train: its key in the cache, its seed and its samples."""

    key: str
    seed: int
    trainee: Trainee


def assignments_of(
    collaboration: Collaboration, recipe: Recipe, coalition: int
) -> tuple[Assignment, ...]:
    """A coalition's models, one for each seed of the recipe; none of buyers without data."""
    rows = collaboration.coalition_indices(coalition)
    if not len(rows):
        return ()
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
    evaluator = Evaluator.on(network, score_of, collaboration.validation, device)
    features = to_device(collaboration.train.features, device)
    used = UsedColumns.of(network, features)
    initial = {seed: network.initial(seed) for seed in {assignment.seed for assignment in chunk}}
    start = stack_weights([initial[assignment.seed] for assignment in chunk])
    try:
        advances = train_stack(
            used.network,
            used.reduced({name: tensor.to(device) for name, tensor in start.items()}),
            [assignment.trainee for assignment in chunk],
            used.features,
            to_device(collaboration.train.targets, device),
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
        )
        with reproducible(device, int(chunk[0].key[:15], 16)):
            for advance in advances:
                finished = []
                for index, reduced in advance.finished:
                    weights = used.restored(reduced, initial[chunk[index].seed])
                    score = evaluator.score(weights)
                    # The machine that asked for the model may have no such device.
                    there = {name: tensor.cpu() for name, tensor in weights.items()}
                    finished.append(FinishedModel(chunk[index].key, score, there))
                yield advance.n_steps, tuple(finished)
    except torch.OutOfMemoryError as trouble:
        raise DeviceMemoryError(
            f"A stack of {len(chunk)} models does not fit the device's memory ({trouble}). Set "
            f"training.stack_size below {len(chunk)}."
        ) from trouble
