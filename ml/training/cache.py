"""Finished models, found by a hash of everything they depend on, so that none is trained twice."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ml.errors import MlError
from ml.training.models.model_files import ModelFileError, read_model, write_model
from ml.training.models.networks import Weights

__all__ = ["CacheError", "CacheReport", "FinishedModel", "ModelCache"]

log = logging.getLogger(__name__)

LEFTOVER_AGE_S = 3600
"""A half-written file of this age was left by a killed process."""


class CacheError(MlError):
    """The cache's folder cannot be written to, or loses what was written."""


@dataclass(frozen=True)
class FinishedModel:
    """Weights of a trained model and its score on the validation set."""

    key: str
    score: float
    weights: Weights


@dataclass(frozen=True, slots=True)
class CacheReport:
    """How many models and bytes a cache folder holds, and how many a pruning removed."""

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
        """Keep a model; once this returns, it survives a kill of the process.

        A power cut may leave a damaged file, which `get` notices.

        Raises
        ------
        CacheError
            If the folder cannot be written to, or its disk is full.
        """
        facts = {"key": model.key, "score": repr(model.score)}
        try:
            write_model(self.path(model.key), model.weights, facts, durable=False)
        except OSError as trouble:
            raise CacheError(
                f"A finished model of {sum(t.nbytes for t in model.weights.values()):,} bytes "
                f"cannot be kept in {self.folder}: {trouble}. Make room there or choose another "
                "folder; what was kept before is not trained again."
            ) from trouble

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
        with contextlib.suppress(FileNotFoundError):  # pruned by another process just now
            os.utime(path)  # pruning removes the least recently used
        return model

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of last use in ns, size in bytes and path of every model, oldest use first."""
        found = []
        for path in self.folder.glob("??/*.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, path))
        return sorted(found)

    def report(self) -> CacheReport:
        """What the folder holds; an absent folder holds nothing."""
        files = self._files()
        return CacheReport(str(self.folder), len(files), sum(size for _, size, _ in files))

    def prune(self, max_bytes: int) -> CacheReport:
        """Delete the least recently used models until at most ``max_bytes`` are left.

        Files that a killed process left half written go too. A round that later needs a deleted
        model trains it again; one that is running now is not disturbed.
        """
        for leftover in self.folder.glob("??/.*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                    leftover.unlink()
        files = self._files()
        total = sum(size for _, size, _ in files)
        n_removed = removed_bytes = 0
        for _, size, path in files:
            if total - removed_bytes <= max_bytes:
                break
            path.unlink(missing_ok=True)
            n_removed += 1
            removed_bytes += size
        left = total - removed_bytes
        return CacheReport(str(self.folder), len(files) - n_removed, left, n_removed, removed_bytes)
