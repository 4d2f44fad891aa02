"""Scores of models on a set of samples, in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.datasets.collaboration import Collaboration, Samples
from ml.engines.own_code import function_of_own
from ml.errors import MlError
from ml.training.devices import to_device
from ml.training.models.networks import Network, Weights
from ml.training.recipe import Recipe

__all__ = ["Evaluator", "ScoreError", "accuracy", "r2", "score_function"]

ROWS_AT_A_TIME = 2048

ScoreFunction = Callable[[Tensor, Tensor], float]
"""From outputs (samples, outputs) and targets (samples,) to a score in [0, 1]."""


class ScoreError(MlError):
    """A score function does not fit the data, or returns no number in [0, 1]."""


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Share of samples whose class has the greatest output."""
    return int((outputs.argmax(dim=1) == targets).sum()) / len(targets)


def r2(outputs: Tensor, targets: Tensor) -> float:
    """Share of the targets' variance that the outputs explain, and 0 if they explain none."""
    residual = (outputs.squeeze(1).double() - targets.double()).square().sum()
    total = (targets.double() - targets.double().mean()).square().sum()
    if not float(total):
        return 0.0
    return min(1.0, max(0.0, 1.0 - float(residual / total)))


def score_function(recipe: Recipe, collaboration: Collaboration) -> ScoreFunction:
    """The recipe's score; a user's function gets numpy arrays and must return one in [0, 1].

    Raises
    ------
    ScoreError
        If the score is for the other kind of targets.
    """
    name = recipe.score or ("accuracy" if collaboration.n_classes else "r2")
    if name in ("accuracy", "r2"):
        if (name == "accuracy") != bool(collaboration.n_classes):
            kind = "classes" if collaboration.n_classes else "figures"
            raise ScoreError(f'Score "{name}" does not fit targets that are {kind}.')
        return accuracy if name == "accuracy" else r2
    function: Callable[[NDArray[Any], NDArray[Any]], Any] = function_of_own(name, "Score")

    def checked(outputs: Tensor, targets: Tensor) -> float:
        try:
            found = function(outputs.cpu().numpy(), targets.cpu().numpy())
        except Exception as trouble:  # whatever the user's code raises is about the user's code
            raise ScoreError(f"{name} failed: {trouble!r}.") from trouble
        try:
            value = float(found)
        except (TypeError, ValueError) as trouble:
            raise ScoreError(f"{name} gave {found!r}; expected a number in [0, 1].") from trouble
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise ScoreError(f"{name} gave {value!r}; expected a number in [0, 1].")
        return value

    return checked


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Scores models of one network on one set of samples, which stay on the device."""

    network: Network
    score_of: ScoreFunction
    features: Tensor
    targets: Tensor

    @staticmethod
    def on(
        network: Network, score_of: ScoreFunction, samples: Samples, device: torch.device
    ) -> Evaluator:
        """An evaluator with its samples on the device."""
        features = to_device(samples.features, device)
        return Evaluator(network, score_of, features, to_device(samples.targets, device))

    @torch.no_grad()
    def outputs(self, weights: Weights) -> Tensor:
        """Outputs (samples, outputs) of one model."""
        stack = {name: tensor.unsqueeze(0) for name, tensor in weights.items()}
        parts = [
            self.network.outputs(stack, rows.unsqueeze(0))[0]
            for rows in torch.split(self.features, ROWS_AT_A_TIME)
        ]
        return torch.cat(parts)

    def score(self, weights: Weights) -> float:
        """The model's score on the samples."""
        return self.score_of(self.outputs(weights), self.targets)
