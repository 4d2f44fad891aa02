"""Bringing journaled bytes onto a chain that loses replies, waits, and changes its mind.

A `Delivery` knows which sends of the journal are settled (their receipt is on the chain, deep
enough) and which are still owed to it. It only ever sends bytes that the journal holds, so it may
send them as often as it likes: a nonce is used once.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from settlement.chain.errors import (
    DeedsChanged,
    JournalFault,
    JournalMismatch,
    RpcFailed,
    TransactionRefused,
    Unconfirmed,
)
from settlement.chain.journal import Journal, JournalEntry
from settlement.chain.records import Log, TransactionReceipt, intent_of
from settlement.chain.rpc import RpcClient, waits_s

__all__ = ["Delivery", "log_of", "quantity"]

REFUSAL_BELIEVED_S = 5.0
"""A refusal that lasts so long is meant; a shorter one may speak of a block that went away."""

SPENT_BELIEVED_S = 3.0
"""A nonce that is spent for so long without a receipt was used otherwise. A node counts a block's
nonces a moment before it finds its receipts."""

_log = logging.getLogger(__name__)


class Delivery:
    """The sends of one journal and where each of them stands on the chain.

    Parameters
    ----------
    confirmations : int
        Blocks, its own among them, after which a transaction counts as carried out.
    patience_s : float
        How long to wait for that before `Unconfirmed`.
    is_own : callable
        Whether the key of an address is this user's. What others owe the chain is brought to it,
        and not waited for.

    Raises
    ------
    JournalFault
        If a send is not the one that its account has signed. The digests of a journal show that it
        was not changed, not who wrote it: whoever handed it out could make an account wait for ever
        behind a transaction that there cannot be.
    """

    def __init__(
        self,
        journal: Journal,
        rpc: RpcClient,
        confirmations: int,
        patience_s: float,
        is_own: Callable[[str], bool],
    ) -> None:
        self._journal = journal
        self._rpc = rpc
        self._confirmations = confirmations
        self._patience_s = patience_s
        self._is_own = is_own
        self._sends: dict[
            str, JournalEntry
        ] = {}  # by transaction hash, in order, dropped ones left out
        self._settled: dict[str, TransactionReceipt] = {}  # by transaction hash
        self._before: dict[str, TransactionReceipt] = {}  # what a reorganised one had done
        for entry in journal.entries[1:]:
            try:
                if entry.kind == "send" and not _is_signed(entry):
                    raise ValueError("its account has signed no such thing")
                self._take_up(entry)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise JournalFault(
                    journal.path,
                    entry.line,
                    f"not what this version writes ({error!r:.200}). Somebody has made this "
                    "journal up: take it away; what was sent from here stands on the chain.",
                ) from None

    def _take_up(self, entry: JournalEntry) -> None:
        if entry.kind == "send":
            self._sends[entry["hash"]] = entry
        elif entry.kind == "receipt":
            self._settled[entry["hash"]] = TransactionReceipt.from_json(entry.fields)
        elif entry.kind == "reorganised":
            self._before[entry["hash"]] = self._settled.pop(entry["hash"])
        elif entry.kind == "dropped":
            del self._sends[entry["hash"]]
        else:
            raise JournalMismatch(self._journal.path, entry.line, "kind", entry.kind, "none")

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        self._take_up(self._journal.append(kind, fields))

    @property
    def sends(self) -> tuple[JournalEntry, ...]:
        """Sends that are settled or owed, in order."""
        return tuple(self._sends.values())

    @property
    def receipts(self) -> tuple[TransactionReceipt, ...]:
        """Receipts of what is settled, in the order in which it was sent."""
        return tuple(self._settled[key] for key in self._sends if key in self._settled)

    def next_nonce(self, sender: str) -> int:
        """The nonce after all that the chain and the journal know of an account."""
        nonces = [quantity(self._rpc.ask("eth_getTransactionCount", sender, "pending"))]
        for send in self._sends.values():
            if send["sender"] == sender:
                nonces.append(int(send["nonce"]) + 1)
        return max(nonces)

    def settled(self, send: JournalEntry) -> TransactionReceipt | None:
        """Receipt of a send, if it is on the chain as far as is known."""
        return self._settled.get(send["hash"])

    def catch_up(self) -> None:
        """Notice reorganised blocks, and deliver whatever the journal owes to the chain."""
        self._notice_reorganised()
        # Looked at anew each time: a delivery may find out that others are owed again.
        while owed := self._owed(own=True):
            self.deliver(owed[0])
        for send in self._owed(own=False):
            with contextlib.suppress(TransactionRefused, Unconfirmed):
                self._deliver(send, patience_s=0.0)

    def _owed(self, *, own: bool) -> list[JournalEntry]:
        return [
            send
            for key, send in self._sends.items()
            if key not in self._settled and self._is_own(send["sender"]) is own
        ]

    def _notice_reorganised(self) -> None:
        for receipt in self._reorganised():
            _log.warning(
                'Block %d with "%s" was reorganised away; the same bytes are sent again.',
                receipt.block_number,
                receipt.label,
            )
            self._write("reorganised", receipt.as_json())

    def _reorganised(self) -> list[TransactionReceipt]:
        """Settled receipts whose block is no longer of the chain, in order of sending.

        Blocks go from the end only, and every receipt was written when all others were looked at:
        so the highest block that is still there vouches for those below it.
        """
        gone: set[bytes] = set()
        for receipt in sorted(self.receipts, key=lambda receipt: -receipt.block_number):
            if self._block_hash(receipt.block_number) == receipt.block_hash:
                break
            gone.add(receipt.transaction_hash)
        return [receipt for receipt in self.receipts if receipt.transaction_hash in gone]

    def _block_hash(self, number: int) -> bytes | None:
        block = self._rpc.ask("eth_getBlockByNumber", hex(number), False)
        return None if block is None else _bytes(block["hash"])

    def deliver(self, send: JournalEntry) -> TransactionReceipt | None:
        """Send journaled bytes until they are confirmed; their receipt, once it is written.

        None if they can never be executed, because their nonce was used for another transaction:
        the journal says so, and the label is free again.

        Raises
        ------
        Unconfirmed
            If patience runs out. The bytes stay owed.
        TransactionRefused
            If the endpoint does not take them. The bytes stay owed.
        """
        return self._deliver(send, self._patience_s)

    def _deliver(self, send: JournalEntry, patience_s: float) -> TransactionReceipt | None:
        key = send["hash"]
        if key in self._settled:
            return self._settled[key]
        self._sends.setdefault(key, send)
        self._submit(send)
        started_s = accepted_s = free_s = time.monotonic()  # a slow reply to that is no refusal
        for pause_s in waits_s():
            now_s = time.monotonic()
            found = self._rpc.ask("eth_getTransactionReceipt", f"0x{key}")
            refusal = None
            spent = found is None and self._nonce_is_spent(send)
            if not spent:
                free_s = now_s
            if found is not None:
                if self._is_deep(found):
                    return self._settle(send, found)
            elif spent:
                if now_s - free_s > min(SPENT_BELIEVED_S, patience_s / 2):
                    self._write("dropped", {"label": send["label"], "hash": key})
                    return None
            elif self._rpc.ask("eth_getTransactionByHash", f"0x{key}") is None:
                refusal = self._submit(send)  # a reorganised block does not give its bytes back
            if refusal is None:
                accepted_s = now_s
            elif now_s - accepted_s > min(REFUSAL_BELIEVED_S, patience_s / 2):
                raise TransactionRefused(
                    f'The endpoint refuses "{send["label"]}" ({refusal.reply}); its bytes are kept '
                    "in the journal and sent again by the next command."
                )
            waited_s = now_s - started_s
            if waited_s + pause_s > patience_s:
                raise Unconfirmed(self._still_waiting(send, waited_s))
            time.sleep(pause_s)
        return None

    def _still_waiting(self, send: JournalEntry, waited_s: float) -> str:
        """What has become of a send, what it pays, and what its owner can do."""
        most_wei = TypedTransaction.from_bytes(HexBytes(send["raw"])).as_dict()["maxFeePerGas"]
        latest = self._rpc.ask("eth_getBlockByNumber", "latest", False)
        base_fee_wei = quantity(latest.get("baseFeePerGas", "0x0"))
        return (
            f'"{send["label"]}" (transaction 0x{send["hash"]}) has not got {self._confirmations} '
            f"confirmation(s) after {waited_s:.1f} s. It pays up to {most_wei} wei a unit of gas; "
            f"the base fee is {base_fee_wei} now. Repeat the command to go on waiting with the "
            f"same bytes. To give them up, use nonce {send['nonce']} of {send['sender']} for any "
            "other transaction at a higher fee: the next command then signs anew."
        )

    def _submit(self, send: JournalEntry) -> RpcFailed | None:
        """Hand the bytes over; the endpoint's refusal, if the bytes are at fault."""
        try:
            self._rpc.ask("eth_sendRawTransaction", f"0x{send['raw']}")
        except RpcFailed as error:
            count = self._rpc.ask("eth_getTransactionCount", send["sender"], "latest")
            # A nonce that is just being used is no fault: which transaction has it will show when
            # it is deep enough. The same goes for bytes that came in with a reply that was lost.
            return error if quantity(count) <= send["nonce"] else None
        return None

    def _is_deep(self, found: Mapping[str, Any]) -> bool:
        number = quantity(found["blockNumber"])
        head = quantity(self._rpc.ask("eth_blockNumber"))
        if head - number + 1 < self._confirmations:
            return False
        return self._block_hash(number) == _bytes(found["blockHash"])

    def _nonce_is_spent(self, send: JournalEntry) -> bool:
        """Whether the account went past this nonce, as deep as counts, without these bytes."""
        head = quantity(self._rpc.ask("eth_blockNumber"))
        deep = head - self._confirmations + 1
        if deep < 0:
            return False
        try:
            count = quantity(self._rpc.ask("eth_getTransactionCount", send["sender"], hex(deep)))
        except RpcFailed:
            return False  # the block went away between the two questions: ask again later
        if count <= send["nonce"]:
            return False
        # Asked again: the bytes may have been mined between the two questions.
        return self._rpc.ask("eth_getTransactionReceipt", f"0x{send['hash']}") is None

    def _settle(self, send: JournalEntry, found: Mapping[str, Any]) -> TransactionReceipt:
        receipt = receipt_of(send["label"], found)
        self._notice_reorganised()  # this receipt is to vouch for those before it
        self._write("receipt", receipt.as_json())
        before = self._before.pop(send["hash"], None)
        if before is not None and receipt.succeeded and _deeds(before) != _deeds(receipt):
            raise DeedsChanged(
                f'The block of "{receipt.label}" was reorganised; in its new block '
                f"{receipt.block_number} it did {_deeds(receipt)}, before it did {_deeds(before)}. "
                "The journal has the new receipt: see that the round's files agree with it, then "
                "repeat the command."
            )
        return receipt

    def compare_all(self) -> None:
        """Compare every receipt of the journal with the chain, for audits.

        Raises
        ------
        JournalMismatch
            With the line of the send and both values.
        """
        for receipt in self.receipts:
            key = receipt.transaction_hash.hex()
            found = self._rpc.ask("eth_getTransactionReceipt", f"0x{key}")
            here = None if found is None else receipt_of(receipt.label, found)
            if here != receipt:
                line = self._sends[key].line
                raise JournalMismatch(
                    self._journal.path, line, f'receipt of "{receipt.label}"', receipt, here
                )


