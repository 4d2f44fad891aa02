"""train: the value of every coalition, given or measured by training its model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.game import FlowEstimate, ValueTable, best_coalitions, estimate_flows, made_monotone
from settlement.cache import cache_limit_bytes
from settlement.config.reading import RoundConfig
from settlement.errors import BrokenInvariant, SettlementError
from settlement.round.agreement import TERMS_FILE
from settlement.round.context import Progress, RoundContext, model_cache
from settlement.store.documents import ValueDocument

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.training.coalitions import TrainedScores
    from ml.training.recipe import Recipe

__all__ = [
    "DataChanged",
    "agreed_data",
    "carry_out",
    "cover_values",
    "estimate_of",
    "trainer_of",
    "value_document",
]


class DataChanged(SettlementError):
    """The data is not what the parties agreed on when the round was opened."""


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds, covered if the round says so."""
    config = context.config
    if config.given_values is not None:
        document = value_document(config, np.array([config.given_values]), source="given")
    elif config.estimates:
        document = _train_sample(context)
    else:
        document = _train_all(context)
    with context.folder.write_stage("train", inputs=["open"]) as folder:
        document.write(folder)


def value_document(
    config: RoundConfig,
    scores: np.ndarray,
    *,
    source: str = "trained",
    coalitions: list[int] | None = None,
    device: str | None = None,
) -> ValueDocument:
    """The value table that scores (seeds, coalitions) lead to."""
    values, violations, best = scores.mean(axis=0), None, None
    if coalitions is None:
        values, violations, best_array = cover_values(values, config.monotone)
        best = best_array.tolist()
    return ValueDocument(
        parties=list(config.party_names),
        values=values.tolist(),
        source=source,
        coalitions=coalitions,
        scores=scores.tolist(),
        seeds=list(config.recipe.seeds) if config.recipe else [],
        device=device,
        monotone=config.monotone,
        monotone_violations=violations,
        best_coalitions=best,
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


def agreed_data(context: RoundContext) -> tuple[Collaboration, Recipe]:
    """The data and the recipe that the parties agreed on when the round was opened.

    Raises
    ------
    DataChanged
        If the data that is there now is not the data of the terms.
    """
    from ml.datasets.loading import load

    config = context.config
    if config.data is None or config.recipe is None:
        raise BrokenInvariant("A round without given values has no data or recipe to train with.")
    collaboration = load(config.data)
    terms = json.loads((context.folder.stage("open") / TERMS_FILE).read_bytes())
    if collaboration.digest != terms["data_sha256"]:
        raise DataChanged(
            f"The data has SHA-256 {collaboration.digest[:16]}...; the round was opened on "
            f"{terms['data_sha256'][:16]}... Bring back that data or start a new round."
        )
    return collaboration, config.recipe


def trainer_of(context: RoundContext, progress: Progress) -> Callable[[np.ndarray], TrainedScores]:
    """A function that trains coalitions on the agreed data by the round's engine.

    What is in the cache is recalled instead.
    """
    from ml.engines.spec import make_engine
    from ml.training.cache import ModelCache
    from ml.training.coalitions import train_coalitions
    from ml.training.devices import choose_device
    from ml.training.models.modules import build_network

    collaboration, recipe = agreed_data(context)
    network = build_network(recipe, collaboration.preparation)  # tried by whoever trains it
    ModelCache(model_cache()).prune(cache_limit_bytes())
    stacks = network.best_stack_size(choose_device(recipe.device).type) > 1

    def train(coalitions: np.ndarray) -> TrainedScores:
        return train_coalitions(
            collaboration,
            recipe,
            coalitions,
            cache=model_cache(),
            progress=lambda done, total: progress("train", done, total),
            engine=make_engine(context.config.engine, stacks=stacks),
        )

    return train


def _train_all(context: RoundContext) -> ValueDocument:
    n_coalitions = 2 ** len(context.config.parties)
    trained = trainer_of(context, context.progress)(np.arange(1, n_coalitions))
    scores = np.zeros((len(trained.scores), n_coalitions))
    scores[:, trained.coalitions] = trained.scores
    return value_document(context.config, scores, device=trained.device)


def _train_sample(context: RoundContext) -> ValueDocument:
    """Train the coalitions that the estimator asks for, a batch at a time."""
    train = trainer_of(context, lambda stage, done, total: None)
    batches: list[TrainedScores] = []
    asked = context.config.values.evaluations

    def evaluate(coalitions: np.ndarray) -> np.ndarray:
        batches.append(train(coalitions.astype(np.int64)))
        context.progress("train", sum(len(batch.coalitions) for batch in batches), asked)
        return batches[-1].scores

    context.progress("train", 0, asked)
    estimate = estimate_of(context.config, evaluate)
    scores = np.concatenate([batch.scores for batch in batches], axis=1)
    coalitions = estimate.coalitions.tolist()
    return value_document(context.config, scores, coalitions=coalitions, device=batches[-1].device)


def estimate_of(config: RoundConfig, evaluate: Callable[[np.ndarray], np.ndarray]) -> FlowEstimate:
    """The round's estimate of its flows; the same coalitions whoever asks."""
    values = config.values
    return estimate_flows(
        evaluate,
        len(config.parties),
        values.evaluations,
        values.seed,
        values.estimator,
    )
