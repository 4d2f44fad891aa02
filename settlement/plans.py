"""The plan that a round's stored figures lead to; the same for everybody who computes it.

Where all parties sign, payoffs become whole units at the bridge. Where an operator posts the
allocation instead, the contract must be able to recompute every unit, so the net positions
are those that follow from the posted whole numbers. Both are within one unit of the exact figures.
"""

from __future__ import annotations

import hashlib

from settlement.bridge import net_positions
from settlement.config import RoundConfig
from settlement.documents import AllocationDocument, OpenedRound, ValueDocument
from settlement.errors import BrokenInvariant
from settlement.netting import net_transfers
from settlement.posting import (
    FACTOR_ONE,
    MAX_EXACT_PARTIES,
    Posting,
    net_amounts,
    post_allocation,
)
from settlement.store import RoundFolder
from settlement.terms import NetPosition, RoundReference, SettlementPlan

__all__ = ["plan_of", "posting_of", "table_hash_of"]

FACTOR_TOLERANCE = 1e-6
"""How far a posted factor may be from the float one: the table is rounded to 1e-15 a value."""


def plan_of(folder: RoundFolder, config: RoundConfig) -> SettlementPlan:
    """Net the stored allocation of a round into transfers."""
    opened = OpenedRound.read(folder)
    if opened.settlement == "optimistic":
        amounts = net_amounts(posting_of(folder, config), opened.exchange_rate)
        positions = tuple(NetPosition(party, amount) for party, amount in enumerate(amounts))
    else:
        payoffs = AllocationDocument.read(folder).payoffs
        positions = net_positions(payoffs, opened.deposits_units, opened.exchange_rate)
    reference = RoundReference(
        opened.chain_id, opened.escrow, opened.round_id, bytes.fromhex(opened.terms_hash)
    )
    return SettlementPlan(reference, net_transfers(positions))


def table_hash_of(folder: RoundFolder, config: RoundConfig) -> bytes:
    """What names the value table on the chain, whichever way the round settles.

    The optimistic way commits to the table as the contract reads it. Where all sign, nobody but
    people reads it: SHA-256 of ``train/values.json``, as ``sha256sum`` prints it.
    """
    if OpenedRound.read(folder).settlement == "optimistic":
        return posting_of(folder, config).table_hash
    path = folder.stage(ValueDocument.STAGE) / ValueDocument.FILE
    return hashlib.sha256(path.read_bytes()).digest()


def posting_of(folder: RoundFolder, config: RoundConfig) -> Posting:
    """The stored allocation as whole numbers that the contract can recompute.

    Raises
    ------
    PostingError
        If it cannot be posted; see `settlement.posting`.
    BrokenInvariant
        If the posted factors are not the stored ones.
    """
    opened, values = OpenedRound.read(folder), ValueDocument.read(folder)
    allocation = AllocationDocument.read(folder)
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
    for party, (posted, stored) in enumerate(
        zip(posting.factors, allocation.adjustment_factors, strict=True)
    ):
        if abs(posted / FACTOR_ONE - stored) > FACTOR_TOLERANCE:
            raise BrokenInvariant(
                f"Party {party} would be posted with factor {posted / FACTOR_ONE}; its factor is "
                f"{stored}."
            )
    return posting
