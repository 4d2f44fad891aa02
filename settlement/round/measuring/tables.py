"""From the scores of coalitions to the file of values: means over seeds, covered if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml.game import ValueTable, best_coalitions, made_monotone
from settlement.store.documents import ValueDocument

__all__ = ["cover_values", "value_document"]


def value_document(
    parties: Sequence[str],
    scores: np.ndarray,
    *,
    monotone: str,
    source: str = "trained",
    coalitions: list[int] | None = None,
    seeds: Sequence[int] = (),
    device: str | None = None,
    basis: dict[str, Any] | None = None,
    score_range: Sequence[float] | None = None,
) -> ValueDocument:
    """The value table that scores (seeds, coalitions) lead to."""
    values, violations, best = scores.mean(axis=0), None, None
    if coalitions is None:
        values, violations, best_array = cover_values(values, monotone)
        best = best_array.tolist()
    return ValueDocument(
        parties=list(parties),
        values=values.tolist(),
        source=source,
        coalitions=coalitions,
        scores=scores.tolist(),
        seeds=list(seeds),
        device=device,
        monotone=monotone,
        monotone_violations=violations,
        best_coalitions=best,
        basis=basis,
        score_range=None if score_range is None else list(score_range),
    )


def cover_values(
    scores: np.ndarray, monotone: str
) -> tuple[np.ndarray, dict[str, Any], np.ndarray]:
    """Values to go on with, how far the scores were from monotone, whose model stands for whom.

    Parameters
    ----------
    scores : shape (2**n,)
        Mean scores by coalition bitmask.
    monotone
        One of `ml.game.MONOTONE`: ``"refuse"`` raises if some party makes some coalition worse,
        ``"above"`` lets a coalition use the best model of any of its sub-coalitions.

    Returns
    -------
    values : shape (2**n,)
    violations : dict
        ``edges``, ``broken`` and ``largest`` (value units), of the scores.
    best_coalitions : int, shape (2**n,)
        The sub-coalition whose model each coalition uses; its own where nothing is better.
    """
    table = ValueTable(scores)
    report = table.monotonicity()
    covered, _ = made_monotone(table, monotone)
    violations = {
        "edges": report.n_edges,
        "broken": report.n_broken,
        "largest": report.largest,
    }
    return covered.values, violations, best_coalitions(scores)
