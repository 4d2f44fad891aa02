"""train: the value of every coalition, given or measured by training its model, and the game.

The game, flows and own values in posted whole units, follows from the values alone. It is what the
parties agree on when they deposit, so it is made before the round is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.game import GivenFlows, ValueTable, best_coalitions, bitmasks, made_monotone
from settlement.cache import cache_limit_bytes
from settlement.config.reading import RoundConfig
from settlement.config.settings import read_settings
from settlement.errors import BrokenInvariant, SettlementError
from settlement.posting.format import MAX_POSTED_PARTIES
from settlement.round.context import Progress, RoundContext, model_cache
from settlement.round.game import (
    estimate_of,
    flows_of_round,
    flows_values,
    game_document,
    stored_game,
)
from settlement.store.documents import FLOWS_FILE, GameDocument, ValueDocument
from settlement.store.flows_file import FlowsFileError, read_flows, write_flows
from settlement.store.folder import sha256_of

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.game import CoalitionMatrix
    from ml.training.coalitions import TrainedScores
    from ml.training.recipe import Recipe

__all__ = [
    "DataChanged",
    "agreed_data",
    "basis_of",
    "carry_out",
    "cover_values",
    "load_data",
    "value_document",
]


class DataChanged(SettlementError):
    """The data is not what the scores of the round were measured on."""


def carry_out(context: RoundContext) -> None:
    """Write v(C) = mean score over seeds, covered if the round says so, and the posted game."""
    config = context.config
    given = None
    if config.flows_path is not None:
        given = given_flows(config)
        document = flows_values(config.party_names, given, config.monotone)
    elif config.given_values is not None:
        document = value_document(
            config.party_names,
            np.array([config.given_values]),
            monotone=config.monotone,
            source="given",
        )
    else:
        document = _trained(context)
    estimation = config.values if config.estimates else None
    is_posted = len(config.parties) <= MAX_POSTED_PARTIES
    if is_posted:
        # Before the folder is written: what cannot be posted stops the round before it is opened.
        game = game_document(document, config.caps, estimation, given)
        stored_game(game).check(config.exchange_rate)
    with context.folder.write_stage("train", inputs=[]) as folder:
        document.write(folder)
        if given is not None or not is_posted:
            write_flows(folder / FLOWS_FILE, flows_of_round(document, estimation, given))
        if not is_posted:
            game = GameDocument(document.parties, [], [], [], sha256_of(folder / FLOWS_FILE))
        game.write(folder)


def given_flows(config: RoundConfig) -> GivenFlows:
    """The flows of the file that a configuration names, of its parties, with values of [0, 1].

    Raises
    ------
    FlowsFileError
        If the file cannot be read, its parties are others, or v(N) is above 1.
    """
    if config.flows_path is None:
        raise BrokenInvariant("The configuration names no file of flows.")
    file = read_flows(config.flows_path)
    if file.given.n_parties != len(config.parties):
        raise FlowsFileError(
            f"{config.flows_path} holds flows of {file.given.n_parties} parties; the round has "
            f"{len(config.parties)}."
        )
    pairs = zip(file.parties or config.party_names, config.party_names, strict=True)
    for party, (found, named) in enumerate(pairs):
        if found != named:
            raise FlowsFileError(
                f"{config.flows_path} calls party {party} {found!r}; the round calls it {named!r}. "
                f"Order and names must be the same."
            )
    if file.given.grand_value > 1:
        raise FlowsFileError(
            f"{config.flows_path}: v(N) is {file.given.grand_value:g}; expected 1 at most. Divide "
            f"all flows and values by the largest, and multiply the exchange rate by it."
        )
    return file.given


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


def load_data(config: RoundConfig) -> tuple[Collaboration, Recipe]:
    """The data and the recipe of a round that trains."""
    from ml.datasets.loading import load

    if config.data is None or config.recipe is None:
        raise BrokenInvariant("A round without given values has no data or recipe to train with.")
    if ":" in config.recipe.network + config.recipe.score:
        from ml.training.models.own_code import allow_modules

        # Only what this user has allowed, wherever the round's file comes from.
        allow_modules(*read_settings().allowed_modules, folder=config.folder)
    return load(config.data), config.recipe


def basis_of(collaboration: Collaboration, recipe: Recipe) -> dict[str, Any]:
    """What scores are measured on, as hashes: a party can tell its own data among them."""
    from ml.training.models.own_code import code_digest

    own_code = {path: code_digest(path) for path in (recipe.network, recipe.score) if ":" in path}
    return {
        "data_sha256": collaboration.digest,
        "party_data_sha256": list(collaboration.party_digests),
        "validation_sha256": collaboration.validation.digest,
        "recipe_sha256": recipe.digest,
        "code_sha256": own_code,
    }


def agreed_data(config: RoundConfig, values: ValueDocument) -> tuple[Collaboration, Recipe]:
    """The data and the recipe that the round's scores were measured with.

    Raises
    ------
    DataChanged
        If what is there now, data, recipe or a user's own code, is something else.
    """
    collaboration, recipe = load_data(config)
    now = basis_of(collaboration, recipe)
    for name, expected in (values.basis or {}).items():
        if now[name] != expected:
            raise DataChanged(
                f"{name} is {now[name]!s:.40}; the round was trained with {expected!s:.40}. Bring "
                f"that back or start a new round."
            )
    return collaboration, recipe


def _trained(context: RoundContext) -> ValueDocument:
    """Train all coalitions, or those that the estimator asks for; by the round's engine.

    What is in the cache is recalled instead.
    """
    from ml.training.cache import ModelCache
    from ml.training.checks import check_training

    config = context.config
    collaboration, recipe = load_data(config)
    check_training(collaboration, recipe)
    ModelCache(model_cache()).prune(cache_limit_bytes())
    scores, coalitions, device = (_train_sample if config.estimates else _train_all)(
        context, collaboration, recipe
    )
    return value_document(
        config.party_names,
        scores,
        monotone=config.monotone,
        coalitions=coalitions,
        seeds=recipe.seeds,
        device=device,
        basis=basis_of(collaboration, recipe),
    )


def _trainer(
    config: RoundConfig, collaboration: Collaboration, recipe: Recipe, progress: Progress
) -> Callable[[Iterable[int]], TrainedScores]:
    from ml.engines.spec import make_engine
    from ml.training.coalitions import train_coalitions
    from ml.training.devices import choose_device
    from ml.training.models.modules import build_network

    network = build_network(recipe, collaboration.preparation)
    stacks = network.best_stack_size(choose_device(recipe.device).type) > 1

    def train(coalitions: Iterable[int]) -> TrainedScores:
        return train_coalitions(
            collaboration,
            recipe,
            coalitions,
            cache=model_cache(),
            progress=lambda done, total: progress("train", done, total),
            engine=make_engine(config.engine, stacks=stacks),
        )

    return train


def _train_all(
    context: RoundContext, collaboration: Collaboration, recipe: Recipe
) -> tuple[np.ndarray, None, str]:
    train = _trainer(context.config, collaboration, recipe, context.progress)
    n_coalitions = 2**collaboration.n_parties
    trained = train(range(1, n_coalitions))
    scores = np.zeros((len(trained.scores), n_coalitions))
    scores[:, trained.coalitions] = trained.scores
    return scores, None, trained.device


def _train_sample(
    context: RoundContext, collaboration: Collaboration, recipe: Recipe
) -> tuple[np.ndarray, list[int], str]:
    """Train the coalitions that the estimator asks for, a batch at a time."""
    train = _trainer(context.config, collaboration, recipe, lambda stage, done, total: None)
    batches: list[TrainedScores] = []
    asked = context.config.values.evaluations

    def evaluate(members: CoalitionMatrix) -> np.ndarray:
        batches.append(train(bitmasks(members)))
        context.progress("train", sum(len(batch.coalitions) for batch in batches), asked)
        return batches[-1].scores

    context.progress("train", 0, asked)
    estimate = estimate_of(context.config.values, collaboration.n_parties, evaluate)
    scores = np.concatenate([batch.scores for batch in batches], axis=1)
    return scores, list(estimate.coalitions), batches[-1].device
