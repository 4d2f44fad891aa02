"""A party that signs nothing."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import PartyBehaviour, Proposal

__all__ = ["RefusesToSign"]


class RefusesToSign(PartyBehaviour):
    """Deposits, but signs no plan; by proof that stops nobody."""

    name: ClassVar[str] = "refuses_to_sign"

    revoking: bool = False
    """Whether it signs first and takes the signature back before it is used."""

    def signs(self, proposal: Proposal) -> bool:
        """Never in earnest."""
        return self.revoking

    def revokes(self) -> bool:
        """As its parameter says."""
        return self.revoking
