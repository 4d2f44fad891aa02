"""The data of one round in memory: who holds which sample, and what a coalition trains on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.preparation import Preparation
from ml.datasets.spec import NO_SAMPLES
from ml.errors import MlError

__all__ = ["Collaboration", "CollaborationError", "Samples", "array_digest"]


class CollaborationError(MlError):
    """A coalition or a party does not fit the collaboration."""


def array_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 over types, shapes and contents of the arrays, in hexadecimal."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


@dataclass(frozen=True, eq=False)
class Samples:
    """Features and targets, row by row; images stay bytes until a model reads them."""

    features: NDArray[Any]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of features and targets."""
        return array_digest(self.features, self.targets)


@dataclass(frozen=True, eq=False)
class Collaboration:
    """Everything that training reads: samples, the parties' shares of them, and two test sets.

    Parties are numbered in configuration order; bit i of a coalition is party i.
    ``party_indices[i]`` are rows of ``train``, sorted; a buyer has none. ``n_classes`` is 0 for
    regression.
    ``preparation`` says how raw samples became these.
    Scores are measured on ``validation``; ``holdout`` is only ever reported.
    """

    party_names: tuple[str, ...]
    train: Samples
    validation: Samples
    holdout: Samples
    party_indices: tuple[NDArray[Any], ...]
    n_classes: int
    preparation: Preparation
    overlap: str = "union"

    @property
    def n_parties(self) -> int:
        """Number of parties."""
        return len(self.party_indices)

    @property
    def grand_coalition(self) -> int:
        """The coalition of all parties."""
        return (1 << self.n_parties) - 1

    def coalition_indices(self, coalition: int) -> NDArray[Any]:
        """Rows of ``train`` that a coalition trains on; none if all its members are buyers.

        With overlap "union" each row once, sorted; with "concat" the members' rows one after the
        other, so that a row held twice counts twice.

        Raises
        ------
        CollaborationError
            If the coalition is empty or has members beyond the last party.
        """
        coalition = int(coalition)
        if not 0 < coalition <= self.grand_coalition:
            raise CollaborationError(
                f"Coalition {coalition} is nobody or has strangers; expected a bitmask from 1 to "
                f"{self.grand_coalition} ({self.n_parties} parties)."
            )
        held = [self.party_indices[i] for i in range(self.n_parties) if coalition >> i & 1]
        rows = np.concatenate(held)
        if self.overlap != "union":
            return rows
        chosen = np.zeros(len(self.train), np.bool_)
        chosen[rows] = True
        return np.flatnonzero(chosen)  # as np.unique, in a hundredth of its time

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the samples, the split among parties and the kind of overlap."""
        names = "\0".join((self.overlap, str(self.n_classes), *self.party_names))
        parts = [self.train.digest, self.validation.digest, self.holdout.digest]
        parts.append(array_digest(*self.party_indices))
        if self.preparation.columns:
            parts.append(json.dumps(self.preparation.columns))
        return hashlib.sha256("\0".join([names, *parts]).encode()).hexdigest()

    @cached_property
    def party_digests(self) -> tuple[str, ...]:
        """SHA-256 of each party's samples, as they are trained on; of a buyer `NO_SAMPLES`."""
        return tuple(map(self._party_digest, self.party_indices))

    def _party_digest(self, rows: NDArray[Any]) -> str:
        if not len(rows):
            return NO_SAMPLES
        digest = array_digest(self.train.features[rows], self.train.targets[rows])
        if not self.preparation.columns:
            return digest
        names = json.dumps(self.preparation.columns).encode()
        return hashlib.sha256(digest.encode() + names).hexdigest()
