"""What is compared before money moves: the contract, the round and the plan.

The contract checks what it can again; its own code, and what a party agreed to, it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from settlement.errors import PlanError
from settlement.escrow.deployment import DeploymentError, check_deployment
from settlement.escrow.events import RoundTerms
from settlement.escrow.reader import EscrowError, EscrowReader
from settlement.money.terms import SettlementPlan

__all__ = ["check_contract", "check_parties", "check_plan", "check_round"]


def check_contract(escrow: EscrowReader) -> None:
    """Refuse an escrow with other code or at another address than this version's.

    Raises
    ------
    EscrowError
        With what was found and what it means.
    """
    try:
        check_deployment(escrow.chain, escrow.address)
    except DeploymentError as error:
        raise EscrowError(str(error)) from None


def check_round(
    escrow: EscrowReader, round_id: int, terms: RoundTerms, parties: Sequence[str]
) -> None:
    """Compare a round on the chain with what a party agrees to, figure by figure.

    The contract refuses a deposit that names another agreement, `RoundTerms.agreement`; this says
    beforehand which figure is another.

    Raises
    ------
    EscrowError
        With every difference.
    """
    found = escrow.terms(round_id)
    pairs = [(f.name, getattr(found, f.name), getattr(terms, f.name)) for f in fields(terms)]
    ledger = escrow.ledger(round_id)
    pairs.append(("parties", ledger.parties, tuple(parties)))
    agreed = found.agreement(escrow.chain.chain_id, escrow.address, ledger.operator, parties)
    pairs.append(("the agreement", escrow.agreement(round_id), agreed))
    different = [
        f"{name} is {_shown(here)}; expected {_shown(wanted)}"
        for name, here, wanted in pairs
        if here != wanted
    ]
    if different:
        raise EscrowError(
            f"Round {round_id} of the escrow {escrow.address} was not opened as agreed: "
            f"{'; '.join(different)}. Deposit nothing in it."
        )


def _shown(figure: object) -> str:
    if isinstance(figure, bytes):
        return f"0x{figure.hex()}"
    return ", ".join(figure) if isinstance(figure, tuple) else str(figure)


def check_parties(terms: RoundTerms, parties: Sequence[str]) -> None:
    """Two parties or more, as many as the terms say, and none of them twice.

    Raises
    ------
    EscrowError
    """
    if not 2 <= len(parties) == terms.n_parties:
        raise EscrowError(
            f"A round of {len(parties)} parties on terms for {terms.n_parties}; expected the same "
            "number, 2 or more."
        )
    seen: dict[str, int] = {}
    for party, address in enumerate(parties):
        earlier = seen.setdefault(address.lower(), party)
        if earlier != party:
            raise EscrowError(f"Parties {earlier} and {party} are both {address}.")


def check_plan(escrow: EscrowReader, plan: SettlementPlan) -> None:
    """The contract's rules of a plan, held against the deposits that its logs tell.

    Raises
    ------
    PlanError
    """
    round_id = plan.round.round_id
    if plan.round != escrow.reference(round_id):
        raise PlanError(
            f"The plan is for {plan.round}; this is {escrow.reference(round_id)}. "
            "Make the plan again for this round."
        )
    ledger = escrow.ledger(round_id)
    n_parties = len(ledger.parties)
    paid = [0] * n_parties
    received = set()
    for transfer in plan.transfers:
        if max(transfer.debtor, transfer.creditor) >= n_parties:
            raise PlanError(f"{transfer} in a round of {n_parties} parties.")
        paid[transfer.debtor] += transfer.amount_units
        received.add(transfer.creditor)
    for party, (units, deposit) in enumerate(zip(paid, ledger.deposits_units, strict=True)):
        if units > deposit:
            raise PlanError(f"Party {party} would pay {units} of {deposit} base units.")
        if units and party in received:
            raise PlanError(
                f"Party {party} would pay {units} base units and receive some; net the plan."
            )
