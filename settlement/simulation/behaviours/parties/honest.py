"""The honest party."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import PartyBehaviour

__all__ = ["Honest"]


class Honest(PartyBehaviour):
    """Brings all it has, locks its whole budget, and signs what is right."""

    name: ClassVar[str] = "honest"
