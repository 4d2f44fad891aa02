"""Seeded splits: training from test, validation from holdout, and among parties."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rows_with_labels", "stratified_split"]


def stratified_split(
    targets: NDArray[Any], second_share: float, generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of a first and a second part, label by label in the given share; both sorted.

    Figures that are no labels (floating point) are split without strata. Within a label the second
    part gets ``round(share * count)`` rows, but never the last row of a label.
    """
    if np.issubdtype(targets.dtype, np.floating):
        strata = [np.arange(len(targets))]
    else:
        strata = [np.flatnonzero(targets == label) for label in np.unique(targets)]
    first: list[NDArray[Any]] = []
    second: list[NDArray[Any]] = []
    for rows in strata:
        shuffled = generator.permutation(rows)
        taken = min(round(second_share * len(rows)), len(rows) - 1)
        second.append(shuffled[:taken])
        first.append(shuffled[taken:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def rows_with_labels(targets: NDArray[Any], labels: tuple[int, ...]) -> NDArray[Any]:
    """Rows whose target is one of the labels, sorted."""
    return np.flatnonzero(np.isin(targets, labels))
