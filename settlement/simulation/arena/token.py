"""The ERC-20 token of rounds that are not in ether: the contract, and its books for the twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from settlement.chain.quick import QuickEvm
from settlement.errors import BrokenInvariant
from settlement.escrow.artifacts import artifact
from settlement.simulation.arena.words import Calls

__all__ = ["Token", "TokenBooks"]

WITHOUT_END = 2**256 - 1


@dataclass(slots=True)
class TokenBooks:
    """What the twin asks of a token that does what tokens should; everybody has let it take all."""

    escrow: str
    balances_wei: dict[str, int]

    def balance_of(self, owner: str) -> int:
        """Wei of the token that an address holds."""
        return self.balances_wei.get(owner, 0)

    def transfer_from(self, sender: str, amount_wei: int) -> bool:
        """Into the escrow."""
        return self._move(sender, self.escrow, amount_wei)

    def transfer(self, recipient: str, amount_wei: int) -> bool:
        """Out of the escrow."""
        return self._move(self.escrow, recipient, amount_wei)

    def _move(self, sender: str, recipient: str, amount_wei: int) -> bool:
        if self.balance_of(sender) < amount_wei:
            return False
        self.balances_wei[sender] -= amount_wei
        self.balances_wei[recipient] = self.balance_of(recipient) + amount_wei
        return True


class Token:
    """The token on an EVM, at the same address in every world."""

    ADDRESS: ClassVar[str] = "0x" + "70" * 20

    def __init__(self, evm: QuickEvm) -> None:
        contract = artifact("mocks/Token")
        self._evm = evm
        self._calls = Calls(contract.abi)
        evm.place(self.ADDRESS, contract.runtime)

    def make_rich(self, owner: str, escrow: str, amount_wei: int) -> None:
        """Give an address so much, and let it allow the escrow to take everything."""
        self._must(owner, self._calls.encode("mint", owner, amount_wei))
        self._must(owner, self._calls.encode("approve", escrow, WITHOUT_END))

    def _must(self, sender: str, data: bytes) -> None:
        answer = self._evm.call(sender, self.ADDRESS, data)
        if not answer.succeeded:
            raise BrokenInvariant(f"The simulation's own token refuses a call: {answer.reason}.")

    def balance(self, owner: str) -> int:
        """Wei of the token that an address holds."""
        answer = self._evm.read(self.ADDRESS, self._calls.encode("balanceOf", owner))
        return int.from_bytes(answer, "big")
