"""The two ways in which a plan reaches the chain: all parties sign it, or nobody disproves it."""

from __future__ import annotations

from settlement.chain.chain import Chain
from settlement.chain.records import Log
from settlement.config.reading import OPERATOR, party_account
from settlement.errors import BrokenInvariant, SettlementError
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import Challenged, Proposed
from settlement.money.terms import SettlementPlan
from settlement.posting.format import Fault, Posting
from settlement.round.context import RoundContext
from settlement.round.plan import RoundPlan
from settlement.round.signatures import collect_signatures
from settlement.store.documents import OpenedRound

__all__ = ["ProposalDisproved", "SignaturesMissing", "settle_optimistically", "settle_unanimously"]


class SignaturesMissing(SettlementError):
    """A plan that not every party has signed cannot be settled yet."""


class ProposalDisproved(SettlementError):
    """The posted allocation was disproved on the chain: the round is void, deposits go back."""


def settle_unanimously(
    context: RoundContext, chain: Chain, opened: OpenedRound, planned: RoundPlan
) -> Log:
    """What all parties have signed settles at once: no deadline has to pass.

    The contract takes such a plan whatever way the terms name, so this is also the way on for an
    allocation that cannot be posted.

    Raises
    ------
    SignaturesMissing
        If a party has not signed and its key is not at hand.
    """
    accounts = [party_account(party) for party in range(len(opened.parties))]
    found = collect_signatures(
        context.folder, chain, planned.typed_data(), opened.addresses, accounts
    )
    signatures = [signature for signature in found if signature is not None]
    if len(signatures) < len(found):
        names = zip(opened.parties, found, strict=True)
        missing = ", ".join(name for name, signature in names if signature is None)
        why = f" It cannot be posted instead: {planned.not_posted}" if planned.not_posted else ""
        raise SignaturesMissing(
            f"{len(signatures)} of {len(found)} parties have signed the plan; missing: {missing}. "
            f"Let each run `fairround sign {context.folder.path} --party NAME`, then settle "
            f"again.{why}"
        )
    escrow = EscrowClient(chain, opened.escrow)
    operator, table_hash = chain.account(OPERATOR), planned.table_hash
    return escrow.settle(planned.plan, operator, signatures=signatures, table_hash=table_hash)


def settle_optimistically(
    chain: Chain, opened: OpenedRound, plan: SettlementPlan, posting: Posting
) -> Log:
    """Post table, allocation and plan with a bond; carry out what nobody disproves in time.

    On the in-process chain the clock is simulated and jumps to each deadline.

    Raises
    ------
    ClockError
        On a chain that keeps real time: repeat the command when the deadline named has passed.
    ProposalDisproved
        If the chain found a posted figure wrong.
    """
    escrow, operator = EscrowClient(chain, opened.escrow), chain.account(OPERATOR)
    _refuse_disproved(escrow, opened)
    if f"propose/{opened.round_id}" not in chain.labels():
        chain.advance_to(opened.funding_deadline + 1)  # deposits can change no more
    escrow.commit_table(opened.round_id, operator, posting.table_hash)
    escrow.propose(plan, operator, posting)
    if fault := escrow.fault(opened.round_id):
        raise BrokenInvariant(f"Our own proposal breaks rule {fault.name}; expected none.")
    (proposed,) = (e for e in escrow.events(opened.round_id) if isinstance(e, Proposed))
    chain.advance_to(proposed.window_end + 1)
    _refuse_disproved(escrow, opened)
    settlement = escrow.carry_out(plan, operator)
    escrow.withdraw_bond(operator, operator.address, label=f"operator/{opened.round_id}")
    return settlement


def _refuse_disproved(escrow: EscrowClient, opened: OpenedRound) -> None:
    for event in escrow.events(opened.round_id):
        if isinstance(event, Challenged) and event.fault:
            raise ProposalDisproved(
                f"{event.challenger} disproved the proposal of round {opened.round_id}: "
                f"{Fault(event.fault).name}. The round is void; every party can withdraw its "
                f"deposit."
            )
