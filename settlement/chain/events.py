"""What the escrow logs, as frozen records, and the ledger that the logs alone add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from settlement.errors import BrokenInvariant
from settlement.terms import Transfer, decode_transfers

__all__ = [
    "Deposited",
    "Endorsed",
    "EscrowEvent",
    "PartiesRegistered",
    "RoundLedger",
    "RoundOpened",
    "RoundTerms",
    "Settled",
    "Withdrawn",
    "event_of",
    "ledger_of",
]

ETHER = "0x0000000000000000000000000000000000000000"
"""The asset of a round that settles in ether."""


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """What the contract itself knows of a round's terms; set at its opening, for ever.

    The order of the fields is that of the contract's struct.
    """

    terms_hash: bytes
    asset: str  # token address, or `ETHER`
    unit_scale: int  # wei of the asset a base unit
    exchange_rate: int  # base units a unit of value
    bond_wei: int  # ether; 0: no optimistic way
    funding_deadline: int
    settlement_deadline: int
    challenge_window: int  # seconds
    n_parties: int


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
class Settled:
    """A plan was carried out."""

    round_id: int
    plan_id: bytes
    table_hash: bytes
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A party took its whole claim out."""

    round_id: int
    party: int
    recipient: str
    units: int


EscrowEvent = RoundOpened | PartiesRegistered | Deposited | Endorsed | Settled | Withdrawn

_RECORDS: dict[str, type[Any]] = {
    record.__name__: record
    for record in (RoundOpened, PartiesRegistered, Deposited, Endorsed, Settled, Withdrawn)
}


def event_of(name: str, fields: dict[str, Any]) -> EscrowEvent:
    """The record of a decoded log."""
    values = dict(fields)
    if "terms" in values:
        from eth_utils import to_checksum_address

        terms = list(values["terms"])
        terms[1] = to_checksum_address(terms[1])
        values["terms"] = RoundTerms(*terms)
    if "transfers" in values:
        values["transfers"] = decode_transfers(values["transfers"])
    event: EscrowEvent = _RECORDS[name](**values)
    return event


@dataclass(frozen=True, slots=True)
class RoundLedger:
    """One round as its events tell it; indexed by party."""

    terms: RoundTerms
    operator: str
    parties: tuple[str, ...]
    deposits_units: tuple[int, ...]
    plan_id: bytes | None
    table_hash: bytes | None
    transfers: tuple[Transfer, ...]
    claims_units: tuple[int, ...]  # what is still in the escrow
    withdrawn_units: tuple[int, ...]

    @property
    def terms_hash(self) -> bytes:
        """SHA-256 of the terms that the deposits named."""
        return self.terms.terms_hash


def ledger_of(events: Iterable[EscrowEvent]) -> RoundLedger:
    """Add up the events of one round, in the order in which they were logged.

    Raises
    ------
    BrokenInvariant
        If a transfer or withdrawal exceeds what the events before it left: not a log of the escrow.
    """
    opened: RoundOpened | None = None
    settled: Settled | None = None
    parties: list[str] = []
    deposits: list[int] = []
    claims: list[int] = []
    withdrawn: list[int] = []
    for event in events:
        match event:
            case RoundOpened():
                opened = event
            case PartiesRegistered():
                parties.extend(event.parties)
                for column in (deposits, claims, withdrawn):
                    column.extend([0] * len(event.parties))
            case Deposited():
                deposits[event.party] += event.units
                claims[event.party] += event.units
            case Settled():
                settled = event
                for transfer in event.transfers:
                    claims[transfer.debtor] -= transfer.amount_units
                    claims[transfer.creditor] += transfer.amount_units
            case Withdrawn():
                withdrawn[event.party] += event.units
                claims[event.party] -= event.units
        if min(claims, default=0) < 0:
            party = claims.index(min(claims))
            raise BrokenInvariant(
                f"After {event} party {party} has {claims[party]} base units; expected 0 or more."
            )
    if opened is None:
        raise BrokenInvariant("The events open no round; expected RoundOpened first.")
    return RoundLedger(
        terms=opened.terms,
        operator=opened.operator,
        parties=tuple(parties),
        deposits_units=tuple(deposits),
        plan_id=settled.plan_id if settled else None,
        table_hash=settled.table_hash if settled else None,
        transfers=settled.transfers if settled else (),
        claims_units=tuple(claims),
        withdrawn_units=tuple(withdrawn),
    )
