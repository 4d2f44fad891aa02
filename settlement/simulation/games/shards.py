"""Shard tables: every party's data cut into pieces, and all coalitions of pieces trained once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ml.datasets.spec import data_spec
from ml.files import write_atomically
from ml.game.tables.coalitions import FloatArray
from ml.training.recipe import recipe
from settlement.cache import cache_folder

__all__ = ["check_shards", "shard_values"]

Progress = Callable[[int, int], None]


def check_shards(
    data: Mapping[str, Any], training: Mapping[str, Any], parties: Sequence[Mapping[str, Any]]
) -> None:
    """Check the tables ``[game.data]`` and ``[game.training]`` and what parties hold.

    Raises
    ------
    SpecError
        With every fault and its place; nothing heavy is imported.
    """
    data_spec(data, parties)
    recipe(training)


def shard_values(
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    parties: Sequence[Mapping[str, Any]],
    n_pieces: int,
    progress: Progress = lambda done, total: None,
) -> FloatArray:
    """Mean scores of all coalitions of pieces, shape (2**(n k),); trained once, then kept.

    Piece ``k * n_pieces + p`` is part p of party k's samples, drawn at random without replacement
    with a seed of its own. The table is as it was measured, not made monotone.
    """
    key = _key(data, training, parties, n_pieces)
    kept = cache_folder("simulation") / f"shards-{key}.json"
    if kept.is_file():
        return np.array(json.loads(kept.read_text())["values"], dtype=np.float64)
    values = _train(data, training, parties, n_pieces, progress)
    _keep(kept, values)
    return values


def _key(
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    parties: Sequence[Mapping[str, Any]],
    n_pieces: int,
) -> str:
    text = json.dumps(
        [data_spec(data, parties), recipe(training).digest, n_pieces], default=repr, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _train(
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    parties: Sequence[Mapping[str, Any]],
    n_pieces: int,
    progress: Progress,
) -> FloatArray:
    from ml.datasets.loading import load
    from ml.training import train_coalitions

    spec = data_spec(data, parties)
    whole = load(spec)
    cut = []
    for index, rows in enumerate(whole.party_indices):
        shuffled = np.random.default_rng([spec.seed, 5, index]).permutation(rows)
        cut += [np.sort(part) for part in np.array_split(shuffled, n_pieces)]
    names = tuple(f"{name}/{p}" for name in whole.party_names for p in range(n_pieces))
    pieces = replace(whole, party_names=names, party_indices=tuple(cut))
    coalitions = np.arange(1, 1 << len(cut))
    trained = train_coalitions(
        pieces, recipe(training), coalitions, cache=cache_folder("models"), progress=progress
    )
    return np.concatenate([[0.0], trained.means])


def _keep(path: Path, values: FloatArray) -> None:
    """A whole file or none."""
    write_atomically(path, json.dumps({"values": values.tolist()}).encode(), durable=False)
