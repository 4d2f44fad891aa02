"""How every coalition's model is trained: checked, hashed, without loading torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ml.datasets.checks import Checker

__all__ = ["DEVICES", "NETWORKS", "Recipe", "recipe"]

NETWORKS = ("mlp",)
DEVICES = ("auto", "cpu", "cuda")
#: A change of the trainer's arithmetic must change this: finished models are found by it.
ARITHMETIC = 1

KEYS = frozenset(
    {"network", "hidden", "epochs", "batch_size", "learning_rate", "seeds", "device", "stack_size"}
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a model becomes, given its data.

    All coalitions of a seed start from the same weights. ``stack_size`` models train as one
    computation; results depend on it by rounding, so it belongs to the digests.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    stack_size: int = 32

    @property
    def digest(self) -> str:
        """SHA-256 of all fields but the device, in hexadecimal."""
        return _hash(asdict(self) | {"device": None})

    @property
    def model_digest(self) -> str:
        """SHA-256 of what one model depends on: all fields but the device and the list of seeds."""
        return _hash(asdict(self) | {"device": None, "seeds": None})


def _hash(fields: dict[str, Any]) -> str:
    text = json.dumps(fields | {"arithmetic": ARITHMETIC}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recipe(mapping: Mapping[str, Any]) -> Recipe:
    """The recipe from the table ``[training]``.

    Raises
    ------
    SpecError
        With every fault and its place, such as ``training.epochs``.
    """
    table = Checker(mapping, "training")
    table.refuse_unknown(KEYS)
    found = Recipe(
        network=table.choice("network", NETWORKS, "mlp"),
        hidden=table.integers("hidden", (64, 64), 1),
        epochs=table.integer("epochs", 5, 1),
        batch_size=table.integer("batch_size", 64, 1),
        learning_rate=table.number("learning_rate", 1e-3, 0.0, 10.0, low_open=True),
        seeds=table.integers("seeds", (0,), 0, distinct=True),
        device=table.choice("device", DEVICES, "auto"),
        stack_size=table.integer("stack_size", 32, 1, 4096),
    )
    table.finish()
    return found
