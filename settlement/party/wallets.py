"""Transactions for a wallet elsewhere to send: for accounts whose key is not here, or has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from settlement.chain.chain import Chain
from settlement.chain.records import Log, TransactionReceipt
from settlement.escrow.client import EscrowClient
from settlement.party.desk import Action, PartyDesk

__all__ = ["calls_of"]


class _Listening:
    """A chain that answers everything and sends nothing: what would be sent is written down."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self._address = address
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    def account(self, name: str) -> Any:
        """An account without a key."""
        return SimpleNamespace(address=self._address)

    def send(
        self, label: str, account: Any, to: str, data: bytes, *, value_wei: int = 0, gas: int
    ) -> TransactionReceipt:
        """Write a transaction down, after asking the chain whether it would pass."""
        if not self.calls:  # what comes after it may rest on it, as a deposit on an approval
            self._chain.call(to, data, self._address, value_wei=value_wei, gas=gas)
        call = {"to": to, "value_wei": str(value_wei), "data": f"0x{data.hex()}", "gas": gas}
        self.calls.append({"from": self._address, **call})
        told = Log(to, (), b"", 0, b"", 0)
        return TransactionReceipt(label, b"", 0, 0, True, logs=(told,))


def calls_of(
    desk: PartyDesk, action_of: Callable[[PartyDesk], Action]
) -> tuple[str, list[dict[str, Any]]]:
    """The words of an action, and the transactions that it would send, in order.

    Raises
    ------
    Reverted
        If the contract would refuse the first of them.
    """
    listening = _Listening(desk.chain, desk.address)
    chain = cast(Chain, listening)
    quiet = replace(desk, chain=chain, escrow=EscrowClient(chain, desk.escrow.address))
    action = action_of(quiet)
    action.carry_out()
    return action.words, listening.calls
