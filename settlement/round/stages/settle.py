"""settle: payoffs to whole units, units to transfers, transfers through the escrow."""

from __future__ import annotations

from settlement.chain.chain import Chain
from settlement.chain.errors import UnknownAccount
from settlement.config.reading import party_account
from settlement.errors import BrokenInvariant
from settlement.escrow.client import EscrowClient
from settlement.money.terms import net_positions_of
from settlement.round.context import RoundContext, gas_by_label
from settlement.round.plan import RoundPlan, plan_of
from settlement.round.stages.ways import settle_optimistically, settle_unanimously
from settlement.store.documents import OpenedRound, SettlementDocument

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Execute the plan, all or nothing; then every party withdraws what is its own."""
    opened = OpenedRound.read(context.folder)
    planned = plan_of(context.folder, context.config)
    with (
        context.folder.write_stage("settle", inputs=["open", "train", "allocate"]) as folder,
        context.open_chain() as chain,
    ):
        _settle_on_chain(context, chain, opened, planned).write(folder)


def _withdraw(chain: Chain, escrow: EscrowClient, opened: OpenedRound, party: int) -> None:
    """Take out what a party has in the escrow, if it has anything and its key is at hand."""
    if not escrow.claim(opened.round_id, party):
        return
    try:
        account = chain.account(party_account(party))
    except UnknownAccount:
        return  # it withdraws by itself, whenever it likes
    escrow.withdraw(opened.round_id, party, account, account.address)


def _settle_on_chain(
    context: RoundContext, chain: Chain, opened: OpenedRound, planned: RoundPlan
) -> SettlementDocument:
    plan, n_parties = planned.plan, len(opened.parties)
    n_steps = n_parties + 1
    context.progress("settle", 0, n_steps)
    escrow = EscrowClient(chain, opened.escrow)
    if planned.posting is None:
        settlement = settle_unanimously(context, chain, opened, planned)
    else:
        settlement = settle_optimistically(chain, opened, plan, planned.posting)
    context.progress("settle", 1, n_steps)
    positions = net_positions_of(plan.transfers, n_parties)
    for party in range(n_parties):
        _withdraw(chain, escrow, opened, party)
        context.progress("settle", 2 + party, n_steps)
    ledger = escrow.ledger(opened.round_id)
    left = chain.balance(opened.escrow)
    if left < sum(ledger.claims_units) * opened.unit_scale:  # more: rounds of others, or gifts
        raise BrokenInvariant(
            f"The escrow holds {left} wei; {sum(ledger.claims_units)} base units of "
            f"{opened.unit_scale} wei are claimed."
        )
    return SettlementDocument(
        plan_id=plan.plan_id.hex(),
        not_posted=planned.not_posted,
        net_positions_units=[position.amount_units for position in positions],
        transfers=[
            {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
            for t in plan.transfers
        ],
        settlement_transaction=settlement.transaction_hash.hex(),
        settlement_block=settlement.block_number,
        withdrawn_units=list(ledger.withdrawn_units),
        escrow_balance_wei=left,
        gas=gas_by_label(chain),
        journal_lines=len(chain.journal.entries),
        journal_digest=chain.journal.digest,
    )
