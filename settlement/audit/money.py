"""The checks of what is on the chain: the round as it was opened, deposits, settlement, claims."""

from __future__ import annotations

from settlement.audit.comparing import disagreement, same
from settlement.audit.findings import AuditError
from settlement.config.terms import AgreedTerms
from settlement.escrow.ledger import RoundLedger
from settlement.money.terms import net_positions_of
from settlement.round.access import ChainAccess
from settlement.round.agreed import agreed_game
from settlement.round.agreement import agreement_of
from settlement.round.funding import checked_escrow
from settlement.round.plan import plan_of
from settlement.round.transactions import round_transactions
from settlement.store.documents import (
    AllocationDocument,
    OpenedRound,
    SettlementDocument,
)
from settlement.store.folder import RoundFolder

__all__ = ["check_deposits", "check_opened", "check_settlement"]


def check_opened(folder: RoundFolder, access: ChainAccess) -> None:
    """The contract is the escrow, and the round in it was opened as agreed."""
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    with access.open(folder, terms, read_only=True) as chain:
        escrow = checked_escrow(chain, terms, opened)
        found = escrow.agreement(opened.round_id)
    if found != agreement_of(terms):
        raise AuditError(
            f"Round {opened.round_id} has the agreement 0x{found.hex()}; the terms make "
            f"0x{agreement_of(terms).hex()}."
        )


def check_deposits(folder: RoundFolder, access: ChainAccess) -> None:
    """The deposits are those that the contract's logs tell."""
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    stored = AllocationDocument.read(folder)
    with access.open(folder, terms, read_only=True) as chain:
        ledger = checked_escrow(chain, terms, opened).ledger(opened.round_id)
    same(stored, "deposits_units", list(ledger.deposits_units))


def check_settlement(folder: RoundFolder, access: ChainAccess) -> None:
    """Net positions follow from game and deposits; what moved is what the logs tell.

    Which transfers brought the net positions about does not matter: those on the chain count.
    """
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    stored, allocation = SettlementDocument.read(folder), AllocationDocument.read(folder)
    with access.open(folder, terms, read_only=True) as chain:
        escrow = checked_escrow(chain, terms, opened)
        ledger = escrow.ledger(opened.round_id)
        settlement = escrow.settlement(opened.round_id)
        planned = plan_of(escrow, terms, opened.round_id, agreed_game(folder), allocation)
        left_wei = escrow.holdings(terms.asset)
        transactions = round_transactions(escrow, opened.round_id)
    same(allocation, "deposits_units", list(ledger.deposits_units))
    same(stored, "settlement_transaction", settlement.transaction_hash.hex())
    same(stored, "settlement_block", settlement.block_number)
    same(stored, "plan_id", ledger.plan_id.hex() if ledger.plan_id else None)
    if not planned.comes_to(stored.net_positions_units):
        same(stored, "net_positions_units", list(planned.net_amounts))
    transfers = [
        {"debtor": t.debtor, "creditor": t.creditor, "amount_units": t.amount_units}
        for t in ledger.transfers
    ]
    same(stored, "transfers", transfers)
    moved = net_positions_of(ledger.transfers, len(terms.parties))
    same(stored, "net_positions_units", [net.amount_units for net in moved])
    same(
        stored, "transactions", transactions[: len(stored.transactions)]
    )  # later ones are no fault
    _check_withdrawals(terms, stored, allocation, ledger, left_wei)


def _check_withdrawals(
    terms: AgreedTerms,
    stored: SettlementDocument,
    allocation: AllocationDocument,
    ledger: RoundLedger,
    left_wei: int,
) -> None:
    """Everybody took out its deposit and net position, or can still do so."""
    # What was not withdrawn when the files were written is still claimed, or was withdrawn since.
    for party, (taken, claimed, now) in enumerate(
        zip(stored.withdrawn_units, stored.claims_units, ledger.withdrawn_units, strict=True)
    ):
        due = allocation.deposits_units[party] + stored.net_positions_units[party]
        if taken not in (0, due) or now + ledger.claims_units[party] != due:
            raise AuditError(disagreement(stored, f"withdrawn_units[{party}]", taken, due))
        if taken + claimed != due:
            raise AuditError(disagreement(stored, f"claims_units[{party}]", claimed, due - taken))
    open_wei = sum(ledger.claims_units) * terms.unit_scale
    if left_wei < open_wei:  # more is no fault: rounds of others, or gifts
        raise AuditError(
            f"The escrow holds {left_wei} of the asset's smallest units; its open claims are "
            f"{open_wei}."
        )
