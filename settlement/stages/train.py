"""train: the value of every coalition, given or measured by training its model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from settlement.documents import ValueDocument
from settlement.errors import SettlementError
from settlement.stages.context import RoundContext, cache_folder
from settlement.stages.open import TERMS_FILE

__all__ = ["DataChanged", "carry_out", "cover_values"]


class DataChanged(SettlementError):
    """The data is not what the parties agreed on when the round was opened."""


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds for all coalitions, covered if the round says so."""
    config = context.config
    if config.given_values is not None:
        scores, seeds, device = np.array([config.given_values]), [], None
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


def _train(context: RoundContext) -> tuple[Any, list[int], str]:
    from ml.datasets import load
    from ml.training import train_coalitions

    config = context.config
    assert config.data is not None and config.recipe is not None
    collaboration = load(config.data)
    terms = json.loads((context.folder.stage("open") / TERMS_FILE).read_bytes())
    if collaboration.digest != terms["data_sha256"]:
        raise DataChanged(
            f"The data has SHA-256 {collaboration.digest[:16]}...; the round was opened on "
            f"{terms['data_sha256'][:16]}... Bring back that data or start a new round."
        )
    n_coalitions = 2 ** len(config.parties)
    trained = train_coalitions(
        collaboration,
        config.recipe,
        np.arange(1, n_coalitions),
        cache=cache_folder(),
        progress=lambda done, total: context.progress("train", done, total),
    )
    scores = np.zeros((len(trained.scores), n_coalitions))
    scores[:, trained.coalitions] = trained.scores
    return scores, list(config.recipe.seeds), trained.device
