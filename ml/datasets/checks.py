"""Checks of configuration tables that report all faults at once, each with its place."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ml.errors import Fault, SpecError

__all__ = ["Checker"]


class Checker:
    """Reads one table and collects what is wrong with it.

    Every reader returns a usable value even when it notes a fault, so that one pass finds all of
    them; ``finish`` raises if there are any.
    """

    def __init__(self, table: object, place: str, faults: list[Fault] | None = None) -> None:
        self.place = place
        self.faults: list[Fault] = [] if faults is None else faults
        self.table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        if not isinstance(table, Mapping):
            self.faults.append(Fault(place, f"found {table!r}; expected a table."))

    def fault(self, key: str, message: str) -> None:
        """Note a fault at a key of this table (or of the table itself, if key is empty)."""
        self.faults.append(Fault(f"{self.place}.{key}" if key else self.place, message))

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Every key that is not known is a fault."""
        for key in self.table:
            if key not in known:
                self.fault(str(key), f"unknown key; expected one of {', '.join(sorted(known))}.")

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """One of the given words."""
        value = self.table.get(key, default)
        if value not in choices or not isinstance(value, str):
            self.fault(key, f"found {value!r}; expected one of {', '.join(sorted(choices))}.")
            return default
        return value

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self.table.get(key, default)
        if not isinstance(value, str):
            self.fault(key, f"found {value!r}; expected a string.")
            return default
        return value

    def integer(self, key: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number in [low, high]; a truth value is not one."""
        value = self.table.get(key, default)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            bound = f"at least {low}" if high is None else f"from {low} to {high}"
            self.fault(key, f"found {value!r}; expected a whole number {bound}.")
            return default
        return int(value)

    def number(
        self,
        key: str,
        default: float,
        low: float,
        high: float = math.inf,
        *,
        low_open: bool = False,
        high_open: bool = False,
    ) -> float:
        """A finite number between the bounds, which belong to it unless they are open."""
        value = self.table.get(key, default)
        real = isinstance(value, int | float) and not isinstance(value, bool)
        fits = real and math.isfinite(value) and low <= value <= high
        if not fits or (low_open and value == low) or (high_open and value == high):
            left, right = "(" if low_open else "[", ")" if high_open or high == math.inf else "]"
            self.fault(
                key, f"found {value!r}; expected a number in {left}{low:g}, {high:g}{right}."
            )
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.table.get(key, default)
        if not isinstance(value, bool):
            self.fault(key, f"found {value!r}; expected true or false.")
            return default
        return value

    def integers(
        self, key: str, default: tuple[int, ...], low: int, *, distinct: bool = False
    ) -> tuple[int, ...]:
        """A list of whole numbers, none below ``low``; it must not be empty."""
        value = self.table.get(key, default)
        if not isinstance(value, list | tuple) or not value:
            self.fault(key, f"found {value!r}; expected a list of at least one whole number.")
            return default
        for position, item in enumerate(value):
            if not isinstance(item, int) or isinstance(item, bool) or item < low:
                self.fault(
                    f"{key}[{position}]",
                    f"found {item!r}; expected a whole number, at least {low}.",
                )
                return default
        if distinct and len(set(value)) != len(value):
            twice = sorted({item for item in value if list(value).count(item) > 1})
            self.fault(key, f"{', '.join(map(str, twice))} is there twice; name each once.")
        return tuple(value)

    def finish(self) -> None:
        """Raise all faults that were found.

        Raises
        ------
        SpecError
            If there are any.
        """
        if self.faults:
            raise SpecError(self.faults)
