"""settle: payoffs to whole units, units to transfers, transfers through the escrow."""

from __future__ import annotations

from settlement.bridge import net_positions
from settlement.documents import AllocationDocument, OpenedRound
from settlement.netting import net_transfers
from settlement.terms import RoundReference, SettlementPlan

__all__ = ["carry_out", "plan_of"]


def plan_of(opened: OpenedRound, allocation: AllocationDocument) -> SettlementPlan:
    """The plan that the stored figures lead to; the same for everybody who computes it."""
    positions = net_positions(allocation.payoffs, opened.deposits_units, opened.exchange_rate)
    reference = RoundReference(
        opened.chain_id, opened.escrow, opened.round_id, bytes.fromhex(opened.terms_hash)
    )
    return SettlementPlan(reference, net_transfers(positions))
