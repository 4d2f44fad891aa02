"""The funding of a round: what each party locks, and when no deposit can change any more."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from settlement.chain.chain import Chain
from settlement.chain.errors import ClockError
from settlement.config.schema import units_of
from settlement.config.terms import AgreedTerms
from settlement.errors import SettlementError, Waiting
from settlement.escrow.checks import check_contract, check_round
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundState
from settlement.escrow.reader import EscrowError
from settlement.naming import listed
from settlement.round.agreed import AgreedGame
from settlement.round.agreement import agreement_of, contract_terms
from settlement.round.words import moment_in_words
from settlement.store.documents import OpenedRound

__all__ = [
    "Budget",
    "FundingOpen",
    "RoundAbandoned",
    "budget_in_units",
    "checked_escrow",
    "final_deposits",
]

Budget = Decimal | int | None
"""A limit in units of value, one in base units, or none."""


class FundingOpen(Waiting):
    """Deposits can still change: not every party has said that it is done, and there is time."""


class RoundAbandoned(SettlementError):
    """The round will not be settled: every party takes its deposit back."""


def budget_in_units(budget: Budget, game: AgreedGame, party: int, exchange_rate: int) -> int:
    """Base units that a party locks for a budget.

    Without a limit it locks the most that it can owe in this game, its whole cost v(N) - v(i)
    rounded up: whatever the others lock, it can never be asked for more.

    Raises
    ------
    BridgeError
        If that is more than a deposit can hold.
    """
    if budget is None:
        budget = game.cost_units(party, exchange_rate)
    return units_of(budget, exchange_rate)


def checked_escrow(chain: Chain, terms: AgreedTerms, opened: OpenedRound) -> EscrowClient:
    """The round's contract, after comparing its code and the round in it with what was agreed.

    Raises
    ------
    EscrowError
        If the contract is another, the round in it was opened otherwise, or the round's file names
        another place or agreement than the terms.
    """
    escrow = EscrowClient(chain, terms.escrow)
    check_contract(escrow)
    check_round(escrow, opened.round_id, contract_terms(terms), terms.addresses)
    for name, agreed in (
        ("chain_id", terms.chain_id),
        ("escrow", terms.escrow),
        ("terms_hash", terms.hash.hex()),
        ("agreement", agreement_of(terms).hex()),
    ):
        if getattr(opened, name) != agreed:
            raise EscrowError(
                f"{opened.STAGE}/{opened.FILE}: {name} is {getattr(opened, name)!s:.80}; the terms "
                f"beside it give {agreed}. Deposit nothing in it."
            )
    return escrow


def final_deposits(chain: Chain, terms: AgreedTerms, opened: OpenedRound) -> list[int]:
    """What every party has locked, once it can change no more; base units.

    A simulated clock goes on to the deadline; on a real chain the caller has to wait.

    Raises
    ------
    FundingOpen, RoundAbandoned
    """
    escrow, round_id = checked_escrow(chain, terms, opened), opened.round_id
    if escrow.state(round_id) < RoundState.SETTLING:
        if not escrow.funding_has_ended(round_id):
            _wait_for_funding(chain, terms, escrow.ledger(round_id).closed)
        _check_alive(chain, terms, escrow, round_id)
    return list(escrow.ledger(round_id).deposits_units)


def _wait_for_funding(chain: Chain, terms: AgreedTerms, closed: Collection[int]) -> None:
    try:
        chain.advance_to(terms.funding_deadline + 1)
    except ClockError:
        names = listed(
            [name for party, name in enumerate(terms.party_names) if party not in closed]
        )
        raise FundingOpen(
            f"Deposits can change until {moment_in_words(terms.funding_deadline)}, or until every "
            f"party has said that it is done. Not yet: {names}. Each does so with `fairround "
            f"deposit` or `fairround close`; then run this again."
        ) from None


def _check_alive(chain: Chain, terms: AgreedTerms, escrow: EscrowClient, round_id: int) -> None:
    """Whether the round can still be settled."""
    locked = sum(escrow.ledger(round_id).deposits_units)
    out = "Every party takes its deposit back with `fairround withdraw`."
    if locked < terms.quorum_units:
        raise RoundAbandoned(
            f"Abandoned: {locked:,} base units were locked; the terms want {terms.quorum_units:,}. "
            f"{out}"
        )
    if chain.timestamp() > terms.settlement_deadline:
        raise RoundAbandoned(f"Expired: it was not settled before its deadline. {out}")
