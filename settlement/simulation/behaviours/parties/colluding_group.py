"""Parties that act as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour, Proposal, Seat

__all__ = ["ColludingGroup"]


class ColludingGroup(PartyBehaviour):
    """Pools the group's budgets with whoever owes most, and signs last, if the group gains."""

    name: ClassVar[str] = "colluding_group"

    group: str = "group"

    @property
    def team(self) -> str:
        """The group's name."""
        return self.group

    def enter_together(self, seats: Sequence[Seat]) -> list[tuple[Entry, ...]]:
        """All pieces of everybody; all money with the member that owes most, up to its debt."""
        left = sum(seat.wallet_units for seat in seats)
        deposits = dict.fromkeys(range(len(seats)), 0)
        costs = [seat.grand_cost() * seat.exchange_rate for seat in seats]
        for k in sorted(deposits, key=lambda k: (-costs[k], k)):
            deposits[k] = min(left, int(costs[k]) + 1)
            left -= deposits[k]
        return [(Entry(seat.pieces, deposits[k]),) for k, seat in enumerate(seats)]

    def signs(self, proposal: Proposal) -> bool:
        """Once all others have; and only what does not cost the group anything."""
        return proposal.is_last and proposal.group_gain >= 0 and proposal.is_right
