"""What each party brings, in numbers, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.collaboration import Collaboration

__all__ = ["Holding", "Overview", "overview"]


@dataclass(frozen=True)
class Holding:
    """One party's samples, or those of a common set.

    ``shared`` counts samples that another party holds too. ``targets`` counts them by class; for
    figures it holds least, mean and greatest.
    """

    name: str
    samples: int
    shared: int
    targets: dict[str, float]


@dataclass(frozen=True)
class Overview:
    """All parties' holdings, the common sets, and what one sample is."""

    parties: list[Holding]
    validation: Holding
    holdout: Holding
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    words: int
    distinct_samples: int
    constant_columns: tuple[str, ...]


def overview(data: Collaboration) -> Overview:
    """Count samples, classes and overlaps of a collaboration."""
    holders = np.zeros(len(data.train), np.int64)
    for rows in data.party_indices:
        holders[rows] += 1
    parties = [
        Holding(
            name,
            len(rows),
            int((holders[rows] > 1).sum()),
            _targets(data, data.train.targets[rows]),
        )
        for name, rows in zip(data.party_names, data.party_indices, strict=True)
    ]
    common = [
        Holding(name, len(part), 0, _targets(data, part.targets))
        for name, part in (("validation", data.validation), ("holdout", data.holdout))
    ]
    names = data.preparation.columns
    flat = data.train.features.reshape(len(data.train), -1)[holders > 0]
    constant = [name for k, name in enumerate(names) if (flat[:, k] == flat[0, k]).all()]
    return Overview(
        parties=parties,
        validation=common[0],
        holdout=common[1],
        shape=data.preparation.shape,
        columns=names,
        classes=data.preparation.classes,
        words=len(data.preparation.vocabulary),
        distinct_samples=int((holders > 0).sum()),
        constant_columns=tuple(constant),
    )


def _targets(data: Collaboration, targets: NDArray[Any]) -> dict[str, float]:
    if data.n_classes:
        counts = np.bincount(targets, minlength=data.n_classes)
        return {
            name: int(count)
            for name, count in zip(data.preparation.classes, counts, strict=True)
            if count
        }
    if not len(targets):
        return {}
    figures = targets.astype(np.float64) * data.preparation.target_scale
    figures += data.preparation.target_mean
    return {
        "least": float(figures.min()),
        "mean": float(figures.mean()),
        "greatest": float(figures.max()),
    }
