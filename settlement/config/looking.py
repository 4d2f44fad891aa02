"""Look at a round's configuration and data before anything is trained, opened or locked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from settlement.config.given_flows import given_flows
from settlement.config.reading import RoundConfig, read_config
from settlement.errors import SettlementError
from settlement.store.folder import RoundFolder

if TYPE_CHECKING:
    from ml.datasets.overview import Overview

__all__ = ["NothingTrained", "check_round", "look_at_data"]


class NothingTrained(SettlementError):
    """The values of the round are given or measured elsewhere: it has no data."""


def check_round(path: Path) -> list[str]:
    """What is right about a round's configuration and data, a line each.

    Raises
    ------
    ConfigError, FlowsFileError, DataError, NetworkError, ScoreError, OwnCodeError
        If something is wrong with them.
    """
    config = _config(path)
    found = [f"configuration: {len(config.parties)} parties, {_way(config)}"]
    if config.external is not None:
        return [*found, f"models trained elsewhere: {_n_models(config, config.external.seeds):,}"]
    if config.data is None or config.recipe is None:
        if config.flows_path is not None:
            given = given_flows(config)
            return [
                *found,
                f"values: flows of {given.n_parties} parties in {config.flows_path.name}; each "
                f"row sums to v(N) - v(i), v(N) is {given.grand_value:.4f}",
            ]
        return [*found, f"values: {len(config.given_values or ())} given"]
    from ml.datasets.loading import load
    from ml.training.checks import check_training, scores_without_training

    collaboration = load(config.data)
    found.append(
        f"data: {len(collaboration.train):,} training, {len(collaboration.validation):,} "
        f"validation and {len(collaboration.holdout):,} holdout samples"
    )
    if config.data.buyers:
        named = ", ".join(config.parties[party].name for party in config.data.buyers)
        found.append(f"buyers, who bring no data: {named}")
    check_training(collaboration, config.recipe)
    score = config.recipe.score or ("accuracy" if collaboration.n_classes else "r2")
    found.append(f"training: network {config.recipe.network} and score {score} fit the data")
    nothing, right = scores_without_training(collaboration, config.recipe)
    found.append(
        f"score: {nothing:.4f} for a model that says the same of every sample, {right:.4f} for the "
        "labels themselves; trained models should lie between"
    )
    found.append(f"models to train: {_n_models(config, config.recipe.seeds):,}")
    return found


def look_at_data(path: Path) -> Overview:
    """What each party of a round brings.

    Raises
    ------
    NothingTrained
        If the round has no data.
    ConfigError, DataError
    """
    config = _config(path)
    if config.data is None:
        raise NothingTrained(
            f"Nothing is trained here for {path}, so there are no data to look at."
        )
    from ml.datasets.loading import load
    from ml.datasets.overview import overview

    return overview(load(config.data))


def _n_models(config: RoundConfig, seeds: Sequence[int]) -> int:
    n_buyers = 0 if config.data is None else len(config.data.buyers)
    most: int = 2 ** (len(config.parties) - n_buyers) - 1
    return len(seeds) * (min(config.values.evaluations, most) if config.estimates else most)


def _config(path: Path) -> RoundConfig:
    folder = RoundFolder(path)
    folder.require_config()
    return read_config(folder.config_path)


def _way(config: RoundConfig) -> str:
    chain = config.chain
    return "a simulated chain" if chain.simulated else f"chain {chain.chain_id}"
