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
    "BondReleased",
    "BondWithdrawn",
    "Challenged",
    "ChunkNoted",
    "Deposited",
    "Endorsed",
    "EscrowEvent",
    "PartiesRegistered",
    "Proposed",
    "RoundOpened",
    "RoundState",
    "RoundTerms",
    "Settled",
    "TableCommitted",
    "Withdrawn",
    "event_of",
]

ETHER = "0x0000000000000000000000000000000000000000"
"""The asset of a round that settles in ether."""


class RoundState(IntEnum):
    """States of a round, numbered as in the contract.

    A round that is not settled or void when its settlement deadline passes has expired: every
    party takes its deposit back.
    """

    NONE = 0
    OPENING = 1
    FUNDING = 2
    COMMITTED = 3
    PROPOSED = 4
    AGREED = 5
    SETTLING = 6
    SETTLED = 7
    SETTLED_IN_CHUNKS = 8
    VOID = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTerms:
    """What the contract itself knows of a round's terms; set at its opening, for ever.

    The order of the fields is that of the contract's struct; the optimistic way needs those that
    are 0 by default.
    """

    terms_hash: bytes
    asset: str = ETHER  # token address, or `ETHER`
    unit_scale: int  # wei of the asset a base unit
    exchange_rate: int = 0  # base units a unit of value
    bond_wei: int = 0  # ether; 0: no optimistic way
    funding_deadline: int
    settlement_deadline: int
    challenge_window: int = 0  # seconds
    caps_hash: bytes = bytes(32)  # SHA-256 of the wanted values, 8 bytes each; zeros: no caps
    n_parties: int

    @classmethod
    def of(cls, values: Sequence[Any]) -> RoundTerms:
        """The terms that the contract's struct holds."""
        from eth_utils.address import to_checksum_address

        named = dict(zip((field.name for field in fields(cls)), values, strict=True))
        return cls(**named | {"asset": str(to_checksum_address(named["asset"]))})

    def agreement(self, operator: str, parties: Sequence[str]) -> bytes:
        """What every deposit names: one hash of the operator, these terms and all parties.

        The contract keeps the same hash of what a round was opened with, so money that is meant
        for one round cannot land in another. Addresses by order of party.
        """
        figures = (getattr(self, field.name) for field in fields(self))
        link = sha256(b"".join(_word(figure) for figure in (operator, *figures))).digest()
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
    """A party locked more base units."""

    round_id: int
    party: int
    units: int


@dataclass(frozen=True, slots=True)
class Endorsed:
    """The first ``n_signatures`` parties have signed a plan."""

    round_id: int
    plan_id: bytes
    table_hash: bytes
    n_signatures: int


@dataclass(frozen=True, slots=True)
class TableCommitted:
    """The operator named the value table."""

    round_id: int
    table_hash: bytes


@dataclass(frozen=True, slots=True)
class Proposed:
    """The operator posted plan and allocation; open to challenge until ``window_end``."""

    round_id: int
    plan_id: bytes
    window_end: int
    transfers: tuple[Transfer, ...]
    posting: bytes
    table: bytes


@dataclass(frozen=True, slots=True)
class Challenged:
    """A proposal was held against its rules; ``fault`` 0 means that it stood."""

    round_id: int
    challenger: str
    fault: int


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
    """A party took its whole claim out."""

    round_id: int
    party: int
    recipient: str
    units: int


@dataclass(frozen=True, slots=True)
class BondReleased:
    """A bond is its owner's to withdraw."""

    round_id: int
    owner: str
    amount_wei: int


@dataclass(frozen=True, slots=True)
class BondWithdrawn:
    """An owner took its free bonds out."""

    owner: str
    recipient: str
    amount_wei: int


EscrowEvent = (
    RoundOpened
    | PartiesRegistered
    | Deposited
    | TableCommitted
    | Endorsed
    | Proposed
    | Challenged
    | ChunkNoted
    | Settled
    | Withdrawn
    | BondReleased
    | BondWithdrawn
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
