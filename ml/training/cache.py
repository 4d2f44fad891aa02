"""Finished models by what they were made of: nothing is ever trained twice."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ml.training.model_files import ModelFileError, read_model, write_model
from ml.training.networks import Weights

__all__ = ["FinishedModel", "ModelCache"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedModel:
    """Weights of a trained model and its score on the validation set."""

    key: str
    score: float
    weights: Weights


class ModelCache:
    """A folder of finished models, one file each, named by the hash of what made it.

    A damaged file is logged, deleted and reported as absent: it is trained again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """Where the model of this key is or would be."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def put(self, model: FinishedModel) -> None:
        """Keep a model; when this returns it outlives a kill."""
        facts = {"key": model.key, "score": repr(model.score)}
        write_model(self.path(model.key), model.weights, facts)

    def get(self, key: str) -> FinishedModel | None:
        """The model of this key, verified, or None."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            weights, facts = read_model(path)
            if facts.get("key") != key:
                raise ModelFileError(f"{path} holds model {facts.get('key')}; expected {key}.")
            return FinishedModel(key, float(facts["score"]), weights)
        except (ModelFileError, KeyError, ValueError) as trouble:
            log.warning("A cached model is damaged and will be trained again: %s", trouble)
            path.unlink(missing_ok=True)
            return None
