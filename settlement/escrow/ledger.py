"""One round as the escrow's events alone add it up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from settlement.errors import BrokenInvariant
from settlement.escrow.events import (
    ChunkNoted,
    Closed,
    Deposited,
    EscrowEvent,
    PartiesRegistered,
    Revoked,
    RoundOpened,
    RoundTerms,
    Settled,
    Withdrawn,
)
from settlement.money.terms import Transfer

__all__ = ["RoundLedger", "hash_of_deposits", "ledger_of"]


@dataclass(frozen=True, slots=True)
class RoundLedger:
    """One round as its events tell it; indexed by party."""

    terms: RoundTerms
    operator: str
    parties: tuple[str, ...]
    deposits_units: tuple[int, ...]
    plan_id: bytes | None  # of the plan that was carried out
    transfers: tuple[Transfer, ...]
    claims_units: tuple[int, ...]  # what is still in the escrow
    withdrawn_units: tuple[int, ...]
    closed: frozenset[int]  # parties that deposit no more
    revocations: int
    deposits_hash: bytes  # what signatures name, of rounds by signatures

    @property
    def terms_hash(self) -> bytes:
        """SHA-256 of the terms that the deposits named."""
        return self.terms.terms_hash


def hash_of_deposits(before: bytes, party: int, units: int) -> bytes:
    """What the contract keeps of all deposits of a round by signatures, after one more."""
    return sha256(before + party.to_bytes(32, "big") + units.to_bytes(32, "big")).digest()


def ledger_of(events: Iterable[EscrowEvent]) -> RoundLedger:
    """Add up the events of one round, in the order in which they were logged.

    Raises
    ------
    BrokenInvariant
        If a transfer or withdrawal exceeds what the events before it left: not a log of the escrow.
    """
    opened: RoundOpened | None = None
    plan_id: bytes | None = None
    chunks: list[ChunkNoted] = []
    transfers: list[Transfer] = []
    parties: list[str] = []
    deposits: list[int] = []
    claims: list[int] = []
    withdrawn: list[int] = []
    closed: set[int] = set()
    revocations = 0
    deposits_hash = bytes(32)
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
                if opened is not None and not opened.terms.by_proof:
                    deposits_hash = hash_of_deposits(deposits_hash, event.party, event.units)
            case Closed():
                closed.add(event.party)
            case Revoked():
                revocations = event.revocations
            case ChunkNoted():
                chunks.append(event)
            case Settled():
                plan_id = chunks[0].plan_id if chunks else event.plan_id
                transfers = [t for part in chunks for t in part.transfers]
                transfers.extend(event.transfers)
                for transfer in transfers:
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
        plan_id=plan_id,
        transfers=tuple(transfers),
        claims_units=tuple(claims),
        withdrawn_units=tuple(withdrawn),
        closed=frozenset(closed),
        revocations=revocations,
        deposits_hash=deposits_hash,
    )
