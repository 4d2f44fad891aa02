"""The plan that an agreed game and locked deposits lead to; the same for everybody who computes it.

Net positions follow from whole numbers alone: the posted game, the deposits, the exchange rate. The
contract checks the same where a round is settled by proof. Which transfers bring them about does
not matter to anybody: other pairings with the same net positions are the same money.
"""

from __future__ import annotations

from dataclasses import dataclass

from settlement.config.terms import AgreedTerms
from settlement.errors import BrokenInvariant
from settlement.escrow.client import EscrowClient
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import Proof, prove
from settlement.posting.format import FACTOR_ONE, VALUE_SCALE
from settlement.round.game import stored_game
from settlement.store.documents import AllocationDocument, GameDocument

__all__ = ["RoundPlan", "check_factors", "plan_of"]

COST_TOLERANCE = 1e-7
"""How far what a posted factor costs may be from what the float one does, in value units."""


@dataclass(frozen=True)
class RoundPlan:
    """What a round settles, and the proof that it follows from game and deposits."""

    plan: SettlementPlan
    proof: Proof


def plan_of(
    escrow: EscrowClient,
    terms: AgreedTerms,
    round_id: int,
    game: GameDocument,
    deposits_units: list[int],
) -> RoundPlan:
    """Net positions that follow from what was agreed and what was locked, netted into transfers."""
    proof = prove(stored_game(game), deposits_units, terms.exchange_rate)
    positions = [NetPosition(party, amount) for party, amount in enumerate(proof.net_amounts)]
    return RoundPlan(SettlementPlan(escrow.reference(round_id), net_transfers(positions)), proof)


def check_factors(proof: Proof, allocation: AllocationDocument) -> None:
    """Hold the factors in whole numbers against those in floats, from another solver.

    Costs are compared, not factors: where flows are tiny a factor says little.

    Raises
    ------
    BrokenInvariant
    """
    unit = proof.game.scale * VALUE_SCALE
    for party, (factor, stored, cost) in enumerate(
        zip(proof.factors, allocation.adjustment_factors, proof.game.costs, strict=True)
    ):
        if abs(factor / FACTOR_ONE - stored) * cost / unit > COST_TOLERANCE:
            raise BrokenInvariant(
                f"Party {party} has the factor {factor / FACTOR_ONE} in whole numbers and {stored} "
                f"in floats; expected costs within {COST_TOLERANCE} units of value."
            )
