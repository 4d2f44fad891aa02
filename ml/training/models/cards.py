"""Model cards: a description of a reward file, enough to use the model without its data."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ml.datasets.preparation import Preparation
from ml.datasets.readers.text import encode_texts
from ml.datasets.source import DataError
from ml.errors import MlError, SpecError
from ml.files import write_atomically
from ml.reading import CARD_BYTES, UnreadableFile, read_json
from ml.training.models.card_format import CARD_FORMAT, card_of
from ml.training.models.model_files import read_model
from ml.training.models.modules import build_network
from ml.training.models.networks import Network, Weights
from ml.training.recipe import Recipe, recipe

__all__ = ["CardError", "LoadedModel", "Predictions", "card_path", "load_reward", "write_card"]


DTYPES = {"uint8": torch.uint8, "int32": torch.int32, "float32": torch.float32}


class CardError(MlError):
    """A model card is missing, damaged or not that of the weights beside it."""


def card_path(weights_path: Path) -> Path:
    """Where the card of a file of weights is: beside it."""
    return weights_path.with_suffix(".json")


def write_card(
    weights_path: Path, plan: Recipe, preparation: Preparation, facts: Mapping[str, Any]
) -> None:
    """Write the card of a reward beside its weights; ``facts`` has its sha256, scores and so on."""
    card = card_of(facts, plan, preparation.as_dict())
    text = json.dumps(card, indent=1, ensure_ascii=False)
    write_atomically(card_path(weights_path), f"{text}\n".encode())


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says about samples.

    ``classes`` are names of classes, or None for regression; ``values`` are probabilities
    (samples, classes), or figures (samples,) in the unit of the target.
    """

    classes: tuple[str, ...] | None
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A reward model, ready to use."""

    network: Network
    weights: Weights
    preparation: Preparation
    card: dict[str, Any]

    def predict(self, samples: NDArray[Any] | list[str]) -> Predictions:
        """Predictions for raw samples: arrays shaped as the training data were, or texts.

        The columns of a table stand in the order of ``preparation.columns``.

        Raises
        ------
        DataError
            If the samples are not like the training data, or hold NaN.
        """
        raw: NDArray[Any]
        if isinstance(samples, list):
            if not self.preparation.vocabulary:
                raise DataError("The model reads no texts; give it an array.")
            known = {word: k for k, word in enumerate(self.preparation.vocabulary, start=1)}
            raw = encode_texts(samples, known, self.preparation.shape[0])
        else:
            raw = samples.astype(np.float32) if self.preparation.means else samples
        if raw.dtype == np.float32 and not np.isfinite(raw).all():
            raise DataError("Samples hold NaN or infinite values; expected finite numbers.")
        inputs = torch.from_numpy(self.preparation.features(raw).copy()).unsqueeze(0)
        stack = {name: tensor.unsqueeze(0) for name, tensor in self.weights.items()}
        with torch.no_grad():
            outputs = self.network.outputs(stack, inputs)[0].double()  # (samples, outputs)
        if not self.preparation.classes:
            scale, mean = self.preparation.target_scale, self.preparation.target_mean
            return Predictions(None, outputs[:, 0].numpy() * scale + mean)
        best = outputs.argmax(dim=1).tolist()
        names = tuple(self.preparation.classes[k] for k in best)
        return Predictions(names, torch.softmax(outputs, dim=1).numpy())


def load_reward(path: str | Path) -> LoadedModel:
    """The model of a reward file and its card, both verified.

    Raises
    ------
    CardError
        If the card is missing or damaged, or the weights are not the ones it describes.
    ModelFileError
        If the weights are damaged.
    """
    weights_path = Path(path)
    place = card_path(weights_path)
    try:
        card = read_json(place, CARD_BYTES)
        if card["format"] != CARD_FORMAT:
            raise CardError(f"{place} is no {CARD_FORMAT}.")
        plan = recipe(card["recipe"])
        preparation = Preparation.from_dict(card["preparation"])
        expected = card["sha256"]
    except UnreadableFile as trouble:
        raise CardError(str(trouble)) from None
    except SpecError as trouble:
        raise CardError(f"{place} has faults: {'; '.join(map(str, trouble.faults))}.") from None
    except (KeyError, TypeError) as trouble:
        raise CardError(f"{place} is no card: {trouble!r}.") from trouble
    weights, _ = read_model(weights_path)
    found = hashlib.sha256(weights_path.read_bytes()).hexdigest()
    if found != expected:
        raise CardError(
            f"{weights_path} has SHA-256 {found}; its card says {expected}. They are not of one "
            "round."
        )
    # Without memory for weights of its own: how large the card says that it is proves nothing.
    with torch.device("meta") if ":" not in plan.network else contextlib.nullcontext():
        network = build_network(plan, preparation)
    model = LoadedModel(network, weights, preparation, card)
    _try(model, place)
    return model


def _try(model: LoadedModel, place: Path) -> None:
    """Predict one sample, to see that weights and card fit each other."""
    sample = torch.zeros((1, 1, *model.preparation.shape), dtype=DTYPES[model.preparation.dtype])
    stack = {name: tensor.unsqueeze(0) for name, tensor in model.weights.items()}
    wanted = len(model.preparation.classes) or 1
    try:
        with torch.no_grad():
            outputs = model.network.outputs(stack, sample)
        fits = outputs.shape == (1, 1, wanted) and outputs.device.type == "cpu"
    except Exception as trouble:  # torch's words about shapes, or a user's module's own
        raise CardError(f"{place} does not fit its weights: {trouble}.") from trouble
    if not fits:
        raise CardError(
            f"{place} does not fit its weights: they give {tuple(outputs.shape[2:])} outputs for "
            f"{wanted} classes."
        )
