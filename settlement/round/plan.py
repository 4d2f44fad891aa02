"""The plan that an agreed game and locked deposits lead to; the same for everybody who computes it.

Up to 64 parties net positions follow from whole numbers alone: the posted game, the deposits, the
exchange rate. The contract checks the same where a round is settled by proof. Beyond, they are the
payoffs of the allocation in base units. Which transfers bring them about does not matter to
anybody: other pairings with the same net positions are the same money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.config.terms import AgreedTerms
from settlement.errors import BrokenInvariant
from settlement.escrow.client import EscrowClient
from settlement.money.bridge import net_positions
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import Proof, prove, same_money
from settlement.posting.format import FACTOR_ONE, VALUE_SCALE
from settlement.round.agreed import AgreedGame
from settlement.store.documents import AllocationDocument

__all__ = ["RoundPlan", "plan_of"]

COST_TOLERANCE = 1e-7
"""How far what a posted factor costs may be from what the float one does, in value units."""


@dataclass(frozen=True)
class RoundPlan:
    """What a round settles, and the proof that it follows from game and deposits, if it has one."""

    deposits_units: tuple[int, ...]
    plan: SettlementPlan
    net_amounts: tuple[int, ...]
    exchange_rate: int
    proof: Proof | None

    def comes_to(self, nets: Sequence[int]) -> bool:
        """Whether net positions on the chain are these; at a tie of a proof, either division is."""
        if self.proof is None:
            return tuple(nets) == self.net_amounts
        return same_money(self.proof, nets, self.exchange_rate)


def plan_of(
    escrow: EscrowClient,
    terms: AgreedTerms,
    round_id: int,
    game: AgreedGame,
    allocation: AllocationDocument,
) -> RoundPlan:
    """Net positions that follow from what was agreed and what was locked, netted into transfers.

    Raises
    ------
    BrokenInvariant
        If the allocation's factors are not those of the proof.
    """
    deposits = allocation.deposits_units
    proof = None
    if game.posted is not None:
        proof = prove(game.posted, deposits, terms.exchange_rate)
        _check_factors(proof, allocation)
        positions = [NetPosition(party, amount) for party, amount in enumerate(proof.net_amounts)]
    else:
        positions = list(net_positions(allocation.payoffs, deposits, terms.exchange_rate))
    plan = SettlementPlan(escrow.reference(round_id), net_transfers(positions))
    nets = tuple(net.amount_units for net in positions)
    return RoundPlan(tuple(deposits), plan, nets, terms.exchange_rate, proof)


def _check_factors(proof: Proof, allocation: AllocationDocument) -> None:
    """Hold the factors in whole numbers against those in floats, from another solver.

    Costs are compared, not factors: where flows are tiny a factor says little.
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
