"""What every stage is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from settlement.cache import cache_folder
from settlement.chain.chain import Chain
from settlement.config.reading import RoundConfig, read_config
from settlement.config.terms import AgreedTerms
from settlement.round.access import ChainAccess, sender_name
from settlement.store.documents import OpenedRound
from settlement.store.folder import RoundFolder

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = [
    "Progress",
    "RoundContext",
    "model_cache",
]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class RoundContext:
    """One round in the works: its folder, the way to its chain, whom to tell.

    `allocate` and `settle` read no configuration: they follow from public files, so that anybody
    can carry them out. ``sender`` is the address of the account that pays for what is sent; None:
    the operator's.
    """

    folder: RoundFolder
    access: ChainAccess
    progress: Progress
    sender: str | None = None

    @cached_property
    def config(self) -> RoundConfig:
        """The checked configuration."""
        return read_config(self.folder.config_path)

    @property
    def terms(self) -> AgreedTerms:
        """What was agreed, once the round is open."""
        return AgreedTerms.read(self.folder)

    @property
    def opened(self) -> OpenedRound:
        """Where the round is on the chain, once it is open."""
        return OpenedRound.read(self.folder)

    def open_chain(self, *, read_only: bool = False) -> Chain:
        """The chain of a round that was opened, to be used as a context manager."""
        return self.access.open(self.folder, self.terms, sender=self.sender, read_only=read_only)

    def sending_account(self, chain: Chain) -> LocalAccount:
        """The account that pays for what is sent."""
        return chain.account(sender_name(self.terms, self.sender))


def model_cache() -> Path:
    """Where finished trainings are kept for all rounds of this user."""
    return cache_folder("models")
