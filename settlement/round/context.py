"""What every stage is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from settlement.cache import cache_folder
from settlement.chain.chain import Chain
from settlement.chain.keys import AskPassword
from settlement.chain.opening import open_chain
from settlement.config.reading import RoundConfig
from settlement.store.folder import RoundFolder

__all__ = [
    "Progress",
    "RoundContext",
    "gas_by_label",
    "model_cache",
]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class RoundContext:
    """One round in the works: its folder, its checked configuration, whom to tell."""

    folder: RoundFolder
    config: RoundConfig
    progress: Progress
    ask_password: AskPassword | None = None

    def open_chain(self) -> Chain:
        """The round's chain, to be used as a context manager."""
        spec = self.config.chain_spec()
        return open_chain(self.folder.chain_path, spec, ask_password=self.ask_password)


def model_cache() -> Path:
    """Where finished trainings are kept for all rounds of this user."""
    return cache_folder("models")


def gas_by_label(chain: Chain) -> dict[str, int]:
    """Gas that each transaction of the round used, in the order in which they were sent."""
    receipts = ((label, chain.receipt(label)) for label in chain.labels())
    return {label: receipt.gas_used for label, receipt in receipts if receipt}
