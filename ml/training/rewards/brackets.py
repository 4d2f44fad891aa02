"""A model whose score meets a target, somewhere between a model below it and one above."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ml.training.models.networks import Weights

__all__ = ["Scored", "bisect_weights", "mixed"]

HALVINGS = 48
"""How often a bracket is halved: twice the 24 bits of a float32 weight."""


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
    """The model nearest to the target that bisection between two models finds.

    Along the line between the models the score usually changes by one sample at a time, so the
    result is usually within one sample of the target. Equal samples change together and leave
    larger gaps; the caller checks how near the result came. ``below.score < target <= above.score``
    must hold.
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
