"""A party that enters several times with the same data."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["Replicates"]


class Replicates(PartyBehaviour):
    """Enters under several accounts, each with all its pieces and a part of its budget, or all."""

    name: ClassVar[str] = "replicates"

    times: int = Field(2, ge=2, le=8)
    whole_budgets: bool = False
    """Whether each account locks the whole budget, for a party that has no limit."""

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """Equal accounts; what does not divide goes to the first."""
        if self.whole_budgets:
            return (Entry(seat.pieces, seat.wallet_units),) * self.times
        part, rest = divmod(seat.wallet_units, self.times)
        return tuple(Entry(seat.pieces, part + (rest if k == 0 else 0)) for k in range(self.times))
