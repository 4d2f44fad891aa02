"""A party that pays in less than it said."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour

__all__ = ["FundsShare"]


class FundsShare(PartyBehaviour):
    """Deposits a share of what it had announced."""

    name: ClassVar[str] = "funds_share"

    share: float = Field(0.5, ge=0, le=1)

    def funds(self, entry: Entry, game_is_true: bool) -> int:
        """The share, rounded down."""
        return int(super().funds(entry, game_is_true) * self.share)
