"""train: the value of every coalition, given or measured by training its model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.game import ValueTable
from settlement.documents import ValueDocument
from settlement.errors import BrokenInvariant, SettlementError
from settlement.stages.context import RoundContext, model_cache
from settlement.stages.open import TERMS_FILE

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.training.recipe import Recipe

__all__ = ["DataChanged", "agreed_data", "carry_out", "cover_values"]


class DataChanged(SettlementError):
    """The data is not what the parties agreed on when the round was opened."""


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds for all coalitions, covered if the round says so."""
    config = context.config
    seeds: list[int] = []
    device: str | None = None
    if config.given_values is not None:
        scores = np.array([config.given_values])
    else:
        scores, seeds, device = _train(context)
    values, report, best = cover_values(scores.mean(axis=0), config.monotone)
    document = ValueDocument(
        parties=list(config.party_names),
        values=values.tolist(),
        source="given" if config.given_values is not None else "trained",
        scores=scores.tolist(),
        seeds=seeds,
        device=device,
        monotone=config.monotone,
        monotone_violations=report,
        best_coalitions=best.tolist(),
    )
    with context.folder.write_stage("train", inputs=["open"]) as folder:
        document.write(folder)


def cover_values(
    scores: np.ndarray, monotone: str
) -> tuple[np.ndarray, dict[str, Any], np.ndarray]:
    """Values to go on with, how far the scores were from monotone, whose model stands for whom.

    Parameters
    ----------
    scores : shape (2**n,)
        Mean scores by coalition bitmask.
    monotone
        ``"refuse"``: raise if some party makes some coalition worse. ``"cover"``: a coalition
        uses the best model of any of its sub-coalitions.

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
    if monotone == "refuse":
        table.require_monotone()
    violations = {
        "edges": report.n_edges,
        "broken": report.n_broken,
        "largest": report.largest,
    }
    return table.cover("above").table.values, violations, _best_coalitions(scores)


def _best_coalitions(scores: np.ndarray) -> np.ndarray:
    best = np.arange(len(scores))
    for party in range(len(scores).bit_length() - 1):
        pairs = best.reshape(-1, 2, 1 << party)  # a view: without the party, with it
        better = scores[pairs[:, 0]] > scores[pairs[:, 1]]
        pairs[:, 1][better] = pairs[:, 0][better]
    return best


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


def _train(context: RoundContext) -> tuple[np.ndarray, list[int], str]:
    from ml.training.scores import train_coalitions

    collaboration, recipe = agreed_data(context)
    n_coalitions = 1 + collaboration.grand_coalition
    trained = train_coalitions(
        collaboration,
        recipe,
        np.arange(1, n_coalitions),
        cache=model_cache(),
        progress=lambda done, total: context.progress("train", done, total),
    )
    scores = np.zeros((len(trained.scores), n_coalitions))
    scores[:, trained.coalitions] = trained.scores
    return scores, list(recipe.seeds), trained.device
