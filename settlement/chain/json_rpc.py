"""A chain behind a JSON-RPC endpoint: any node that speaks Ethereum's protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from settlement.chain.chain import Chain
from settlement.chain.delivery import Delivery, log_of, quantity
from settlement.chain.errors import (
    ChainSpecError,
    ClockError,
    FeeCapExceeded,
    JournalFault,
    JournalMismatch,
    Reverted,
    RpcFailed,
    TransactionRefused,
    WrongChain,
)
from settlement.chain.journal import Journal, JournalEntry
from settlement.chain.keys import AskPassword, KeyRing
from settlement.chain.records import Log, Transaction, TransactionReceipt, intent_of
from settlement.chain.reverts import NO_REASON, OUT_OF_GAS, revert_reason
from settlement.chain.rpc import RpcClient, endpoint_address
from settlement.chain.spec import ChainSpec

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["JsonRpcChain"]


LOG_PAGE_BLOCKS = 10_000
"""Blocks whose logs are asked for at once; fewer where an endpoint refuses so many."""

SHORTEST_PAGE_BLOCKS = 100

REPLIES_MISSED = 3
"""An endpoint is gone after this many reply timeouts without a reply."""


class JsonRpcChain(Chain):
    """The chain of an endpoint, and the journal of this round on it."""

    def __init__(
        self, journal: Journal, spec: ChainSpec, ask_password: AskPassword | None = None
    ) -> None:
        super().__init__(journal)
        self._spec = spec
        self._keys = KeyRing(spec.addresses, spec.keystore, ask_password)
        self._rpc = RpcClient(
            endpoint_address(spec.provider),
            spec.reply_timeout_s,
            patience_s=min(REPLIES_MISSED * spec.reply_timeout_s, spec.patience_s),
        )
        self.chain_id = quantity(self._rpc.ask("eth_chainId"))
        self._check_chain()
        endpoint = journal.entries[0] if journal.entries else self._begin()
        self._check_endpoint(endpoint)
        self.started_at = endpoint["timestamp"]
        self.started_block = endpoint["block"]
        self._delivery = Delivery(
            journal, self._rpc, spec.confirmations, spec.patience_s, self._keys.holds
        )
        if journal.read_only:
            self._delivery.compare_all()
        self._catch_up()

    # Beginning

    def _check_chain(self) -> None:
        if self.chain_id != self._spec.chain_id:
            raise WrongChain(
                f"The endpoint serves chain {self.chain_id}; the round is for chain "
                f"{self._spec.chain_id}. Nothing was sent; correct the provider or the chain_id."
            )

    def _begin(self) -> JournalEntry:
        latest = self._block("latest")
        return self.journal.append(
            "endpoint",
            {
                "chain_id": self.chain_id,
                "genesis_hash": self._block("0x0")["hash"],
                "block": quantity(latest["number"]),
                "timestamp": quantity(latest["timestamp"]),
            },
        )

    def _check_endpoint(self, endpoint: JournalEntry) -> None:
        """Test networks share chain ids; their first blocks differ."""
        if endpoint.kind != "endpoint":
            raise ChainSpecError("This folder's chain is in-process; keep it or start another.")
        if not all(isinstance(endpoint.fields.get(key), int) for key in ("timestamp", "block")):
            told = "no time and block at which it began. Somebody has made it up: take it away."
            raise JournalFault(self.journal.path, endpoint.line, told)
        found = {"chain_id": self.chain_id, "genesis_hash": self._block("0x0")["hash"]}
        for key, value in found.items():
            if endpoint.fields.get(key) != value:
                raise WrongChain(
                    f"The endpoint's {key.replace('_', ' ')} is {value}; the journal began on one "
                    f"with {endpoint.fields.get(key)!s:.80}. Nothing was sent; name the endpoint "
                    "of that chain."
                )

    # Sending

    def _catch_up(self) -> None:
        if not self.journal.read_only:
            self._delivery.catch_up()
        # The last attempt of each label, and what became of that attempt.
        self._sends = {entry["label"]: entry for entry in self._delivery.sends}
        self._receipts = {
            receipt.label: receipt
            for receipt in self._delivery.receipts
            if self._sends[receipt.label]["hash"] == receipt.transaction_hash.hex()
        }

    def _next_nonce(self, address: str) -> int:
        return self._delivery.next_nonce(address)

    def _fees_wei(self, affordable_wei: int) -> tuple[int, int]:
        """The cap, or as much of it as the account can pay.

        A unit of gas costs base fee and tip, whatever the most is. The cap as the most keeps the
        bytes good for as long as the round is willing to pay, so they are never signed anew.
        """
        tip_wei, cap_wei = self._spec.priority_fee_wei, self._spec.max_fee_wei
        base_fee_wei = quantity(self._block("latest").get("baseFeePerGas", "0x0"))
        least_wei = base_fee_wei + tip_wei
        if least_wei > cap_wei:
            raise FeeCapExceeded(
                f"A unit of gas costs {least_wei} wei now (base fee {base_fee_wei}); the round "
                f"pays at most {cap_wei}. Wait, or raise max_fee_wei. Nothing was sent."
            )
        return max(least_wei, min(cap_wei, affordable_wei)), tip_wei

    def _carried_out(self, label: str, intent: dict[str, Any]) -> TransactionReceipt | None:
        """As the journal says, if the endpoint knows the very transaction.

        The journal's digests show that it was not changed, not who wrote it: whoever hands out a
        folder with one could make a party believe that it has long sent something.
        """
        receipt = super()._carried_out(label, intent)
        if receipt is not None:
            found = self._intent_of(receipt.transaction_hash)
            if found != intent:
                line, path = self._sends[label].line, self.journal.path
                raise JournalMismatch(path, line, f'that "{label}" was sent:', intent, found)
        return receipt

    def _intent_of(self, transaction_hash: bytes) -> dict[str, Any] | None:
        """What a transaction that succeeded on the chain did; None if there is none."""
        try:
            found = self.transaction(transaction_hash)
        except RpcFailed:
            return None
        if not found.succeeded:
            return None
        return intent_of(found.sender, found.to, found.data, found.value_wei)

    def _deliver(self, send: JournalEntry) -> TransactionReceipt | None:
        self._delivery.deliver(send)
        self._catch_up()  # with what else a reorganised block has taken
        return self._delivery.settled(send)

    def advance_to(self, timestamp: int) -> None:
        """Nothing if the chain is there already; otherwise somebody has to wait."""
        now = self.timestamp()
        if now < timestamp:
            raise ClockError(
                f"This chain keeps real time: it is {now}, {timestamp - now} s before {timestamp}. "
                "Repeat the command then."
            )

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
        limit = quantity(self._block("latest")["gasLimit"])
        if gas is not None and gas > limit:
            raise TransactionRefused(
                f"{gas} gas asked for; a block takes {limit}. Ask for less or split the "
                "transaction."
            )
        wanted = {"data": f"0x{data.hex()}", "value": hex(value_wei), "gas": hex(gas or limit)}
        if to is not None:
            wanted["to"] = to
        if sender is not None:
            wanted["from"] = sender
        try:
            # Pending: deadlines are judged by the time of the next block, not of the last one.
            return bytes.fromhex(self._rpc.ask("eth_call", wanted, "pending").removeprefix("0x"))
        except RpcFailed as error:
            reason = _reason_of(error)
            if reason is None:
                raise TransactionRefused(
                    f"The chain refuses it before executing it: {error.reply}"
                ) from error
            raise Reverted(reason) from error

    def logs(self, address: str, from_block: int = 0) -> list[Log]:
        """Logs of one contract since a block, in the order in which they were written.

        Hosted endpoints refuse long ranges: give ``started_block`` for what this round logged.
        """
        wanted = {"address": address, "fromBlock": hex(from_block), "toBlock": "latest"}
        return [log_of(log) for log in self._rpc.ask("eth_getLogs", wanted)]

    def history(self, address: str, topic: bytes, is_first: Callable[[Log], bool]) -> list[Log]:
        """Logs of one contract whose second topic is this, from the first of its kind on.

        Hosted endpoints refuse long ranges, each at a length of its own: a page that is refused is
        asked for again at half its length.
        """
        found: list[Log] = []
        last, page = self.block_number(), LOG_PAGE_BLOCKS
        while last >= 0:
            first = max(0, last - page + 1)
            wanted = {
                "address": address,
                "topics": [None, f"0x{topic.hex()}"],
                "fromBlock": hex(first),
                "toBlock": hex(last),
            }
            try:
                logs = [log_of(log) for log in self._rpc.ask("eth_getLogs", wanted)]
            except RpcFailed:
                if page <= SHORTEST_PAGE_BLOCKS:
                    raise
                page //= 2
                continue
            found = logs + found
            if any(is_first(log) for log in logs):
                break
            last = first - 1
        return found

    def transaction(self, transaction_hash: bytes) -> Transaction:
        """A transaction as the endpoint tells it."""
        key = f"0x{transaction_hash.hex()}"
        found = self._rpc.ask("eth_getTransactionByHash", key)
        receipt = self._rpc.ask("eth_getTransactionReceipt", key)
        if found is None or receipt is None:
            raise RpcFailed("eth_getTransactionByHash", None, f"no transaction {key}")
        to = found.get("to")
        return Transaction(
            transaction_hash=transaction_hash,
            sender=str(to_checksum_address(found["from"])),
            to=None if to is None else str(to_checksum_address(to)),
            data=bytes.fromhex(found["input"].removeprefix("0x")),
            value_wei=quantity(found["value"]),
            block_number=quantity(receipt["blockNumber"]),
            gas_used=quantity(receipt["gasUsed"]),
            succeeded=quantity(receipt["status"]) == 1,
        )

    def balance(self, address: str) -> int:
        """Balance in wei."""
        return quantity(self._rpc.ask("eth_getBalance", address, "latest"))

    def code(self, address: str) -> bytes:
        """Code at an address; empty where there is no contract."""
        return bytes.fromhex(self._rpc.ask("eth_getCode", address, "latest").removeprefix("0x"))

    def block_number(self) -> int:
        """Number of the newest block."""
        return quantity(self._rpc.ask("eth_blockNumber"))

    def timestamp(self) -> int:
        """The time that a transaction sent now would see, as the endpoint expects it."""
        try:
            pending = self._rpc.ask("eth_getBlockByNumber", "pending", False)
        except RpcFailed:  # not every node builds one
            pending = None
        return quantity((pending or self._block("latest"))["timestamp"])

    def state_root(self) -> bytes:
        """State root of the newest block."""
        return bytes.fromhex(self._block("latest")["stateRoot"].removeprefix("0x"))

    def account(self, name: str) -> LocalAccount:
        """The account of a name, from its keystore file or the environment."""
        return self._keys.account(name)

    def address(self, name: str) -> str:
        """The address of a name, without its key where that is possible."""
        return self._keys.address(name)

    def _block(self, which: str) -> dict[str, Any]:
        block = self._rpc.ask("eth_getBlockByNumber", which, False)
        if block is None:
            raise RpcFailed("eth_getBlockByNumber", None, f"the endpoint has no block {which}")
        found: dict[str, Any] = block
        return found


def _reason_of(error: RpcFailed) -> str | None:
    """The sentence of a revert, whichever way the endpoint wraps it; None if it is not one."""
    words = error.reply.lower().replace(" ", "")
    if "outofgas" in words:
        return OUT_OF_GAS
    data = error.data
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    text = data.removeprefix("Reverted ").removeprefix("0x") if isinstance(data, str) else ""
    try:
        returned = bytes.fromhex(text)
    except ValueError:
        returned = b""
    if returned:
        return revert_reason(returned)
    return NO_REASON if "revert" in words else None
