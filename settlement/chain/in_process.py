"""A whole chain in this process, replayed from its journal.

The journal holds everything that such a chain depends on, so a process that carries it out again
mines the same blocks, and proves it: each receipt in the journal carries the block hash and the
state root that must come out. What this process itself has just executed, and whose journal has not
changed by a byte since, it takes up again as it left it.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settlement.chain.chain import Chain
from settlement.chain.errors import (
    ChainSpecError,
    JournalMismatch,
    TransactionRefused,
    UnknownAccount,
)
from settlement.chain.evm import FORK, Evm
from settlement.chain.journal import Journal, JournalEntry
from settlement.chain.keys import simulated_account
from settlement.chain.records import Log, Transaction, TransactionReceipt
from settlement.chain.spec import SEED_BYTES, SIMULATED_CHAIN_ID, ChainSpec

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["InProcessChain"]

_left: dict[Path, tuple[str, Evm]] = {}
"""The chain that this process closed last: digest of its journal, and its state."""


class InProcessChain(Chain):
    """The simulated chain of one folder; `settlement.chain.open_chain` opens it."""

    def __init__(self, journal: Journal, spec: ChainSpec | None) -> None:
        super().__init__(journal)
        if not journal.entries:
            journal.append("genesis", _genesis_fields(spec or ChainSpec()))
            spec = None
        genesis = journal.entries[0]
        _check_genesis(genesis, spec)
        self.started_at = int(genesis["timestamp"])
        self.started_block = 0
        seed = bytes.fromhex(genesis["seed"])
        self._accounts = {name: simulated_account(seed, name) for name in genesis["accounts"]}
        left = self._taken_up()
        self.evm = left or self._fresh_evm(genesis)
        self.chain_id = self.evm.chain_id
        self._expect(genesis, "chain id", genesis["chain_id"], self.chain_id)
        if left:
            self._recall()
        else:
            self._replay()

    def _fresh_evm(self, genesis: JournalEntry) -> Evm:
        return Evm(
            timestamp=self.started_at,
            step_s=int(genesis["block_step_s"]),
            block_gas_limit=int(genesis["block_gas_limit"]),
            funded=[account.address for account in self._accounts.values()],
            balance_wei=int(genesis["balance_wei"]),
            codes={place: bytes.fromhex(code) for place, code in genesis["codes"].items()},
        )

    def close(self) -> None:
        """Let go of the journal; the state is kept for the next time in this process."""
        super().close()
        _left.clear()
        # After a send without a receipt nobody knows whether the state has it.
        if self.journal.path is not None and self.journal.entries[-1].kind != "send":
            _left[self.journal.path.resolve()] = (self.journal.digest, self.evm)

    def _taken_up(self) -> Evm | None:
        """The state that this process left, if the journal still says the same to the last byte."""
        if self.journal.path is None:
            return None
        digest, evm = _left.pop(self.journal.path.resolve(), ("", None))
        return evm if digest == self.journal.digest else None

    # Replaying

    def _recall(self) -> None:
        """Note what the journal says; the state that was taken up is its outcome."""
        for entry in self.journal.entries[1:]:
            if entry.kind == "send":
                self._note_send(entry)
            elif entry.kind == "receipt":
                self._note_receipt(TransactionReceipt.from_json(entry.fields))

    def _replay(self) -> None:
        """Carry out the journal again; each receipt must come out as it was written."""
        executed: TransactionReceipt | None = None
        for entry in self.journal.entries[1:]:
            if entry.kind == "clock":
                self.evm.next_timestamp = int(entry["timestamp"])
            elif entry.kind == "send":
                self._note_send(entry)
                executed = self._replay_send(entry)
            elif entry.kind == "receipt":
                self._compare(entry, executed)
                executed = None
            else:
                self._expect(entry, "kind", entry.kind, "no such thing happens on this chain")
        if executed is not None:  # killed between sending and writing the receipt
            self._finish(executed)

    def _replay_send(self, entry: JournalEntry) -> TransactionReceipt:
        try:
            return self._execute(entry)
        except TransactionRefused as error:
            raise JournalMismatch(
                self.journal.path, entry.line, "transaction", entry["label"], error
            ) from error

    def _compare(self, entry: JournalEntry, executed: TransactionReceipt | None) -> None:
        if executed is None:
            self._expect(entry, "transaction", entry["hash"], "none was sent before it")
            return
        for key, value in self._fields_of(executed).items():
            self._expect(entry, key.replace("_", " "), entry[key], value)
        self._note_receipt(executed)

    def _expect(self, entry: JournalEntry, what: str, journaled: object, found: object) -> None:
        if journaled != found:
            raise JournalMismatch(self.journal.path, entry.line, what, journaled, found)

    def _fields_of(self, receipt: TransactionReceipt) -> dict[str, Any]:
        return {**receipt.as_json(), "state_root": self.state_root().hex()}

    # Sending

    def _catch_up(self) -> None:
        """Nothing to do: this chain is nowhere but here."""

    def _fees_wei(self, affordable_wei: int) -> tuple[int, int]:
        # Nobody competes for the next block: its base fee is enough.
        return self.evm.base_fee_wei, 0

    def _next_nonce(self, address: str) -> int:
        return self.evm.nonce(address)

    def _deliver(self, send: JournalEntry) -> TransactionReceipt:
        return self._finish(self._execute(send))

    def _execute(self, send: JournalEntry) -> TransactionReceipt:
        transaction = self.evm.decode(bytes.fromhex(send["raw"]))
        self._expect(send, "hash", send["hash"], transaction.hash.hex())
        return self.evm.execute(send["label"], transaction)

    def _finish(self, receipt: TransactionReceipt) -> TransactionReceipt:
        if not self.journal.read_only:
            self.journal.append("receipt", self._fields_of(receipt))
        return self._note_receipt(receipt)

    def advance_to(self, timestamp: int) -> None:
        """Let the next transaction see at least this time; an earlier time changes nothing."""
        if timestamp > self.evm.next_timestamp:
            self.journal.append("clock", {"timestamp": timestamp})
            self.evm.next_timestamp = timestamp

    # Asking

    def call(
        self,
        to: str | None,
        data: bytes,
        sender: str | None = None,
        *,
        value_wei: int = 0,
        gas: int | None = None,
    ) -> bytes:
        """What a call returns if it were the next transaction; nothing changes."""
        limit = self.evm.block_gas_limit
        if gas is not None and gas > limit:
            raise TransactionRefused(
                f"{gas} gas asked for; a block takes {limit}. Ask for less, split the "
                "transaction, or start the chain with a larger block_gas_limit."
            )
        return self.evm.call(to, data, sender, value_wei=value_wei, gas=gas or limit)

    def logs(self, address: str, from_block: int = 0) -> list[Log]:
        """Logs of one contract since a block, in the order in which they were written."""
        # Every transaction of this chain is in the journal, so every log is in a receipt.
        return [
            log
            for receipt in sorted(self._receipts.values(), key=lambda receipt: receipt.block_number)
            if receipt.block_number >= from_block
            for log in receipt.logs
            if log.address.lower() == address.lower()
        ]

    def history(self, address: str, topic: bytes, is_first: Callable[[Log], bool]) -> list[Log]:
        """Logs of one contract whose second topic is this, from the first of its kind on."""
        return [log for log in self.logs(address) if log.topics[1:2] == (topic,)]

    def transaction(self, transaction_hash: bytes) -> Transaction:
        """A transaction out of the journal, which holds all of this chain's."""
        receipt = next(
            receipt
            for receipt in self._receipts.values()
            if receipt.transaction_hash == transaction_hash
        )
        send = self._sends[receipt.label]
        signed = self.evm.decode(bytes.fromhex(send["raw"]))
        return Transaction(
            transaction_hash=transaction_hash,
            sender=send["sender"],
            to=send["to"],
            data=bytes(signed.data),
            value_wei=int(send["value_wei"]),
            block_number=receipt.block_number,
            gas_used=receipt.gas_used,
            succeeded=receipt.succeeded,
        )

    def balance(self, address: str) -> int:
        """Balance in wei."""
        return self.evm.balance(address)

    def code(self, address: str) -> bytes:
        """Code at an address; empty where there is no contract."""
        return self.evm.code(address)

    def block_number(self) -> int:
        """Number of the newest block."""
        return self.evm.block_number

    def timestamp(self) -> int:
        """The time that the next transaction sees, in seconds."""
        return self.evm.next_timestamp

    def state_root(self) -> bytes:
        """State root of the newest block."""
        return self.evm.state_root

    def account(self, name: str) -> LocalAccount:
        """The simulated account of a name; worthless by design, see `settlement.chain.keys`."""
        if name not in self._accounts:
            raise UnknownAccount(
                f'No account "{name}" on this chain; found {", ".join(self._accounts) or "none"}. '
                "Name it in the spec before the chain is started."
            )
        return self._accounts[name]

    def address(self, name: str) -> str:
        """The address of a name."""
        return str(self.account(name).address)


