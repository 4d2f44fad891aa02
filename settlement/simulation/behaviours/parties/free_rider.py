"""A party that brings nothing."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["FreeRider"]


class FreeRider(PartyBehaviour):
    """Brings no data and no money, and hopes for a model."""

    name: ClassVar[str] = "free_rider"

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """An empty account."""
        return (Entry(0, 0),)
