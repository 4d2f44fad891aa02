"""Training of coalition models and model rewards."""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Before torch is loaded: its threads otherwise spin while they wait, which costs four times the
# processor time where several processes share two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ml.engines.own_code import allow_modules
from ml.training.recipe import Recipe, recipe

if TYPE_CHECKING:
    from ml.training.cache import CacheReport, ModelCache
    from ml.training.checks import check_training
    from ml.training.coalitions import TrainedScores, train_coalitions
    from ml.training.models.cards import LoadedModel, Predictions, load_reward
    from ml.training.models.predict import predict_file
    from ml.training.rewards.rewards import RewardModel, train_rewards

_LATER = {
    "CacheReport": "cache",
    "LoadedModel": "models.cards",
    "ModelCache": "cache",
    "Predictions": "models.cards",
    "RewardModel": "rewards.rewards",
    "TrainedScores": "coalitions",
    "check_training": "checks",
    "load_reward": "models.cards",
    "predict_file": "models.predict",
    "train_coalitions": "coalitions",
    "train_rewards": "rewards.rewards",
}
"""Modules of the names that need torch. They are imported on first use: checking a configuration
must not load torch."""

__all__ = [
    "CacheReport",
    "LoadedModel",
    "ModelCache",
    "Predictions",
    "Recipe",
    "RewardModel",
    "TrainedScores",
    "allow_modules",
    "check_training",
    "load_reward",
    "predict_file",
    "recipe",
    "train_coalitions",
    "train_rewards",
]


def __getattr__(name: str) -> Any:
    """A name of `_LATER`, from its module."""
    if name in _LATER:
        return getattr(importlib.import_module(f"ml.training.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers."""
    return sorted({*globals(), *__all__})
