"""A party that signs nothing."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import PartyBehaviour, Proposal

__all__ = ["RefusesToSign"]


class RefusesToSign(PartyBehaviour):
    """Deposits, but signs no plan; by proof that stops nobody."""

    name: ClassVar[str] = "refuses_to_sign"

    def signs(self, proposal: Proposal) -> bool:
        """Never."""
        return False
