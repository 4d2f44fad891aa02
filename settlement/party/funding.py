"""A party's deposit, which is its consent to the game, and its word that it is done."""

from __future__ import annotations

from typing import Any

from settlement.errors import SettlementError
from settlement.escrow import gas_limits
from settlement.escrow.events import ETHER, NOBODY
from settlement.party.consent import check_consent, keep_copy
from settlement.party.desk import Action, PartyDesk
from settlement.party.quote import quote_in_words
from settlement.round.agreed import agreed_game
from settlement.round.funding import Budget, budget_in_units
from settlement.round.tokens import check_token, lock
from settlement.round.words import moment_in_words

__all__ = ["FundingEnded", "close", "deposit"]

ALLOWING = (
    "  Before that you allow the escrow to take so much of the token: by a signature (ERC-2612) if "
    "the token knows it, else by a transaction."
)


class FundingEnded(SettlementError):
    """The round takes no more deposits, or none of this party."""


def deposit(desk: PartyDesk, budget: Budget, payout: str | None, *, last: bool) -> Action:
    """Lock a budget, after checking values, game and terms; and keep a copy of them.

    Parameters
    ----------
    budget
        Without a limit the most that the party can owe in this game is locked.
    payout
        Where anybody may have the party paid out; None: nowhere, the party withdraws by itself.
    last
        Whether the party says at once that it will deposit no more.

    Raises
    ------
    AuditError
        If what the deposit would agree to does not hold together.
    FundingEnded
    NoToken
    """
    check_consent(desk.folder, desk.terms)
    _check_funding(desk)
    check_token(desk.chain, desk.terms.asset)
    game = agreed_game(desk.folder)
    units = budget_in_units(budget, game, desk.party, desk.terms.exchange_rate)
    if not units:
        raise SettlementError(
            "Your budget is 0 base units, and there is nothing to lock. Say that you are done with "
            "`fairround close`; without either, the others wait until the funding deadline."
        )
    token = desk.terms.asset != ETHER
    lines = [
        desk.where,
        f"  You lock {desk.asset.in_words(units)}. It is your budget: you can owe no more.",
        *([ALLOWING] if token else []),
        f"  {quote_in_words(desk, units)}",
        "  You agree to the game: anybody may settle it by the locked deposits, without asking you."
        if desk.terms.settlement == "proof"
        else "  You agree to the game; the plan of transfers needs your signature too.",
        *_until_when(desk),
        "  You say that you are done, and can deposit no more after that." if last else "",
        _payout_in_words(payout),
        f"  {desk.most_gas_in_words(gas_limits.CALL * (2 if token else 1))}",
        f"  Agreement: 0x{desk.opened.agreement}",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        kept = keep_copy(desk.folder, desk.opened.agreement)
        account = desk.account
        lock(
            desk.escrow,
            desk.opened.round_id,
            desk.party,
            account,
            units,
            bytes.fromhex(desk.opened.agreement),
            payout=payout or NOBODY,
            last=last,
        )
        told = (
            f"{desk.name} locked {desk.asset.in_words(units)}\n"
            f"what you agreed to is kept in {kept}: settle and withdraw from there if need be"
        )
        return {"party": desk.name, "deposited_units": units, "kept": str(kept)}, told

    return Action("\n".join(line for line in lines if line), carry_out)


def close(desk: PartyDesk, payout: str | None) -> Action:
    """Say that the party will deposit no more, or nothing at all; final.

    Raises
    ------
    FundingEnded
    """
    _check_funding(desk)
    locked = desk.escrow.claim(desk.opened.round_id, desk.party)
    lines = [
        desk.where,
        f"  You say that you will deposit no more than the {desk.asset.in_words(locked)} that you "
        f"have locked. That is final. When every party has said so, the round can be settled.",
        _payout_in_words(payout),
        f"  {desk.most_gas_in_words(gas_limits.CALL)}",
    ]

    def carry_out() -> tuple[dict[str, Any], str]:
        agreement = bytes.fromhex(desk.opened.agreement)
        desk.escrow.close(
            desk.opened.round_id, desk.party, desk.account, agreement, payout=payout or NOBODY
        )
        return {"party": desk.name, "closed": True}, f"{desk.name} is done depositing"

    return Action("\n".join(line for line in lines if line), carry_out)


def _check_funding(desk: PartyDesk) -> None:
    seat = desk.escrow.seat(desk.opened.round_id, desk.party)
    if seat.closed:
        raise FundingEnded(f"{desk.name} has said that it is done; it can deposit no more.")
    deadline = desk.terms.funding_deadline
    if desk.chain.timestamp() > deadline:
        raise FundingEnded(f"Deposits were taken until {moment_in_words(deadline)}.")


def _until_when(desk: PartyDesk) -> list[str]:
    terms = desk.terms
    least = desk.asset.in_words(terms.quorum_units)
    quorum = f" At once, if all deposits together are below {least}." if terms.quorum_units else ""
    return [
        f"  Deposits are taken until {moment_in_words(terms.funding_deadline)}, or until every "
        f"party is done.",
        f"  If the round is not settled by {moment_in_words(terms.settlement_deadline)}, you take "
        f"all of it back.{quorum}",
    ]


def _payout_in_words(payout: str | None) -> str:
    if payout is None:
        return "  You withdraw by yourself afterwards; nobody else can have you paid out."
    return f"  Afterwards anybody may have you paid out, to {payout} and nowhere else."
