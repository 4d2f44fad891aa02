"""The chain as the rest of settlement sees it, whichever provider stands behind it.

Sending is exactly-once by *label*: a label names one transaction of the round for ever. The order
is always the same: call (a revert raises and leaves no trace), sign, write the signed bytes to the
journal, send them, check the status, write the receipt. Whoever is killed in between finds the
bytes in the journal and goes on with these and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from settlement.chain.errors import (
    LabelConflict,
    NonceTaken,
    ReadOnlyChain,
    Reverted,
    TransactionRefused,
)
from settlement.chain.journal import Journal, JournalEntry
from settlement.chain.records import Log, Transaction, TransactionReceipt, intent_of

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["Chain"]


class Chain(ABC):
    """A chain and the journal of what this round did on it; a context manager.

    ``chain_id`` is the chain's; ``started_at`` and ``started_block`` are the time and the block at
    which the journal began: derive deadlines from that time rather than from the clock, so that a
    repeated stage asks for the same transaction.
    """

    chain_id: int
    started_at: int
    started_block: int

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._receipts: dict[str, TransactionReceipt] = {}
        self._sends: dict[str, JournalEntry] = {}  # the last attempt of each label

    # What a provider knows

    @abstractmethod
    def call(
        self,
        to: str | None,
        data: bytes,
        sender: str | None = None,
        *,
        value_wei: int = 0,
        gas: int | None = None,
    ) -> bytes:
        """What a call returns if it were the next transaction; nothing changes.

        Raises
        ------
        Reverted
            With the contract's sentence.
        """

    @abstractmethod
    def logs(self, address: str, from_block: int = 0) -> list[Log]:
        """Logs of one contract since a block, in the order in which they were written."""

    @abstractmethod
    def history(self, address: str, topic: bytes, is_first: Callable[[Log], bool]) -> list[Log]:
        """Logs of one contract whose second topic is this, from the first of its kind on.

        Read backwards in pages until ``is_first`` knows the one that began it, so that nobody has
        to be believed where that is. All there are if it never comes.
        """

    @abstractmethod
    def transaction(self, transaction_hash: bytes) -> Transaction:
        """A transaction of the chain, such as one that a log names."""

    @abstractmethod
    def balance(self, address: str) -> int:
        """Balance in wei."""

    @abstractmethod
    def code(self, address: str) -> bytes:
        """Code at an address; empty where there is no contract."""

    @abstractmethod
    def block_number(self) -> int:
        """Number of the newest block."""

    @abstractmethod
    def timestamp(self) -> int:
        """The time that a transaction sent now would see, in seconds."""

    @abstractmethod
    def state_root(self) -> bytes:
        """State root of the newest block."""

    @abstractmethod
    def advance_to(self, timestamp: int) -> None:
        """Let the time be at least this for the next transaction; only a simulated clock can."""

    @abstractmethod
    def account(self, name: str) -> LocalAccount:
        """The account that signs under a name of the spec."""

    @abstractmethod
    def address(self, name: str) -> str:
        """The address of a name; needs no key where the address is known."""

    @abstractmethod
    def _catch_up(self) -> None:
        """Bring receipts and chain into agreement before anything new is sent."""

    @abstractmethod
    def _fees_wei(self, affordable_wei: int) -> tuple[int, int]:
        """Most that a unit of gas may cost, and how much of it may go to the block's builder.

        ``affordable_wei`` is what the account could pay for each unit; an answer above it stops
        the transaction.
        """

    @abstractmethod
    def _next_nonce(self, address: str) -> int:
        """The nonce of the next transaction of an account."""

    @abstractmethod
    def _deliver(self, send: JournalEntry) -> TransactionReceipt | None:
        """Bring journaled bytes onto the chain, wait for them and write the receipt.

        None if they can never be executed, because somebody used their nonce.
        """

    # What all providers share

    def receipt(self, label: str) -> TransactionReceipt | None:
        """Receipt of a label, or None if it was not carried out (yet)."""
        return self._receipts.get(label)

    def labels(self) -> tuple[str, ...]:
        """Labels that were carried out, in order."""
        return tuple(self._receipts)

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
        """Carry out one transaction once, however often this is called with its label.

        Parameters
        ----------
        label : str
            What it is for, unique within the round: ``"deploy"``, ``"deposit/2"``.
        to : str or None
            The contract, or None to create one from ``data``.
        gas : int
            Most gas that it may use. Always explicit: an estimate is slow, and one that is made
            before a block is not binding after it.

        Raises
        ------
        Reverted
            With the contract's sentence. Nothing was sent, unless the chain changed between the
            call and the transaction; then the receipt says so and the label may be used again.
        LabelConflict
            If the label named a different transaction before.
        TransactionRefused
            If the chain would not even execute it.
        NonceTaken
            If the endpoint says that the account used the nonce otherwise. The label is free again.
        """
        intent = intent_of(account.address, to, data, value_wei)
        receipt = self._carried_out(label, intent)
        if receipt is not None:
            return receipt
        if self.journal.read_only:
            raise ReadOnlyChain(f'"{label}" was never sent, and this chain is open for reading.')
        self._catch_up()
        self.call(to, data, account.address, value_wei=value_wei, gas=gas)
        raw, details = self._sign(account, to, data, value_wei, gas)
        fields = {"label": label, "raw": raw.hex(), **intent, **details}
        send = self._note_send(self.journal.append("send", fields))
        receipt = self._deliver_noted(send)
        if receipt is None:
            # Not signed anew unasked: an endpoint that lies would collect one deposit after the
            # other.
            raise NonceTaken(
                f"The endpoint says that nonce {details['nonce']} of {account.address} was used "
                f'for another transaction, so "{label}" cannot be carried out. If you have used '
                f"it, repeat the command. If you have not, the endpoint lies: ask another one, "
                f"or both transactions may be carried out."
            )
        if not receipt.succeeded:
            raise Reverted(self._why(label, account.address, to, data, value_wei, gas))
        return receipt

    def _carried_out(self, label: str, intent: dict[str, Any]) -> TransactionReceipt | None:
        """Receipt of a label that succeeded before; None if it is free, or free again."""
        earlier, receipt = self._sends.get(label), self._receipts.get(label)
        if earlier is None or (receipt is not None and not receipt.succeeded):
            return None
        _check_same(label, intent, earlier)
        if receipt is None and not self.journal.read_only:
            receipt = self._deliver_noted(earlier)
        return receipt if receipt is not None and receipt.succeeded else None

    def _sign(
        self, account: LocalAccount, to: str | None, data: bytes, value_wei: int, gas: int
    ) -> tuple[bytes, dict[str, Any]]:
        """Signed raw bytes, and what else of them belongs in the journal."""
        # The call before this took gas for free. What is journaled must be fit to be executed.
        held_wei = self.balance(account.address)
        fee_wei, tip_wei = self._fees_wei((held_wei - value_wei) // gas)
        needed_wei = value_wei + gas * fee_wei
        if held_wei < needed_wei:
            raise TransactionRefused(
                f"{account.address} holds {held_wei} wei; value and gas need up to {needed_wei}. "
                "Give the account more, or ask for less gas or a lower fee."
            )
        nonce = self._next_nonce(account.address)
        wanted: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "to": b"" if to is None else to,
            "data": data,
            "value": value_wei,
            "gas": gas,
            "maxFeePerGas": fee_wei,
            "maxPriorityFeePerGas": tip_wei,
        }
        signed = account.sign_transaction(wanted)
        return bytes(signed.raw_transaction), {"hash": signed.hash.hex(), "nonce": nonce}

    def _deliver_noted(self, send: JournalEntry) -> TransactionReceipt | None:
        receipt = self._deliver(send)
        if receipt is None:
            self._sends.pop(send["label"], None)
        else:
            self._note_receipt(receipt)
        return receipt

    def close(self) -> None:
        """Let go of the journal; the chain cannot be used afterwards."""
        self.journal.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _note_send(self, entry: JournalEntry) -> JournalEntry:
        self._sends[entry["label"]] = entry
        self._receipts.pop(entry["label"], None)
        return entry

    def _note_receipt(self, receipt: TransactionReceipt) -> TransactionReceipt:
        self._receipts[receipt.label] = receipt
        return receipt

    def _why(
        self, label: str, sender: str, to: str | None, data: bytes, value_wei: int, gas: int
    ) -> str:
        """Why a transaction failed whose call had passed: ask again, now that it has happened."""
        try:
            self.call(to, data, sender, value_wei=value_wei, gas=gas)
        except Reverted as error:
            return error.reason
        return f'"{label}" failed when it was executed, though a call passes before and after it'


def _check_same(label: str, intent: dict[str, Any], earlier: JournalEntry) -> None:
    for key, wanted in intent.items():
        if earlier[key] != wanted:
            raise LabelConflict(
                f'"{label}" was sent with {key} {earlier[key]} (journal line {earlier.line}) and '
                f"is now asked for with {wanted}; a label names one transaction for ever: use "
                "another label or the same content."
            )
