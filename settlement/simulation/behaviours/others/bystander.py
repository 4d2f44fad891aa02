"""Somebody without a seat who is faster than the operator."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import OutsiderBehaviour

__all__ = ["Bystander"]


class Bystander(OutsiderBehaviour):
    """Brings the true settlement before the operator does."""

    name: ClassVar[str] = "bystander"

    def settles_first(self) -> bool:
        """It does."""
        return True
