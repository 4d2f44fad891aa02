"""A model whose score meets a target, somewhere between a model below it and one above."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ml.training.models.networks import Weights

__all__ = ["Scored", "bisect_weights", "mixed"]

#: Halvings of a bracket: float32 weights have no finer difference than 24 of them at full range.
HALVINGS = 48


@dataclass(frozen=True)
class Scored:
    """Weights and their score on the validation set."""

    weights: Weights
    score: float


def mixed(below: Weights, above: Weights, share: float) -> Weights:
    """Weights on the straight line from ``below`` (share 0) to ``above`` (share 1)."""
    return {
        name: (tensor.double() * (1 - share) + above[name].double() * share).to(tensor.dtype)
        for name, tensor in below.items()
    }


def bisect_weights(
    below: Scored,
    above: Scored,
    target: float,
    tolerance: float,
    score: Callable[[Weights], float],
) -> Scored:
    """The model nearest to the target that halving the line between the two models meets.

    Scores change by single samples along the line, so that the crossing of the target is within
    one sample of it unless equal samples change together; the caller checks how near it came.
    ``below.score < target <= above.score`` must hold.
    """
    if not below.score < target <= above.score:
        raise ValueError(f"{below.score} and {above.score} do not bracket {target}.")
    low, high = 0.0, 1.0
    best = min(below, above, key=lambda scored: abs(scored.score - target))
    for _ in range(HALVINGS):
        if abs(best.score - target) <= tolerance:
            break
        middle = (low + high) / 2
        weights = mixed(below.weights, above.weights, middle)
        found = score(weights)
        if not math.isfinite(found):
            break
        if abs(found - target) < abs(best.score - target):
            best = Scored(weights, found)
        low, high = (middle, high) if found < target else (low, middle)
    return best
