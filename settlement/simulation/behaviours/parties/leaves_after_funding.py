"""A party that locks its deposit and is never seen again."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import PartyBehaviour

__all__ = ["LeavesAfterFunding"]


class LeavesAfterFunding(PartyBehaviour):
    """Deposits, then neither signs nor settles nor takes its money out."""

    name: ClassVar[str] = "leaves_after_funding"

    def stays(self) -> bool:
        """It does not."""
        return False
