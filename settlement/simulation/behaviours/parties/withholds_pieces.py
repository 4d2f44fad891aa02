"""A party that keeps data back."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["WithholdsPieces"]


class WithholdsPieces(PartyBehaviour):
    """Keeps some of its pieces to itself."""

    name: ClassVar[str] = "withholds_pieces"

    keeps: int = Field(1, ge=1, le=8)  # of its pieces, the last ones

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """The first pieces; the whole wallet."""
        shown = seat.piece_list[: max(0, len(seat.piece_list) - self.keeps)]
        return (Entry(sum(shown), seat.wallet_units),)