def _is_signed(send: JournalEntry) -> bool:
    """Whether the bytes of a send are what it says, by whom it says."""
    from eth_account import Account

    try:
        raw = HexBytes(send["raw"])
        found = TypedTransaction.from_bytes(raw).as_dict()
        signer = str(Account.recover_transaction(raw))
    except Exception:  # whatever bytes of anybody make the libraries stumble over
        return False
    to = bytes(found["to"])
    intent = intent_of(
        signer,
        str(to_checksum_address(to)) if to else None,
        bytes(found["data"]),
        int(found["value"]),
    )
    written = {key: send[key] for key in intent}
    return (
        written == intent
        and send["hash"] == keccak(raw).hex()
        and send["nonce"] == found["nonce"]
        and isinstance(send["label"], str)
    )


def receipt_of(label: str, found: Mapping[str, Any]) -> TransactionReceipt:
    """A receipt as the endpoint tells it."""
    contract = found.get("contractAddress")
    succeeded = quantity(found["status"]) == 1
    return TransactionReceipt(
        label=label,
        transaction_hash=_bytes(found["transactionHash"]),
        block_number=quantity(found["blockNumber"]),
        gas_used=quantity(found["gasUsed"]),
        succeeded=succeeded,
        block_hash=_bytes(found["blockHash"]),
        contract_address=str(to_checksum_address(contract)) if contract and succeeded else None,
        logs=tuple(log_of(log) for log in found["logs"]),
    )


def log_of(found: Mapping[str, Any]) -> Log:
    """A log as the endpoint tells it."""
    return Log(
        address=str(to_checksum_address(found["address"])),
        topics=tuple(_bytes(topic) for topic in found["topics"]),
        data=_bytes(found["data"]),
        block_number=quantity(found["blockNumber"]),
        transaction_hash=_bytes(found["transactionHash"]),
        log_index=quantity(found["logIndex"]),
    )


def quantity(text: str | int) -> int:
    """A number as JSON-RPC spells it."""
    return text if isinstance(text, int) else int(text, 16)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _deeds(receipt: TransactionReceipt) -> list[str]:
    """What a transaction did, wherever it was mined."""
    logs = [f"0x{b''.join((*log.topics, log.data)).hex()}" for log in receipt.logs]
    return [f"create {receipt.contract_address}"] * bool(receipt.contract_address) + logs
