"""Scores of models that are trained here, on data that are here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.spec import NO_SAMPLES
from settlement.cache import cache_limit_bytes
from settlement.config.reading import RoundConfig
from settlement.config.settings import read_settings
from settlement.errors import BrokenInvariant, SettlementError
from settlement.round.context import model_cache
from settlement.round.measuring.measured import Measured, Provenance, Told
from settlement.store.documents import ValueDocument

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.training.recipe import Recipe

__all__ = ["DataChanged", "TrainedModels", "agreed_data", "basis_of", "load_data"]


class DataChanged(SettlementError):
    """The data is not what the scores of the round were measured on."""


class TrainedModels:
    """Trains the models of coalitions by the round's engine; what is in the cache is recalled."""

    source = "trained"

    def __init__(self, config: RoundConfig) -> None:
        from ml.engines.spec import make_engine
        from ml.training.cache import ModelCache
        from ml.training.checks import check_training
        from ml.training.devices import choose_device

        self._collaboration, self._recipe = load_data(config)
        network = check_training(self._collaboration, self._recipe)
        stacks = network.best_stack_size(choose_device(self._recipe.device).type) > 1
        self._engine = make_engine(config.engine, stacks=stacks)
        self._device: str | None = None
        self.seeds = tuple(self._recipe.seeds)
        ModelCache(model_cache()).prune(cache_limit_bytes())

    def measure(self, coalitions: Sequence[int], told: Told) -> NDArray[np.float64]:
        """Validation scores of the coalitions' models."""
        from ml.training.coalitions import train_coalitions

        trained = train_coalitions(
            self._collaboration,
            self._recipe,
            coalitions,
            cache=model_cache(),
            progress=told,
            engine=self._engine,
        )
        self._device = trained.device
        return trained.scores

    def provenance(self, measured: Measured) -> Provenance:
        """The device that trained; data, recipe and code as hashes."""
        from ml.training.checks import untrained_score

        data, recipe = self._collaboration, self._recipe
        basis = basis_of(data, recipe)
        buys = NO_SAMPLES in basis["party_data_sha256"]
        start = untrained_score(data, recipe) if buys else None
        return Provenance(self._device, basis, untrained_score=start)


def load_data(config: RoundConfig) -> tuple[Collaboration, Recipe]:
    """The data and the recipe of a round that trains."""
    from ml.datasets.loading import load

    if config.data is None or config.recipe is None:
        raise BrokenInvariant("A round without given values has no data or recipe to train with.")
    if ":" in config.recipe.network + config.recipe.score:
        from ml.engines.own_code import allow_modules

        # Only what this user has allowed, wherever the round's file comes from.
        allow_modules(*read_settings().allowed_modules, folder=config.folder)
    return load(config.data), config.recipe


def basis_of(collaboration: Collaboration, recipe: Recipe) -> dict[str, Any]:
    """What scores are measured on, as hashes: a party can tell its own data among them."""
    from ml.engines.own_code import code_digest

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
