"""A party that enters as two, each with a part of its data."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["SplitsInTwo"]


class SplitsInTwo(PartyBehaviour):
    """Enters under two accounts that share its pieces and its budget."""

    name: ClassVar[str] = "splits_in_two"

    first_share: float = Field(0.5, ge=0, le=1)  # of the budget

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """The first half of the pieces (rounded up), and the rest."""
        pieces = seat.piece_list
        half = (len(pieces) + 1) // 2
        units = int(seat.wallet_units * self.first_share)
        return (
            Entry(sum(pieces[:half]), units),
            Entry(sum(pieces[half:]), seat.wallet_units - units),
        )