def _genesis_fields(spec: ChainSpec) -> dict[str, Any]:
    chosen = spec.genesis_timestamp
    return {
        "chain_id": SIMULATED_CHAIN_ID,
        "fork": FORK,
        "py_evm": importlib.metadata.version("py-evm"),
        "seed": (spec.seed or secrets.token_bytes(SEED_BYTES)).hex(),
        "timestamp": int(time.time()) if chosen is None else chosen,
        "block_step_s": spec.block_step_s,
        "block_gas_limit": spec.block_gas_limit,
        "balance_wei": str(spec.balance_wei),
        "accounts": sorted(spec.accounts),
        "codes": _codes(spec),
    }


def _codes(spec: ChainSpec) -> dict[str, str]:
    return {address: spec.codes[address].hex() for address in sorted(spec.codes)}


def _check_genesis(genesis: JournalEntry, spec: ChainSpec | None) -> None:
    """Refuse a spec that asks for another chain than the one that the journal began."""
    if genesis.kind != "genesis":
        raise ChainSpecError("This folder's chain is behind a JSON-RPC endpoint; name that.")
    if spec is None:
        return
    wanted: dict[str, Any] = {
        "block_gas_limit": spec.block_gas_limit,
        "block_step_s": spec.block_step_s,
        "balance_wei": str(spec.balance_wei),
        "timestamp": spec.genesis_timestamp,
        "seed": None if spec.seed is None else spec.seed.hex(),
        "accounts": sorted(spec.accounts),
    }
    faults = [
        f"{key}: asked for {value}; this chain was started with {genesis[key]}. Keep the settings "
        "that it was started with, or start another folder."
        for key, value in wanted.items()
        if value is not None and genesis[key] != value
    ]
    if genesis["codes"] != _codes(spec):
        found = ", ".join(genesis["codes"]) or "none"
        faults.append(f"codes: asked for other contracts than it was started with, {found}.")
    if faults:
        raise ChainSpecError("\n".join(faults))
