"""A party that pretends to be poorer than it is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["HidesBudget"]


class HidesBudget(PartyBehaviour):
    """Enters with a share of its budget and keeps the rest."""

    name: ClassVar[str] = "hides_budget"

    shows: float = Field(0.5, ge=0, le=1)

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """All pieces, a part of the wallet."""
        return (Entry(seat.pieces, int(seat.wallet_units * self.shows)),)
