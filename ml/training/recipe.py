"""How every coalition's model is trained: checked, hashed, without loading torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from ml.schema import FROM_DECIMAL, Filled, Seed, Table, read_table

__all__ = ["NETWORKS", "Recipe", "recipe"]

NETWORKS = ("mlp", "cnn", "text")
SCORES = ("accuracy", "r2")

ARITHMETIC_VERSION = 2
"""A change of the trainer's arithmetic must change this: finished models are found by it."""

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""``package.module:name``"""

MAX_WIDTH = 65_536


def _as_text(arguments: object) -> str:
    """A table of plain values as JSON, so that a recipe can be hashed and compared."""
    if isinstance(arguments, Mapping):
        try:
            return json.dumps(arguments, sort_keys=True, allow_nan=False, default=float)
        except (TypeError, ValueError):
            pass
    raise ValueError("expected a table of plain values")


Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Widths = Annotated[tuple[Width, ...], Field(strict=False)]
Arguments = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": "object"})]


class Recipe(Table):
    """Everything that decides what a model becomes, given its data.

    All coalitions of a seed start from the same weights. ``stack_size`` models train as one
    computation; results depend on it by rounding, so it belongs to the digests.
    """

    network: str = Field(
        "mlp",
        description='"mlp" (widths `hidden`), "cnn" (`channels`, then `hidden`), "text" (the mean '
        "of word vectors of size `embedding`, then `hidden`), or `package.module:Class`, a "
        "`torch.nn.Module` of your own, made with `arguments`",
    )
    hidden: Widths = Field(
        (64, 64), description="widths of the hidden layers; [] is a linear model"
    )
    channels: Annotated[tuple[Width, ...], Field(strict=False, min_length=1)] = Field(
        (16, 32), description="of the convolutions, each followed by halving the image"
    )
    embedding: Width = Field(16, description="size of a word's vector")
    arguments: Arguments = Field("{}", description="what a module of your own is made with")
    initial_weights: Literal["torch", "glorot"] = Field(
        "torch",
        description='"torch": uniform in +-1/sqrt(inputs), biases too, as a torch layer is made; '
        '"glorot": uniform in +-sqrt(6 / (inputs + outputs)), biases 0. A module of your own makes '
        "its own",
    )
    score: str = Field(
        "",
        description='"accuracy", "r2" (the default for figures) or `package.module:function` of '
        "outputs and targets, giving a number in [0, 1], larger is better",
    )
    epochs: int = Field(5, ge=1, le=100_000, description="passes over the data")
    batch_size: int = Field(64, ge=1, le=10**6, description="samples a step")
    learning_rate: Annotated[float, Field(gt=0, le=10), FROM_DECIMAL] = Field(
        1e-3, description="of Adam"
    )
    seeds: Filled[Seed] = Field(
        (0,), description="one model a seed; the value of a coalition is the mean score"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description='"auto" is cuda where there is one, else cpu'
    )
    stack_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="models that train as one computation; 0 is what suits network and device",
    )

    @field_validator("network", "score")
    @classmethod
    def _known_or_imported(cls, name: str, info: ValidationInfo) -> str:
        known = NETWORKS if info.field_name == "network" else (*SCORES, "")
        if name not in known and not IMPORT_PATH.fullmatch(name):
            listed = ", ".join(word for word in known if word)
            raise ValueError(f"expected {listed} or package.module:name")
        return name

    @field_validator("arguments")
    @classmethod
    def _for_own_modules(cls, arguments: str, info: ValidationInfo) -> str:
        network = info.data.get("network")
        if arguments != "{}" and network in NETWORKS:
            raise ValueError(f"{network} takes none; they are for a module of your own")
        return arguments

    @field_validator("initial_weights")
    @classmethod
    def _of_own_networks(cls, initial: str, info: ValidationInfo) -> str:
        network = info.data.get("network")
        if initial != "torch" and network is not None and network not in NETWORKS:
            raise ValueError("a module of your own makes its initial weights; leave this out")
        return initial

    @property
    def digest(self) -> str:
        """SHA-256 of all fields but the device, in hexadecimal."""
        return _hash(self.model_dump() | {"device": None})

    @property
    def model_digest(self) -> str:
        """SHA-256 of what one model depends on: all fields but the device and the list of seeds."""
        return _hash(self.model_dump() | {"device": None, "seeds": None})

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON; ``recipe`` reads them back."""
        return self.model_dump() | {"arguments": json.loads(self.arguments)}


def _hash(fields: dict[str, Any]) -> str:
    text = json.dumps(fields | {"arithmetic": ARITHMETIC_VERSION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recipe(mapping: Mapping[str, Any]) -> Recipe:
    """The recipe from the table ``[training]``.

    Raises
    ------
    SpecError
        With every fault and its place, such as ``training.epochs``.
    """
    return read_table(Recipe, mapping, "training")
