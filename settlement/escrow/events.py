"""Terms, states and events of the escrow's rounds as frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from hashlib import sha256
from typing import Any, get_args

from settlement.money.terms import Transfer, decode_transfers

__all__ = [
    "ETHER",
    "NOBODY",
    "ChunkNoted",
    "Closed",
    "Deposited",
    "Endorsed",
    "EscrowEvent",
    "PartiesRegistered",
    "PayoutFailed",
    "Revoked",
    "RoundOpened",
    "RoundState",
    "RoundTerms",
    "Settled",
    "Withdrawn",
    "event_of",
]

ETHER = "0x0000000000000000000000000000000000000000"
"""The asset of a round that settles in ether."""
NOBODY = ETHER
"""The zero address as a payout: the party withdraws by itself."""


class RoundState(IntEnum):
    """States of a round, numbered as in the contract.

    A round that is not settled when its settlement deadline passes has expired, and one that is
    funded below its quorum has failed: every party takes its deposit back.
    """

    NONE = 0
    OPENING = 1
    FUNDING = 2
    SETTLING = 3
    SETTLED = 4
    SETTLED_IN_CHUNKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTerms:
    """What the contract itself knows of a round's terms; set at its opening, for ever.

    The order of the fields is that of the contract's struct.
    """

    terms_hash: bytes
    game_hash: bytes  # `Game.hash` for up to 64 parties, SHA-256 of the file of flows beyond
    asset: str = ETHER  # token address, or `ETHER`
    unit_scale: int  # wei of the asset a base unit
    exchange_rate: int = 0  # base units a unit of value; needed for a proof
    quorum_units: int = 0  # least sum of deposits; 0: none
    funding_deadline: int
    settlement_deadline: int
    n_parties: int
    by_proof: bool  # else by signatures

    @classmethod
    def of(cls, values: Sequence[Any]) -> RoundTerms:
        """The terms that the contract's struct holds."""
        from eth_utils.address import to_checksum_address

        named = dict(zip((field.name for field in fields(cls)), values, strict=True))
        return cls(**named | {"asset": str(to_checksum_address(named["asset"]))})

    def agreement(self, chain_id: int, escrow: str, operator: str, parties: Sequence[str]) -> bytes:
        """What every deposit names: one hash of chain, escrow, operator, these terms and parties.

        The contract keeps the same hash of what a round was opened with and opens no second round
        of it, so money that is meant for one round cannot land in another. Addresses by order of
        party.
        """
        figures = (getattr(self, field.name) for field in fields(self))
        words = (_word(figure) for figure in (chain_id, escrow, operator, *figures))
        link = sha256(b"".join(words)).digest()
        for party in parties:
            link = sha256(link + _word(party)).digest()
        return link


def _word(figure: str | int | bytes) -> bytes:
    """A number, a hash or an address as the contract's 32 bytes."""
    if isinstance(figure, bytes):
        return figure
    return (int(figure, 16) if isinstance(figure, str) else figure).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class RoundOpened:
    """A round began."""

    round_id: int
    operator: str
    terms: RoundTerms


@dataclass(frozen=True, slots=True)
class PartiesRegistered:
    """Parties ``first_party``, ``first_party + 1`` ... of a round."""

    round_id: int
    first_party: int
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deposited:
    """A party locked more base units; ``payout`` is where anyone may have it paid out."""

    round_id: int
    party: int
    units: int
    payout: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A party will deposit no more."""

    round_id: int
    party: int
    payout: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """A party took back what it had signed; ``revocations`` is what signatures must name now."""

    round_id: int
    party: int
    revocations: int


@dataclass(frozen=True, slots=True)
class Endorsed:
    """The first ``n_signatures`` parties have signed a plan in chunks."""

    round_id: int
    plan_id: bytes
    n_signatures: int


@dataclass(frozen=True, slots=True)
class ChunkNoted:
    """A chunk of a plan is in, and counts once all are; ``plan_id`` is the chunk's link."""

    round_id: int
    plan_id: bytes
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A plan was carried out; for a plan in chunks these are the last chunk's transfers."""

    round_id: int
    plan_id: bytes
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A party took its whole claim out, or was paid it out."""

    round_id: int
    party: int
    recipient: str
    units: int


@dataclass(frozen=True, slots=True)
class PayoutFailed:
    """A party could not be paid out and keeps its claim."""

    round_id: int
    party: int
    recipient: str
    units: int


EscrowEvent = (
    RoundOpened
    | PartiesRegistered
    | Deposited
    | Closed
    | Revoked
    | Endorsed
    | ChunkNoted
    | Settled
    | Withdrawn
    | PayoutFailed
)

_RECORDS: dict[str, type[Any]] = {record.__name__: record for record in get_args(EscrowEvent)}


def event_of(name: str, found: dict[str, Any]) -> EscrowEvent:
    """The record of a decoded log."""
    values = dict(found)
    if "terms" in values:
        values["terms"] = RoundTerms.of(values["terms"])
    if "transfers" in values:
        values["transfers"] = decode_transfers(values["transfers"])
    event: EscrowEvent = _RECORDS[name](**values)
    return event
