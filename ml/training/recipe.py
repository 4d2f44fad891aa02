"""How every coalition's model is trained; checked and hashed without loading torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ml.datasets.checks import Checker

__all__ = ["DEVICES", "NETWORKS", "SCORES", "Recipe", "recipe"]

NETWORKS = ("mlp", "cnn", "text")
SCORES = ("accuracy", "r2")
DEVICES = ("auto", "cpu", "cuda")
ARITHMETIC = 2
"""Version of the trainer's arithmetic, part of every cache key: raise it when results change."""

KEYS = frozenset(
    {"network", "hidden", "channels", "embedding", "arguments", "score", "epochs", "batch_size"}
    | {"learning_rate", "seeds", "device", "stack_size"}
)
IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""``package.module:name``"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a model becomes, given its data.

    All coalitions of a seed start from the same weights. ``network`` is "mlp" (widths ``hidden``),
    "cnn" (``channels``, then ``hidden``), "text" (average of word vectors of size ``embedding``,
    then ``hidden``), or ``package.module:Class``, a `torch.nn.Module` of the user's that is made
    with ``arguments``. ``score`` is "accuracy", "r2" or ``package.module:function``; empty means
    the one that fits the data. ``stack_size`` models train as one computation; rounding depends on
    it, so it is part of the digests; 0 lets network and device decide.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (64, 64)
    channels: tuple[int, ...] = (16, 32)
    embedding: int = 16
    arguments: str = "{}"
    score: str = ""
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    stack_size: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of all fields but the device, in hexadecimal."""
        return _hash(asdict(self) | {"device": None})

    @property
    def model_digest(self) -> str:
        """SHA-256 of what one model depends on: all fields but the device and the list of seeds."""
        return _hash(asdict(self) | {"device": None, "seeds": None})

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON; ``recipe`` reads them back."""
        return asdict(self) | {"arguments": json.loads(self.arguments)}


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
    network = _name(table, "network", NETWORKS, "mlp")
    arguments = table.table.get("arguments", {})
    try:
        text = json.dumps(arguments, sort_keys=True)
    except TypeError:
        text = "[]"
    if not isinstance(arguments, Mapping) or text == "[]":
        table.fault("arguments", f"found {arguments!r}; expected a table of plain values.")
    elif arguments and network in NETWORKS:
        table.fault("arguments", f"{network} takes none; they are for a module of your own.")
    hidden = table.table.get("hidden", [64, 64])
    found = Recipe(
        network=network,
        # No hidden layer at all is a linear model.
        hidden=() if hidden in ([], ()) else table.integers("hidden", (64, 64), 1),
        channels=table.integers("channels", (16, 32), 1),
        embedding=table.integer("embedding", 16, 1),
        arguments=text,
        score=_name(table, "score", (*SCORES, ""), ""),
        epochs=table.integer("epochs", 5, 1),
        batch_size=table.integer("batch_size", 64, 1),
        learning_rate=table.number("learning_rate", 1e-3, 0.0, 10.0, low_open=True),
        seeds=table.integers("seeds", (0,), 0, distinct=True),
        device=table.choice("device", DEVICES, "auto"),
        stack_size=table.integer("stack_size", 0, 0, 4096),
    )
    table.finish()
    return found


def _name(table: Checker, key: str, known: tuple[str, ...], default: str) -> str:
    """One of the known names, or an import path."""
    value = table.text(key, default)
    if value not in known and not IMPORT_PATH.fullmatch(value):
        listed = ", ".join(name for name in known if name)
        table.fault(key, f"found {value!r}; expected {listed} or package.module:name.")
        return default
    return value
