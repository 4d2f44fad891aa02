"""One party at work on one round: its seat, its chain, its contract, all of them checked first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settlement.chain.chain import Chain
from settlement.config.reading import party_account
from settlement.config.terms import AgreedTerms
from settlement.errors import SettlementError
from settlement.escrow.client import EscrowClient
from settlement.party.packages import received_reward
from settlement.round.access import ChainAccess
from settlement.round.funding import checked_escrow
from settlement.round.words import Asset, asset_of, chain_in_words, ether_in_words
from settlement.store.documents import OpenedRound, RewardDocument, ValueDocument
from settlement.store.folder import RoundFolder

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = [
    "Action",
    "NoReward",
    "PartyDesk",
    "UnknownParty",
    "address_of",
    "party_desk",
    "reward_file",
]


class UnknownParty(SettlementError):
    """No party of the round goes by this name."""


class NoReward(SettlementError):
    """The round has no model for this party: its values were given, or it bought none."""


@dataclass(frozen=True)
class Action:
    """Something that a party is about to do: what it means in words, and the doing of it.

    ``carry_out`` gives the result as plain data, and the sentence that tells it.
    """

    words: str
    carry_out: Callable[[], tuple[dict[str, Any], str]]


@dataclass(frozen=True)
class PartyDesk:
    """One party's seat in one round, and its own way to the chain.

    Everything is read from public files and from the chain, through the party's own endpoint; no
    configuration of the operator's is read and no code of a user's is loaded.
    """

    folder: RoundFolder
    terms: AgreedTerms
    opened: OpenedRound
    party: int
    access: ChainAccess
    chain: Chain
    escrow: EscrowClient
    asset: Asset

    @property
    def name(self) -> str:
        """Of the party."""
        return self.terms.party_names[self.party]

    @property
    def address(self) -> str:
        """Account of the party, as the terms name it."""
        return self.terms.addresses[self.party]

    @property
    def account(self) -> LocalAccount:
        """The party's key; asked for only when something is signed."""
        return self.chain.account(party_account(self.party))

    @property
    def where(self) -> str:
        """On which chain, by which contract, as whom: the first line of what is asked."""
        chain, escrow = chain_in_words(self.terms.chain_id), self.terms.escrow
        return (
            f"On {chain}, by the escrow {escrow}, in round {self.opened.round_id} "
            f'("{self.terms.round}"), as party "{self.name}" with the account {self.address}:'
        )

    def most_gas_in_words(self, gas: int) -> str:
        """What a transaction can cost at most, by the party's own cap on fees."""
        most_wei = gas * self.access.max_fee_wei
        return f"Gas costs you {ether_in_words(most_wei)} at most."


@contextlib.contextmanager
def party_desk(path: Path, name: str, access: ChainAccess) -> Iterator[PartyDesk]:
    """The desk of a party by its name; contract and round are compared with the terms first.

    Raises
    ------
    NoRound, OtherLayout, StageMissing, TamperedFile, TermsUnreadable, UnknownParty
        If the folder is not that of a round that was opened, or has no such party.
    WrongChain, EscrowError
        If the party's endpoint serves another chain, the contract there is not the escrow, or the
        round in it was opened otherwise than the terms say.
    """
    folder = RoundFolder(path)
    folder.require_config()
    terms, opened = AgreedTerms.read(folder), OpenedRound.read(folder)
    with folder.lock(), access.open(folder, terms) as chain:
        escrow = checked_escrow(chain, terms, opened)
        asset = asset_of(chain, terms.asset, terms.unit_scale)
        party = _seat_of(terms, path, name)
        yield PartyDesk(folder, terms, opened, party, access, chain, escrow, asset)


def _seat_of(terms: AgreedTerms, path: Path, name: str) -> int:
    if name not in terms.party_names:
        raise UnknownParty(
            f"No party {name!r} in {path}; expected one of: {', '.join(terms.party_names)}."
        )
    return terms.party_names.index(name)


def address_of(path: Path, name: str) -> str:
    """Account of a party of a round that was opened.

    Raises
    ------
    UnknownParty
    """
    folder = RoundFolder(path)
    folder.require_config()
    terms = AgreedTerms.read(folder)
    return terms.addresses[_seat_of(terms, path, name)]


def reward_file(path: Path, name: str) -> Path:
    """File of the model that a party of a round received, after checking every seal before it.

    Raises
    ------
    UnknownParty, NoReward, StageMissing, TamperedFile
    """
    folder = RoundFolder(path)
    folder.require_config()
    party = _seat_of(AgreedTerms.read(folder), path, name)
    if (received := received_reward(folder, party)) is not None:
        return received
    rewards = RewardDocument.read(folder).entries
    for entry in rewards:
        if entry.party == party:
            return folder.stage("reward") / entry.file
    why = "the values of the round were given"
    if party in ValueDocument.read(folder).buyers:
        why = "it brought no data and bought nothing"
    raise NoReward(f"Party {name!r} of {path} has no model: {why}.")
