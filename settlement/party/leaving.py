"""Taking one's money out, with a folder or with nothing but a key and a node."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from settlement.chain.chain import Chain
from settlement.errors import SettlementError, Waiting
from settlement.escrow import gas_limits
from settlement.escrow.checks import check_contract
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundState, RoundTerms
from settlement.party.consent import kept_copies
from settlement.party.desk import Action, PartyDesk
from settlement.round.access import SENDER, ChainAccess
from settlement.round.words import Asset, asset_of, chain_in_words, ether_in_words, moment_in_words

__all__ = [
    "BareDesk",
    "NoSeat",
    "RoundStillOpen",
    "WrongAddress",
    "checked_address",
    "desk_without_folder",
    "withdraw",
]


class WrongAddress(SettlementError):
    """Not an address, or one whose capital letters say that a digit is wrong."""


class NoSeat(SettlementError):
    """None of the user's accounts is a party of the round."""


class RoundStillOpen(Waiting):
    """Claims leave once the round is settled, has expired, or has missed its quorum."""


def checked_address(text: str) -> str:
    """An address that money is sent to; its capital letters must be its checksum.

    Raises
    ------
    WrongAddress

    Examples
    --------
    >>> checked_address("0x52908400098527886e0f7030069857d2e4169ee7")
    '0x52908400098527886E0F7030069857D2E4169EE7'
    """
    from eth_utils.address import to_checksum_address

    if not re.fullmatch("0x[0-9a-fA-F]{40}", text):
        raise WrongAddress(f"{text!r} is not an address; expected 0x and 40 hex digits.")
    right = str(to_checksum_address(text))
    if text != right and text[2:] not in (text[2:].lower(), text[2:].upper()):
        raise WrongAddress(
            f"{text} has a broken checksum: a digit or a capital letter is wrong. Copy it again."
        )
    return right


def withdraw(desk: PartyDesk, recipient: str | None) -> Action:
    """Take a party's whole claim out of the escrow.

    Raises
    ------
    RoundStillOpen
        If the claim cannot leave yet; says when it can.
    """
    return _withdraw(
        desk.chain,
        desk.escrow,
        desk.opened.round_id,
        desk.party,
        recipient or desk.address,
        where=desk.where,
        name=desk.name,
        gas=desk.most_gas_in_words(gas_limits.CALL),
        account=lambda: desk.account,
    )


@contextlib.contextmanager
def desk_without_folder(
    access: ChainAccess, address: str, round_id: int, account: str | None
) -> Iterator[BareDesk]:
    """A party's desk with nothing but key and node: escrow and round by address and number.

    Parameters
    ----------
    account
        Address of the party; None: the one of the user's keys that has a seat in the round.

    Raises
    ------
    EscrowError
        If there is no escrow of this version at the address.
    NoSeat
    """
    journal = kept_copies().parent / "withdrawals" / f"{address}-{round_id}"
    candidates = access.own_addresses() if account is None else (account,)
    for own in candidates:
        with access.anywhere(journal, own) as chain:
            escrow = EscrowClient(chain, address)
            check_contract(escrow)
            seats = escrow.ledger(round_id).parties
            if own in seats:
                party = seats.index(own)
                yield BareDesk(access, chain, escrow, round_id, party, own)
                return
    raise NoSeat(
        f"Round {round_id} of the escrow {address} has no party with an account of yours: "
        f"{', '.join(candidates) or 'no key was found'}. Name yours with --account."
    )


@dataclass(frozen=True)
class BareDesk:
    """A party's seat in a round of which only contract and number are known."""

    access: ChainAccess
    chain: Chain
    escrow: EscrowClient
    round_id: int
    party: int
    address: str

    def withdraw(self, recipient: str | None) -> Action:
        """Take the party's whole claim out.

        Raises
        ------
        RoundStillOpen
        """
        most_wei = gas_limits.CALL * self.access.max_fee_wei
        return _withdraw(
            self.chain,
            self.escrow,
            self.round_id,
            self.party,
            recipient or self.address,
            where=(
                f"On {chain_in_words(self.chain.chain_id)}, by the escrow {self.escrow.address}, "
                f"in round {self.round_id}, as party {self.party} with the account {self.address}:"
            ),
            name=f"party {self.party}",
            gas=f"Gas costs you {ether_in_words(most_wei)} at most.",
            account=lambda: self.chain.account(SENDER),
        )


def _withdraw(
    chain: Chain,
    escrow: EscrowClient,
    round_id: int,
    party: int,
    recipient: str,
    *,
    where: str,
    name: str,
    gas: str,
    account: Any,
) -> Action:
    terms = escrow.terms(round_id)
    asset = asset_of(chain, terms.asset, terms.unit_scale)
    units = escrow.claim(round_id, party)
    if not units:
        return Action(
            f"{where}\n  There is nothing left to take out.", lambda: _done(name, 0, asset)
        )
    why = _why_it_may_leave(chain, escrow, round_id, terms)
    lines = [where, f"  {why}", f"  {asset.in_words(units)} go to {recipient}.", f"  {gas}"]

    def carry_out() -> tuple[dict[str, Any], str]:
        escrow.withdraw(round_id, party, account(), recipient)
        return _done(name, units, asset)

    return Action("\n".join(lines), carry_out)


def _done(name: str, units: int, asset: Asset) -> tuple[dict[str, Any], str]:
    told = f"{name} took out {asset.in_words(units)}" if units else f"{name} has no claim left"
    return {"party": name, "withdrawn_units": units}, told


def _why_it_may_leave(chain: Chain, escrow: EscrowClient, round_id: int, terms: RoundTerms) -> str:
    """How the round ended, in words.

    Raises
    ------
    RoundStillOpen
    """
    state = escrow.state(round_id)
    now = chain.timestamp()
    if state >= RoundState.SETTLED:
        return "The round is settled: your deposit and what you paid or received."
    if now > terms.settlement_deadline:
        return "The round has expired without a settlement: your deposit."
    if escrow.misses_quorum(round_id):
        return "Fewer deposits came than the terms want, so the round is abandoned: your deposit."
    raise RoundStillOpen(
        f"Round {round_id} is still open: claims leave once it is settled, and at the latest after "
        f"{moment_in_words(terms.settlement_deadline)}."
    )
