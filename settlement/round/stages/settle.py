"""settle: net positions from whole numbers, transfers through the escrow, everybody paid out.

Whoever carries this stage out only pays for gas: the contract checks the proof, or all signatures,
and pays to addresses that the parties fixed themselves. If somebody else has settled the round
already, what is on the chain is taken.
"""

from __future__ import annotations

from settlement.chain.chain import Chain
from settlement.errors import BrokenInvariant, Waiting
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundState
from settlement.escrow.ledger import RoundLedger
from settlement.money.terms import net_positions_of
from settlement.naming import listed
from settlement.round.agreed import agreed_game
from settlement.round.context import RoundContext
from settlement.round.funding import checked_escrow, final_deposits
from settlement.round.plan import RoundPlan, plan_of
from settlement.round.signatures import collect_signatures
from settlement.round.transactions import round_transactions
from settlement.store.documents import AllocationDocument, SettlementDocument

__all__ = ["SignaturesMissing", "carry_out"]


class SignaturesMissing(Waiting):
    """A plan that not every party has signed cannot be settled yet."""


def carry_out(context: RoundContext) -> None:
    """Execute the plan, all or nothing; then pay out whoever has named an address for it.

    Raises
    ------
    SignaturesMissing
    """
    allocation = AllocationDocument.read(context.folder)
    with (
        context.folder.write_stage("settle", inputs=["train", "open", "allocate"]) as folder,
        context.open_chain() as chain,
    ):
        _settle_on_chain(context, chain, allocation).write(folder)


def _settle_on_chain(
    context: RoundContext, chain: Chain, allocation: AllocationDocument
) -> SettlementDocument:
    terms, round_id = context.terms, context.opened.round_id
    context.progress("settle", 0, 2)
    escrow = checked_escrow(chain, terms, context.opened)
    deposits = final_deposits(chain, terms, context.opened)
    if deposits != allocation.deposits_units:
        raise BrokenInvariant(
            f"The chain holds the deposits {deposits!s:.400}; allocate/ was made of "
            f"{allocation.deposits_units!s:.400}. Remove allocate/ and allocate again."
        )
    planned = plan_of(escrow, terms, round_id, agreed_game(context.folder), allocation)
    if escrow.state(round_id) < RoundState.SETTLED:
        _send(context, chain, escrow, planned)
    context.progress("settle", 1, 2)
    ledger = escrow.ledger(round_id)
    nets = [net.amount_units for net in net_positions_of(ledger.transfers, len(deposits))]
    if terms.settlement == "proof" and not planned.comes_to(nets):
        raise BrokenInvariant(
            f"The contract took the net positions {nets}; {list(planned.net_amounts)} follow "
            f"from the game and the deposits."
        )
    _pay_out(context, chain, escrow, ledger)
    context.progress("settle", 2, 2)
    return _document(context, chain, escrow, nets)


def _send(context: RoundContext, chain: Chain, escrow: EscrowClient, planned: RoundPlan) -> None:
    terms, sender = context.terms, context.sending_account(chain)
    if terms.settlement == "proof" and planned.proof is not None:
        escrow.settle_by_proof(planned.plan, sender, planned.proof)
        return
    consent = escrow.consent(planned.plan, planned.deposits_units)
    found = collect_signatures(context.folder, chain, escrow, consent, terms.party_names)
    signatures = [signature for signature in found if signature is not None]
    if len(signatures) < len(found):
        names = zip(terms.party_names, found, strict=True)
        missing = listed([name for name, signature in names if signature is None])
        raise SignaturesMissing(
            f"{len(signatures)} of {len(found)} parties have signed the plan; missing: {missing}. "
            f"Each runs `fairround sign {context.folder.path} --party NAME` and hands over the "
            f"file; then settle again."
        )
    escrow.settle(consent, sender, signatures)


def _pay_out(
    context: RoundContext, chain: Chain, escrow: EscrowClient, ledger: RoundLedger
) -> None:
    """Pay whoever has named an address and has something; it costs the sender gas alone."""
    round_id = context.opened.round_id
    due = [
        party
        for party, units in enumerate(ledger.claims_units)
        if units and escrow.seat(round_id, party).payout is not None
    ]
    if due:
        escrow.pay_out(round_id, context.sending_account(chain), due)


def _document(
    context: RoundContext, chain: Chain, escrow: EscrowClient, nets: list[int]
) -> SettlementDocument:
    terms, round_id = context.terms, context.opened.round_id
    ledger, settlement = escrow.ledger(round_id), escrow.settlement(round_id)
    left_wei = escrow.holdings(terms.asset)
    if left_wei < sum(ledger.claims_units) * terms.unit_scale:  # more: rounds of others, or gifts
        raise BrokenInvariant(
            f"The escrow holds {left_wei} of the asset's smallest units; "
            f"{sum(ledger.claims_units)} base units of {terms.unit_scale} are claimed."
        )
    assert ledger.plan_id is not None
    return SettlementDocument(
        plan_id=ledger.plan_id.hex(),
        net_positions_units=nets,
        transfers=[
            {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
            for t in ledger.transfers
        ],
        settlement_transaction=settlement.transaction_hash.hex(),
        settlement_block=settlement.block_number,
        withdrawn_units=list(ledger.withdrawn_units),
        claims_units=list(ledger.claims_units),
        transactions=round_transactions(escrow, round_id),
        journal_start=chain.journal.entries[0].digest,
        journal_lines=len(chain.journal.entries),
        journal_digest=chain.journal.digest,
    )
