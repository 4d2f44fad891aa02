"""A party that enters several times with the same data."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["Replicates"]


class Replicates(PartyBehaviour):
    """Enters under several accounts, each with all its pieces and an equal part of its budget."""

    name: ClassVar[str] = "replicates"

    times: int = Field(2, ge=2, le=8)

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """Equal accounts; what does not divide goes to the first."""
        part, rest = divmod(seat.wallet_units, self.times)
        return tuple(Entry(seat.pieces, part + (rest if k == 0 else 0)) for k in range(self.times))
