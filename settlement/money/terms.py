"""The frozen types of settlement. Whole numbers only: no float ever enters this module."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from settlement.errors import PlanError

__all__ = [
    "CHUNK_TRANSFERS",
    "MAX_AMOUNT_UNITS",
    "MAX_ROUND_PARTIES",
    "MAX_SHOWN_TRANSFERS",
    "PARTY_NUMBERS",
    "TRANSFER_BYTES",
    "WHOLE_TRANSFERS",
    "NetPosition",
    "Receipt",
    "RoundReference",
    "SettlementPlan",
    "Transfer",
    "decode_transfers",
    "net_positions_of",
]

MAX_AMOUNT_UNITS = 2**63 - 1
"""Largest amount of one party or transfer: the contract keeps 63 bits a party."""

PARTY_NUMBERS = 2**16
"""Party indices are packed into two bytes."""

MAX_ROUND_PARTIES = 2**15
"""Most parties that the contract registers in one round."""

MAX_SHOWN_TRANSFERS = 64
"""Most parties and transfers of a plan whose transfers are signed, and shown, one by one."""

TRANSFER_BYTES = 12
"""One packed transfer: debtor (2 bytes), creditor (2 bytes), amount (8 bytes), big-endian."""

WHOLE_TRANSFERS = 1024
"""Most transfers of a plan, and parties of its round, that are carried out in one transaction."""

CHUNK_TRANSFERS = 256
"""Transfers of one chunk of a larger plan: any chunk of so many fits one transaction."""


@dataclass(frozen=True, slots=True)
class NetPosition:
    """Received minus paid by one party, in base units; negative means that it pays."""

    party: int
    amount_units: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One debtor, one creditor, one positive amount in base units.

    Raises
    ------
    PlanError
        If a party index does not fit two bytes, a party would pay itself, or the amount
        is not between 1 and 2**63 - 1.
    """

    debtor: int
    creditor: int
    amount_units: int

    def __post_init__(self) -> None:
        for role, party in (("debtor", self.debtor), ("creditor", self.creditor)):
            if not 0 <= party < PARTY_NUMBERS:
                raise PlanError(f"Transfer has {role} {party}; expected 0 to {PARTY_NUMBERS - 1}.")
        if self.debtor == self.creditor:
            raise PlanError(f"Transfer from party {self.debtor} to itself; expected two parties.")
        if not 1 <= self.amount_units <= MAX_AMOUNT_UNITS:
            raise PlanError(
                f"Transfer from party {self.debtor} to party {self.creditor} of "
                f"{self.amount_units} base units; expected 1 to {MAX_AMOUNT_UNITS}."
            )

    def encode(self) -> bytes:
        """Pack into the 12 bytes that the contract reads."""
        return (
            self.debtor.to_bytes(2, "big")
            + self.creditor.to_bytes(2, "big")
            + self.amount_units.to_bytes(8, "big")
        )


def decode_transfers(packed: bytes) -> tuple[Transfer, ...]:
    """Transfers from their packed form, in order; the inverse of joining `Transfer.encode`."""
    if len(packed) % TRANSFER_BYTES:
        raise PlanError(
            f"Packed transfers have {len(packed)} bytes; expected a multiple of {TRANSFER_BYTES}."
        )
    chunks = (packed[k : k + TRANSFER_BYTES] for k in range(0, len(packed), TRANSFER_BYTES))
    return tuple(
        Transfer(
            int.from_bytes(chunk[:2], "big"),
            int.from_bytes(chunk[2:4], "big"),
            int.from_bytes(chunk[4:], "big"),
        )
        for chunk in chunks
    )


@dataclass(frozen=True, slots=True)
class RoundReference:
    """Names one round of one escrow on one chain, so that nothing signed for it fits another.

    ``agreement`` is the hash of chain, escrow, operator, terms and parties that deposits name.
    """

    chain_id: int
    escrow: str  # checksummed 20-byte address, 0x...
    round_id: int
    agreement: bytes
    n_parties: int

    @property
    def key(self) -> bytes:
        """SHA-256 of chain id, escrow address and round id, 32 bytes each."""
        return hashlib.sha256(
            self.chain_id.to_bytes(32, "big")
            + bytes(12)
            + bytes.fromhex(self.escrow[2:])
            + self.round_id.to_bytes(32, "big")
        ).digest()


@dataclass(frozen=True)
class SettlementPlan:
    """Ordered transfers of one round; carried out together or not at all."""

    round: RoundReference
    transfers: tuple[Transfer, ...]

    def encode(self) -> bytes:
        """Packed transfers, 12 bytes each, as the contract takes them."""
        return b"".join(transfer.encode() for transfer in self.transfers)

    @property
    def chunks(self) -> tuple[bytes, ...]:
        """Packed transfers as they are sent: one chunk, or several that take effect together."""
        packed = self.encode()
        if max(len(self.transfers), self.round.n_parties) <= WHOLE_TRANSFERS:
            return (packed,)
        size = TRANSFER_BYTES * CHUNK_TRANSFERS
        return tuple(packed[k : k + size] for k in range(0, len(packed) or 1, size))

    @cached_property
    def links(self) -> tuple[bytes, ...]:
        """One hash a chunk: SHA-256 of the round's key, the chunk, and the next chunk's link.

        Each link commits to all that follows, so a chunk that is left out, repeated or out of
        order is recognised when it is sent.
        """
        key = self.round.key
        links: list[bytes] = []
        following = b""
        for chunk in reversed(self.chunks):
            following = hashlib.sha256(key + chunk + following).digest()
            links.append(following)
        return tuple(reversed(links))

    @property
    def plan_id(self) -> bytes:
        """Content hash: the first link, for one chunk SHA-256 of round key and packed transfers.

        SHA-256 rather than Keccak: this module stays free of chain libraries, and both the
        EVM and every shell have it.
        """
        return self.links[0]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof from the chain that a labelled transaction was carried out."""

    label: str  # what it was for, unique within a journal: "settle", "deposit/2"
    transaction_hash: bytes
    block_number: int
    gas_used: int
    succeeded: bool


def net_positions_of(transfers: Iterable[Transfer], n_parties: int) -> Sequence[NetPosition]:
    """Net positions that a list of transfers brings about, in party order; they sum to 0."""
    amounts = [0] * n_parties
    for transfer in transfers:
        amounts[transfer.debtor] -= transfer.amount_units
        amounts[transfer.creditor] += transfer.amount_units
    return tuple(NetPosition(party, amount) for party, amount in enumerate(amounts))
