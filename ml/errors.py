"""Errors of float country: one child for each thing that a caller may do differently."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BrokenInvariant", "Fault", "MlError", "SpecError"]


class MlError(Exception):
    """Expected trouble in `ml`: the message says what was found, expected and what to do."""


class BrokenInvariant(MlError):
    """A property that must always hold does not: a bug, never a user's mistake."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a specification.

    ``place`` is a dotted path into the mapping, such as ``"training.epochs"`` or
    ``"party[2].labels"``; ``message`` says what was found and what was expected.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class SpecError(MlError):
    """A specification of data or training has faults; all of them are reported at once."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))
