"""From the scores of coalitions to the file of values: means over seeds, covered if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml.game import ValueTable, best_coalitions, made_monotone
from settlement.store.documents import ValueDocument

__all__ = ["cover_values", "has_reward", "reward_targets", "value_document"]

LIFTING = ("above", "mean", "isotonic")
"""Covers under which a coalition may be worth more than its own model scores."""

NO_VALUE = 1e-12
"""A model value up to this is 0, in value units."""


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
    untrained_score: float | None = None,
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
        untrained_score=untrained_score,
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
        ``"keep"`` changes nothing, the others cover.

    Returns
    -------
    values : shape (2**n,)
    violations : dict
        ``edges``, ``broken`` and ``largest`` (value units), of the scores; ``lift``, how far v(N)
        is now above the grand coalition's own score.
    best_coalitions : int, shape (2**n,)
        The sub-coalition whose model each coalition uses; its own where nothing is better, or where
        nothing is lifted.
    """
    table = ValueTable(scores)
    report = table.monotonicity()
    covered, _ = made_monotone(table, monotone)
    lifts = monotone in LIFTING
    violations = {
        "edges": report.n_edges,
        "broken": report.n_broken,
        "largest": report.largest,
        "lift": float(covered.grand_value - table.grand_value),
    }
    own_models = np.arange(len(scores))
    return covered.values, violations, best_coalitions(scores) if lifts else own_models


def reward_targets(values: ValueDocument, model_values: Sequence[float]) -> list[float]:
    """Scores that model rewards are trained to: model values, but never below a party's floor.

    A buyer that bought nothing gets nothing, target 0.
    """
    return [
        max(worth, floor) if has_reward(values, party, worth) else 0.0
        for party, (worth, floor) in enumerate(zip(model_values, values.reward_floors, strict=True))
    ]


def has_reward(values: ValueDocument, party: int, model_value: float) -> bool:
    """Whether a party receives a model: all but buyers without data that bought nothing."""
    return model_value > NO_VALUE or party not in values.buyers
