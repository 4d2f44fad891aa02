"""Finished models by what they were made of: nothing is ever trained twice."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from ml.training.model_files import ModelFileError, read_model, write_model
from ml.training.networks import Weights

__all__ = ["CacheReport", "FinishedModel", "ModelCache"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedModel:
    """Weights of a trained model and its score on the validation set."""

    key: str
    score: float
    weights: Weights


@dataclass(frozen=True, slots=True)
class CacheReport:
    """How many models a cache folder holds, in how many bytes; what a pruning took out of it."""

    folder: str
    n_models: int
    n_bytes: int
    n_removed: int = 0
    removed_bytes: int = 0


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
            model = FinishedModel(key, float(facts["score"]), weights)
        except (ModelFileError, KeyError, ValueError) as trouble:
            log.warning("A cached model is damaged and will be trained again: %s", trouble)
            path.unlink(missing_ok=True)
            return None
        os.utime(path)  # pruning takes what was not used for longest
        return model

    def report(self) -> CacheReport:
        """What the folder holds; an absent folder holds nothing."""
        sizes = [path.stat().st_size for path in self.folder.glob("??/*.safetensors")]
        return CacheReport(str(self.folder), len(sizes), sum(sizes))

    def prune(self, max_bytes: int) -> CacheReport:
        """Delete the models used longest ago until the rest is at most ``max_bytes``.

        Files that a killed process left half written go too. A round that later needs a deleted
        model trains it again.
        """
        for leftover in self.folder.glob("??/.*.part"):
            leftover.unlink(missing_ok=True)
        files = [(path.stat(), path) for path in self.folder.glob("??/*.safetensors")]
        files.sort(key=lambda pair: (pair[0].st_mtime_ns, pair[1]))
        total = sum(facts.st_size for facts, _ in files)
        n_removed = removed_bytes = 0
        for facts, path in files:
            if total - removed_bytes <= max_bytes:
                break
            path.unlink(missing_ok=True)
            n_removed += 1
            removed_bytes += facts.st_size
        left = total - removed_bytes
        return CacheReport(str(self.folder), len(files) - n_removed, left, n_removed, removed_bytes)
