"""What a quick EVM does: calls by address in one state, without blocks, keys, fees or journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from settlement.errors import SettlementError

__all__ = [
    "CHAIN_ID",
    "GAS_LIMIT",
    "ZERO_ADDRESS",
    "CallResult",
    "PlainLog",
    "QuickEvm",
    "QuickEvmError",
]

CHAIN_ID = 131277322940537
GAS_LIMIT = 30_000_000
ZERO_ADDRESS = "0x0000000000000000000000000000000000000000"


class QuickEvmError(SettlementError):
    """An EVM that is asked for but not installed, or a call that it will not carry out at all."""


class PlainLog(NamedTuple):
    """One event: who logged it (lower case), its topics, its data."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call did.

    ``reason`` is None if it succeeded, else the contract's sentence, and then nothing moved.
    ``gas_used`` is the gas of a whole transaction, where the EVM knows it.
    """

    reason: str | None
    output: bytes
    logs: tuple[PlainLog, ...]
    gas_used: int | None

    @property
    def succeeded(self) -> bool:
        """Whether it took effect."""
        return self.reason is None


class QuickEvm(Protocol):
    """A state and a clock; every call takes effect at once and costs its sender no fee."""

    name: str

    def set_time(self, timestamp: int) -> None:
        """Let the next calls see this time."""

    def set_balance(self, address: str, balance_wei: int) -> None:
        """Give an address exactly so much ether."""

    def balance(self, address: str) -> int:
        """Ether of an address, in wei."""

    def place(self, address: str, code: bytes) -> None:
        """Put code at an address, as a genesis does."""

    def deploy(self, sender: str, creation: bytes) -> str:
        """Create a contract; its address."""

    def call(
        self, sender: str, to: str, data: bytes, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> CallResult:
        """Carry out one transaction."""

    def read(self, to: str, data: bytes) -> bytes:
        """What a call returns; nothing changes."""

    def snapshot(self) -> Any:
        """A mark of the state; marks are gone back to in reverse order."""

    def restore(self, mark: Any) -> None:
        """Back to a mark: every balance, slot and contract as it was. The clock goes on."""
