"""What a chain hands back: receipts and logs, frozen, and their form in the journal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import index
from typing import Any

from settlement.money.terms import Receipt

__all__ = ["Log", "Transaction", "TransactionReceipt", "intent_of"]


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain keeps it; ``topics[0]`` is the hash of its signature."""

    address: str  # checksummed, 0x...
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    transaction_hash: bytes
    log_index: int  # position within its block

    def as_json(self) -> dict[str, Any]:
        """Address, topics and data; block, hash and order are the receipt's."""
        return {
            "address": self.address,
            "topics": [topic.hex() for topic in self.topics],
            "data": self.data.hex(),
            "log_index": self.log_index,
        }


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of the chain, whoever sent it, with what became of it."""

    transaction_hash: bytes
    sender: str  # checksummed, 0x...
    to: str | None  # None: it created a contract
    data: bytes
    value_wei: int
    block_number: int
    gas_used: int
    succeeded: bool


@dataclass(frozen=True, slots=True)
class TransactionReceipt(Receipt):
    """A `Receipt` with its block and with what the transaction created and logged."""

    block_hash: bytes = b""  # commits to the block's time and to everything before it
    contract_address: str | None = None
    logs: tuple[Log, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Fields of a journal entry of kind ``receipt``."""
        return {
            "label": self.label,
            "hash": self.transaction_hash.hex(),
            "status": int(self.succeeded),
            "block": self.block_number,
            "block_hash": self.block_hash.hex(),
            "gas_used": self.gas_used,
            "contract": self.contract_address,
            "logs": [log.as_json() for log in self.logs],
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> TransactionReceipt:
        """The inverse of `as_json`; keys that are not a receipt's are ignored."""
        transaction_hash = bytes.fromhex(entry["hash"])
        return cls(
            label=entry["label"],
            transaction_hash=transaction_hash,
            block_number=index(entry["block"]),
            gas_used=index(entry["gas_used"]),
            succeeded=entry["status"] == 1,
            block_hash=bytes.fromhex(entry["block_hash"]),
            contract_address=entry["contract"],
            logs=tuple(
                Log(
                    address=log["address"],
                    topics=tuple(bytes.fromhex(topic) for topic in log["topics"]),
                    data=bytes.fromhex(log["data"]),
                    block_number=entry["block"],
                    transaction_hash=transaction_hash,
                    log_index=log["log_index"],
                )
                for log in entry["logs"]
            ),
        )


def intent_of(sender: str, to: str | None, data: bytes, value_wei: int) -> dict[str, Any]:
    """What a transaction is meant to do; nonce, fees and gas may differ from try to try."""
    return {
        "sender": sender,
        "to": to,
        "data_sha256": hashlib.sha256(data).hexdigest(),
        "value_wei": str(value_wei),  # beyond what every JSON reader keeps exact
    }
