"""The plan that a round's stored figures lead to; the same for everybody who computes it.

Where all parties sign, payoffs become whole units at the bridge. Where an operator posts the
allocation instead, the contract must be able to recompute every unit, so the net positions
are those that follow from the posted whole numbers. Both are within one unit of the exact figures.
An allocation that cannot be posted loses no round: its plan is the one that all sign.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from settlement.config.reading import RoundConfig
from settlement.errors import BrokenInvariant
from settlement.escrow.typed_data import settlement_typed_data
from settlement.money.bridge import net_positions
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, RoundReference, SettlementPlan
from settlement.posting.check import check_posting, hash_of_caps, net_amounts, post_allocation
from settlement.posting.format import FACTOR_ONE, MAX_EXACT_PARTIES, Posting, PostingError
from settlement.store.documents import AllocationDocument, OpenedRound, ValueDocument
from settlement.store.folder import RoundFolder

__all__ = ["RoundPlan", "plan_of"]

COST_TOLERANCE = 1e-7
"""How far what a posted factor costs may be from what the float one does, in value units."""


@dataclass(frozen=True)
class RoundPlan:
    """What a round settles, and on what the escrow may carry it out.

    ``posting`` is what the operator posts; None if all parties sign the plan. ``not_posted`` says
    why a round whose terms name the optimistic way is signed all the same; else None.
    ``table_hash`` names the value table on the chain: the posted one as the contract reads it, or,
    where nobody but people reads it, ``train/values.json`` as ``sha256sum`` prints it.
    """

    plan: SettlementPlan
    posting: Posting | None
    not_posted: str | None
    table_hash: bytes

    def typed_data(self) -> dict[str, Any]:
        """What every party signs, EIP-712."""
        return settlement_typed_data(self.plan, self.table_hash)


def plan_of(folder: RoundFolder, config: RoundConfig) -> RoundPlan:
    """Net the stored allocation of a round into transfers."""
    opened = OpenedRound.read(folder)
    allocation = AllocationDocument.read(folder)
    posting = not_posted = None
    if opened.settlement == "optimistic":
        try:
            posting = _posting_of(config, opened, ValueDocument.read(folder), allocation)
        except PostingError as error:
            not_posted = str(error)
    if posting is None:
        positions = net_positions(allocation.payoffs, opened.deposits_units, opened.exchange_rate)
        values = folder.stage(ValueDocument.STAGE) / ValueDocument.FILE
        table_hash = hashlib.sha256(values.read_bytes()).digest()
    else:
        table_hash = posting.table_hash
        amounts = net_amounts(posting, opened.exchange_rate)
        # What the contract would say, before a bond is at stake.
        caps_hash = hash_of_caps(config.caps)
        deposits, rate = opened.deposits_units, opened.exchange_rate
        if fault := check_posting(posting, amounts, deposits, rate, caps_hash):
            raise BrokenInvariant(f"Our own posting breaks rule {fault.name}; nothing was posted.")
        positions = tuple(NetPosition(party, amount) for party, amount in enumerate(amounts))
    reference = RoundReference(
        opened.chain_id, opened.escrow, opened.round_id, bytes.fromhex(opened.terms_hash)
    )
    plan = SettlementPlan(reference, net_transfers(positions))
    return RoundPlan(plan, posting, not_posted, table_hash)


def _posting_of(
    config: RoundConfig,
    opened: OpenedRound,
    values: ValueDocument,
    allocation: AllocationDocument,
) -> Posting:
    """The stored allocation as whole numbers that the contract can recompute."""
    if len(opened.parties) <= MAX_EXACT_PARTIES and values.coalitions is None:
        posting = post_allocation(
            opened.deposits_units, opened.exchange_rate, values=values.values, wanted=config.caps
        )
    else:
        posting = post_allocation(
            opened.deposits_units,
            opened.exchange_rate,
            flows=allocation.flows,
            grand_value=values.grand_value,
            wanted=config.caps,
        )
    for party, (posted, stored, flows) in enumerate(
        zip(posting.factors, allocation.adjustment_factors, allocation.flows, strict=True)
    ):
        # Costs, not factors: where the flows are tiny, rounding the table to 1e-15 moves factors.
        if abs(posted / FACTOR_ONE - stored) * sum(flows) > COST_TOLERANCE:
            raise BrokenInvariant(
                f"Party {party} would be posted with factor {posted / FACTOR_ONE}; its factor is "
                f"{stored}.",
                party=party,
            )
    return posting
