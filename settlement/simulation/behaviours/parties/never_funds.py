"""A party that is registered and never pays in."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour

__all__ = ["NeverFunds"]


class NeverFunds(PartyBehaviour):
    """Never deposits: its budget is 0."""

    name: ClassVar[str] = "never_funds"

    def funds(self, entry: Entry, game_is_true: bool) -> int:
        """Nothing."""
        return 0

    def closes(self, game_is_true: bool) -> bool:
        """It says nothing at all; the others wait for the deadline."""
        return False
