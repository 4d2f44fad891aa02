"""Training of coalition models and model rewards."""

import os

# Before torch is loaded: its threads otherwise spin while they wait, which costs four times the
# processor time where several processes share two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ml.training.recipe import Recipe, recipe

__all__ = [
    "Recipe",
    "RewardModel",
    "TrainedScores",
    "recipe",
    "train_coalitions",
    "train_rewards",
]


def __getattr__(name: str) -> object:
    """What needs torch, on first use: a check of a configuration does not."""
    if name in ("TrainedScores", "train_coalitions"):
        from ml.training import scores

        return getattr(scores, name)
    if name in ("RewardModel", "train_rewards"):
        from ml.training import rewards

        return getattr(rewards, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
