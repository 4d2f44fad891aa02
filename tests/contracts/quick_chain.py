"""A chain for the contract tests without blocks, signatures and journal: the quick EVM behind it.

Random histories run ten times faster than on the simulated chain. Its gas means nothing, and it
knows no EIP-7702: what is tested of either belongs on the simulated chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from eth_utils.address import to_checksum_address

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.chain.journal import Journal
from settlement.chain.keys import simulated_account
from settlement.chain.quick import CHAIN_ID, GAS_LIMIT, CallResult, quick_evm
from settlement.chain.records import Log, Transaction, TransactionReceipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

SEED = bytes(32)
BALANCE_WEI = 2**128  # more than the largest deposit at the largest scale


class QuickChain(Chain):
    """What `Chain` promises, as far as one process without a node's history can keep it."""

    def __init__(self, names: tuple[str, ...], codes: Mapping[str, bytes], timestamp: int) -> None:
        super().__init__(Journal(None))
        self.chain_id, self.started_at, self.started_block = CHAIN_ID, timestamp, 0
        self._evm = quick_evm("pyrevm", timestamp=timestamp)
        self._now = timestamp + 1
        self._n_done = 0
        self._codes = dict(codes)
        self._accounts = {name: simulated_account(SEED, name) for name in names}
        for account in self._accounts.values():
            self._evm.set_balance(account.address, BALANCE_WEI)
        for place, code in codes.items():
            self._evm.place(place, code)

    def send(
        self,
        label: str,
        account: LocalAccount,
        to: str | None,
        data: bytes,
        *,
        value_wei: int = 0,
        gas: int,
    ) -> TransactionReceipt:
        """Carry out one transaction at once; a revert raises and the clock stands still."""
        self._evm.set_time(self._now)
        created = None
        logs: tuple[Log, ...] = ()
        number = self._n_done + 1
        transaction_hash = number.to_bytes(32, "big")
        if to is None:
            created = to_checksum_address(self._evm.deploy(account.address, data))
        else:
            answer = self._carried_out_or_raise(account.address, to, data, value_wei, gas)
            logs = tuple(
                Log(to_checksum_address(address), topics, body, number, transaction_hash, index)
                for index, (address, topics, body) in enumerate(answer.logs)
            )
        self._n_done = number
        self._now += 1
        return self._note_receipt(
            TransactionReceipt(
                label, transaction_hash, number, 0, True, contract_address=created, logs=logs
            )
        )

    def _carried_out_or_raise(
        self, sender: str, to: str, data: bytes, value_wei: int, gas: int
    ) -> CallResult:
        answer = self._evm.call(sender, to, data, value_wei, gas)
        if answer.reason is not None:
            raise Reverted(answer.reason)
        return answer

    def call(
        self,
        to: str | None,
        data: bytes,
        sender: str | None = None,
        *,
        value_wei: int = 0,
        gas: int | None = None,
    ) -> bytes:
        assert to is not None
        self._evm.set_time(self._now)
        mark = self._evm.snapshot()
        try:
            origin = sender or "0x" + bytes(20).hex()
            return self._carried_out_or_raise(origin, to, data, value_wei, gas or GAS_LIMIT).output
        finally:
            self._evm.restore(mark)

    def state_root(self) -> bytes:
        """How many calls have taken effect: what a refused call must leave alone."""
        return self._n_done.to_bytes(32, "big")

    def advance_to(self, timestamp: int) -> None:
        self._now = max(self._now, timestamp)

    def timestamp(self) -> int:
        return self._now

    def block_number(self) -> int:
        return self._n_done

    def balance(self, address: str) -> int:
        return self._evm.balance(address)

    def code(self, address: str) -> bytes:
        """Code that was there from the beginning."""
        return self._codes.get(address, b"")

    def account(self, name: str) -> LocalAccount:
        return self._accounts[name]

    def address(self, name: str) -> str:
        return str(self.account(name).address)

    def logs(self, address: str, from_block: int = 0) -> list[Log]:
        """Logs of one contract; receipts are in the order in which they were made."""
        return [
            log
            for receipt in self._receipts.values()
            for log in receipt.logs
            if log.address == address and log.block_number >= from_block
        ]

    def history(self, address: str, topic: bytes, is_first: Callable[[Log], bool]) -> list[Log]:
        return [log for log in self.logs(address) if log.topics[1:2] == (topic,)]

    # What no test asks of it

    def transaction(self, transaction_hash: bytes) -> Transaction:
        return _not_here()

    def _catch_up(self) -> None:
        _not_here()

    def _fees_wei(self, affordable_wei: int) -> tuple[int, int]:
        return _not_here()

    def _next_nonce(self, address: str) -> int:
        return _not_here()

    def _deliver(self, send: Any) -> TransactionReceipt | None:
        return _not_here()


def _not_here() -> NoReturn:
    raise NotImplementedError("The quick EVM has no nonces and fees; take Arena(exact=True).")
