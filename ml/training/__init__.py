"""Training of coalition models and model rewards."""

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
