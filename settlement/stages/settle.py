"""settle: payoffs to whole units, units to transfers, transfers through the escrow."""

from __future__ import annotations

from settlement.bridge import net_positions
from settlement.chain.chain import Chain, open_chain
from settlement.chain.errors import UnknownAccount
from settlement.chain.escrow import EscrowClient
from settlement.chain.typed_data import settlement_typed_data
from settlement.config import OPERATOR, party_account
from settlement.documents import AllocationDocument, OpenedRound, SettlementDocument
from settlement.errors import BrokenInvariant, SettlementError
from settlement.netting import net_transfers
from settlement.signatures import collect_signatures
from settlement.stages.context import RoundContext, gas_by_label
from settlement.terms import RoundReference, SettlementPlan, net_positions_of

__all__ = ["SignaturesMissing", "carry_out", "plan_of"]


class SignaturesMissing(SettlementError):
    """A plan that not every party has signed cannot be settled yet."""


def carry_out(context: RoundContext) -> None:
    """Execute the plan in one transaction; then every party withdraws what is its own."""
    opened = OpenedRound.read(context.folder)
    plan = plan_of(opened, AllocationDocument.read(context.folder))
    with (
        context.folder.write_stage("settle", inputs=["open", "allocate"]) as folder,
        open_chain(context.folder.chain_path, context.config.chain_spec()) as chain,
    ):
        _settle_on_chain(context, chain, opened, plan).write(folder)


def plan_of(opened: OpenedRound, allocation: AllocationDocument) -> SettlementPlan:
    """The plan that the stored figures lead to; the same for everybody who computes it."""
    positions = net_positions(allocation.payoffs, opened.deposits_units, opened.exchange_rate)
    reference = RoundReference(
        opened.chain_id, opened.escrow, opened.round_id, bytes.fromhex(opened.terms_hash)
    )
    return SettlementPlan(reference, net_transfers(positions))


def _withdraw(chain: Chain, escrow: EscrowClient, opened: OpenedRound, party: int) -> None:
    """Take out what a party has in the escrow, if it has anything and its key is at hand."""
    if not escrow.claim(opened.round_id, party):
        return
    try:
        account = chain.account(party_account(party))
    except UnknownAccount:
        return  # it withdraws by itself, whenever it likes
    escrow.withdraw(opened.round_id, party, account, account.address)


def _all_signatures(
    context: RoundContext, chain: Chain, opened: OpenedRound, plan: SettlementPlan
) -> list[bytes]:
    accounts = [party_account(party) for party in range(len(opened.parties))]
    typed_data = settlement_typed_data(plan)
    found = collect_signatures(context.folder, chain, typed_data, opened.addresses, accounts)
    missing = [opened.parties[party] for party, one in enumerate(found) if one is None]
    if missing:
        raise SignaturesMissing(
            f"{len(found) - len(missing)} of {len(found)} parties have signed the plan; missing: "
            f"{', '.join(missing)}. Let each run `fairround sign {context.folder.path} --party "
            f"NAME`, then settle again."
        )
    return [signature for signature in found if signature is not None]


def _settle_on_chain(
    context: RoundContext, chain: Chain, opened: OpenedRound, plan: SettlementPlan
) -> SettlementDocument:
    n_parties = len(opened.parties)
    n_steps = n_parties + 1
    context.progress("settle", 0, n_steps)
    escrow = EscrowClient(chain, opened.escrow)
    # What all parties have signed settles at once: no deadline has to pass.
    receipt = escrow.settle(
        plan, chain.account(OPERATOR), signatures=_all_signatures(context, chain, opened, plan)
    )
    context.progress("settle", 1, n_steps)
    positions = net_positions_of(plan.transfers, n_parties)
    for party in range(n_parties):
        _withdraw(chain, escrow, opened, party)
        context.progress("settle", 2 + party, n_steps)
    ledger = escrow.ledger(opened.round_id)
    left = chain.balance(opened.escrow)
    if left != sum(ledger.claims_units) * opened.unit_scale:
        raise BrokenInvariant(
            f"The escrow holds {left} wei; {sum(ledger.claims_units)} base units of "
            f"{opened.unit_scale} wei are claimed."
        )
    return SettlementDocument(
        plan_id=plan.plan_id.hex(),
        net_positions_units=[position.amount_units for position in positions],
        transfers=[
            {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
            for t in plan.transfers
        ],
        settlement_transaction=receipt.transaction_hash.hex(),
        settlement_block=receipt.block_number,
        withdrawn_units=list(ledger.withdrawn_units),
        escrow_balance_wei=left,
        gas=gas_by_label(chain),
    )
