"""A party that tries what would have been best."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Seat

__all__ = ["BestReply"]


class BestReply(PartyBehaviour):
    """Enters as would have been best against what the others did in the last round.

    It tries a grid of deposits, each with every number of its pieces, first to last. In the first
    round the others are taken to be honest.
    """

    name: ClassVar[str] = "best_reply"

    grid: int = Field(11, ge=2, le=1_001)  # deposits, from nothing to the whole wallet
    least_gain: float = Field(1.0, ge=0)  # base units that make it change its mind

    def enter(self, seat: Seat) -> tuple[Entry, ...]:
        """The best of the grid; the last choice, or honesty, unless something beats it."""
        best = seat.last or seat.honest
        utility = seat.prospect(best)
        pieces = seat.piece_list
        for n_shown in range(len(pieces), 0, -1):
            for step in range(self.grid - 1, -1, -1):
                units = seat.wallet_units * step // (self.grid - 1)
                tried = (Entry(sum(pieces[:n_shown]), units),)
                found = seat.prospect(tried)
                if found > utility + self.least_gain:
                    best, utility = tried, found
        return best
