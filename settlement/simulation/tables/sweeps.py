"""Sweeps of a scenario: what takes several values, the cells of their product, the seeds."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ml.errors import Fault

__all__ = [
    "Axis",
    "RoundKey",
    "axes_of",
    "cell_values",
    "round_rng",
    "scenario_hash",
    "with_values",
]

SWEPT_PARTY_KEYS = frozenset(
    {"count", "behaviour", "budget", "income", "carry", "private_rate", "cap", "joins"}
)
UNSWEPT = re.compile(r"expect|engine|game\.(values|data|training)|.*\.(uniform|one_of)")
"""Places below which a list is a list."""

RANGE_KEYS = ({"from", "to"}, {"from", "to", "steps"})


@dataclass(frozen=True, slots=True)
class Axis:
    """A place in the scenario, such as ``party[0].budget``, and the values that it takes."""

    place: str
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The last word of the place."""
        return self.place.rpartition(".")[2]


@dataclass(frozen=True, slots=True, order=True)
class RoundKey:
    """Which round: cell, replicate of it, and number among the rounds of that replicate."""

    cell: int
    replicate: int
    period: int

    def __str__(self) -> str:
        return f"{self.cell}.{self.replicate}.{self.period}"

    @classmethod
    def parse(cls, text: str) -> RoundKey:
        """The key from ``cell.replicate.period``; what is left out at the end is 0.

        Raises
        ------
        ValueError
            If that is not what the text is.
        """
        parts = text.split(".")
        if not 1 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
            raise ValueError(f"{text!r} names no round; expected cell.replicate.period, as 3.17.0")
        return cls(*(int(part) for part in (*parts, "0", "0")[:3]))


def axes_of(tables: Mapping[str, Any], faults: list[Fault]) -> list[Axis]:
    """Every place that takes several values, in the order of the file."""
    return list(_axes(tables, "", faults))


def _axes(value: Any, place: str, faults: list[Fault]) -> Iterator[Axis]:
    if UNSWEPT.fullmatch(place):
        return
    if isinstance(value, Mapping):
        if set(value) in RANGE_KEYS:
            try:
                yield Axis(place, _range(value))
            except ValueError as error:
                faults.append(Fault(place, str(error)))
            return
        for key, inner in value.items():
            yield from _axes(inner, f"{place}.{key}" if place else key, faults)
    elif isinstance(value, list):
        if place in ("party", "outsider"):
            for k, inner in enumerate(value):
                yield from _axes(inner, f"{place}[{k}]", faults)
        elif not _is_data_of_a_party(place):
            if value:
                yield Axis(place, tuple(value))
            else:
                faults.append(Fault(place, "found an empty list; expected values to sweep over"))


def _is_data_of_a_party(place: str) -> bool:
    """Keys such as ``party[0].labels`` belong to the data; their lists are no sweeps."""
    found = re.fullmatch(r"party\[\d+\]\.(\w+)", place)
    return found is not None and found[1] not in SWEPT_PARTY_KEYS


def _range(table: Mapping[str, Any]) -> tuple[Any, ...]:
    first, last = table["from"], table["to"]
    numbers = (first, last)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise ValueError(f"found a range from {first!r} to {last!r}; expected numbers")
    if "steps" not in table:
        if not all(isinstance(n, int) for n in numbers) or last < first:
            raise ValueError('expected "steps", the number of values, or two whole numbers upwards')
        return tuple(range(first, last + 1))
    steps = table["steps"]
    if not isinstance(steps, int) or isinstance(steps, bool) or not 2 <= steps <= 10**6:
        raise ValueError(f"found {steps!r} steps; expected 2 to 1000000")
    points = [first + (last - first) * k / (steps - 1) for k in range(steps)]
    whole = all(isinstance(n, int) for n in numbers) and all(p == int(p) for p in points)
    return tuple(int(p) if whole else round(p, 12) for p in points)


def n_cells(axes: Sequence[Axis]) -> int:
    """How many cells the product has."""
    return prod(len(axis.values) for axis in axes)


def cell_values(axes: Sequence[Axis], cell: int) -> list[Any]:
    """The value of every axis in a cell; the last axis changes fastest."""
    values = []
    for axis in reversed(axes):
        cell, k = divmod(cell, len(axis.values))
        values.append(axis.values[k])
    return values[::-1]


def with_values(
    tables: Mapping[str, Any], axes: Sequence[Axis], values: Sequence[Any]
) -> dict[str, Any]:
    """The tables with one value at every axis."""
    made = copy.deepcopy(dict(tables))
    for axis, value in zip(axes, values, strict=True):
        *way, last = _steps(axis.place)
        inner: Any = made
        for step in way:
            inner = inner[step]
        inner[last] = copy.deepcopy(value)
    return made


def _steps(place: str) -> list[str | int]:
    steps: list[str | int] = []
    for word in place.split("."):
        name, *indices = re.split(r"[\[\]]+", word)
        steps.append(name)
        steps += [int(index) for index in indices if index]
    return steps


def scenario_hash(tables: Mapping[str, Any], contents: Sequence[bytes]) -> str:
    """SHA-256 of all that decides what happens in a round, in hexadecimal.

    Not among it: what is expected, where it is computed, and how many replicates there are; so more
    of them add rounds and change none.
    """
    kept = {key: value for key, value in tables.items() if key not in ("expect", "engine")}
    scenario = kept.get("scenario")
    if isinstance(scenario, Mapping):
        kept["scenario"] = {k: v for k, v in scenario.items() if k not in ("replicates", "name")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def round_rng(scenario: str, key: RoundKey, purpose: int = 0) -> np.random.Generator:
    """The random numbers of one round, or of its whole replicate (``period`` -1).

    A pure function of scenario hash, cell, replicate and round: any round is carried out alone, and
    no two are alike. ``purpose`` keeps draws of one kind apart from those of another.
    """
    spawn_key = (key.cell, key.replicate, key.period + 1, purpose)
    seeds = np.random.SeedSequence(_entropy(scenario), spawn_key=spawn_key)
    return np.random.Generator(np.random.PCG64(seeds))


@functools.lru_cache(maxsize=16)
def _entropy(scenario: str) -> int:
    return int(scenario, 16)
