"""The escrow's rules in plain Python: the oracle that the contract must equal, call by call.

Every method is the contract's function of that name: same result, same refusal, same events, same
balances. Who calls, when, and with how much ether are said first. Signatures are stood for by
the addresses that they recover to; what tokens do is asked of a `TwinToken`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Protocol

from settlement.escrow.events import (
    ETHER,
    BondReleased,
    BondWithdrawn,
    Challenged,
    ChunkNoted,
    Deposited,
    Endorsed,
    EscrowEvent,
    PartiesRegistered,
    Proposed,
    RoundOpened,
    RoundState,
    RoundTerms,
    Settled,
    TableCommitted,
    Withdrawn,
)
from settlement.escrow.twin_ledger import Refusal, TwinLedger, refuse_if, unpack
from settlement.money.terms import MAX_AMOUNT_UNITS, RoundReference, decode_transfers
from settlement.posting.check import check_posting
from settlement.posting.format import MAX_EXACT_PARTIES, Posting, PostingError

__all__ = ["Call", "EscrowTwin", "Refusal", "TwinToken"]

NOBODY = "0x0000000000000000000000000000000000000000"
NO_HASH = bytes(32)
MAX_PARTIES = 2**15
MAX_UNIT_SCALE = 2**96
MAX_EXCHANGE_RATE = 2**48
SMALL = 64


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, at what time, and with how much ether."""

    sender: str
    timestamp: int
    value_wei: int = 0


class TwinToken(Protocol):
    """What the escrow sees of a token."""

    def balance_of(self, owner: str) -> int:
        """Wei of the token that an address holds."""

    def transfer_from(self, sender: str, amount_wei: int) -> bool:
        """Move into the escrow; False for a revert or an answer of false."""

    def transfer(self, recipient: str, amount_wei: int) -> bool:
        """Move out of the escrow."""


@dataclass(slots=True)
class _Round:
    terms: RoundTerms
    operator: str
    key: bytes
    state: RoundState = RoundState.OPENING
    seats: dict[str, int] = field(default_factory=dict)
    claims: list[int] = field(default_factory=list)
    noted: TwinLedger | None = None
    plan_id: bytes = NO_HASH
    table_hash: bytes = NO_HASH
    posting: bytes = b""
    window_end: int = 0
    endorsements: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    @property
    def n_parties(self) -> int:
        return self.terms.n_parties


class EscrowTwin:
    """All rounds of one escrow.

    Parameters
    ----------
    chain_id, address
        Where the contract that this is the twin of lives; they are part of every round's key.
    tokens : mapping of str to TwinToken
        Tokens by address.
    can_receive : callable
        Whether an address takes ether; every one does by default.
    """

    def __init__(
        self,
        chain_id: int,
        address: str,
        tokens: Mapping[str, TwinToken] | None = None,
        can_receive: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.chain_id = chain_id
        self.address = address
        self.tokens = dict(tokens or {})
        self.can_receive = can_receive
        self.rounds: dict[int, _Round] = {}
        self.bonds: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.balance_wei = 0
        self.events: list[EscrowEvent] = []

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of a call or nothing."""
        before = deepcopy((self.rounds, self.bonds, self.held, self.balance_wei, self.events))
        try:
            yield
        except Refusal:
            self.rounds, self.bonds, self.held, self.balance_wei, self.events = before
            raise

    # Opening and funding

    def open_round(self, call: Call, terms: RoundTerms, parties: Sequence[str]) -> int:
        """Open a round; the caller becomes its operator."""
        refuse_if(not 2 <= terms.n_parties <= MAX_PARTIES, "parties not 2 to 32768")
        refuse_if(not 1 <= terms.unit_scale <= MAX_UNIT_SCALE, "unit scale out of range")
        refuse_if(terms.exchange_rate > MAX_EXCHANGE_RATE, "exchange rate too large")
        optimistic = terms.exchange_rate and terms.challenge_window and terms.n_parties <= SMALL
        refuse_if(terms.bond_wei > 0 and not optimistic, "bond without its terms")
        refuse_if(terms.bond_wei > MAX_UNIT_SCALE, "bond is above 2**96 wei")
        refuse_if(
            terms.asset != ETHER and terms.asset not in self.tokens, "asset is not a contract"
        )
        refuse_if(terms.funding_deadline <= call.timestamp, "funding deadline is past")
        refuse_if(terms.settlement_deadline <= terms.funding_deadline, "deadlines out of order")
        too_long = terms.settlement_deadline >= 2**64 or terms.challenge_window >= 2**32
        refuse_if(too_long, "clock is out of range")
        with self._transaction():
            round_id = len(self.rounds) + 1
            reference = RoundReference(self.chain_id, self.address, round_id, terms.terms_hash)
            self.rounds[round_id] = _Round(terms, call.sender, reference.key)
            self.events.append(RoundOpened(round_id, call.sender, terms))
            self._register(round_id, parties)
        return round_id

    def register(self, call: Call, round_id: int, parties: Sequence[str]) -> None:
        """Register the next parties of a round."""
        found = self._in_state(round_id, RoundState.OPENING, "round takes no parties")
        refuse_if(call.sender != found.operator, "caller is not operator")
        with self._transaction():
            self._register(round_id, parties)

    def _register(self, round_id: int, parties: Sequence[str]) -> None:
        found = self.rounds[round_id]
        first = len(found.seats)
        for party in parties:
            refuse_if(party == NOBODY, "party is address zero")
            refuse_if(party in found.seats, "party is named twice")
            found.seats[party] = len(found.seats)
        refuse_if(len(found.seats) > found.n_parties, "too many parties")
        self.events.append(PartiesRegistered(round_id, first, tuple(parties)))
        if len(found.seats) == found.n_parties:
            found.claims = [0] * found.n_parties
            found.state = RoundState.FUNDING

    def deposit(self, call: Call, round_id: int, agreement: bytes, units: int) -> None:
        """Lock base units of the caller."""
        found = self._in_state(round_id, RoundState.FUNDING, "round takes no deposits")
        refuse_if(call.timestamp > found.terms.funding_deadline, "funding deadline passed")
        party = self._party(found, call.sender)
        agreed = found.terms.agreement(found.operator, tuple(found.seats))
        refuse_if(agreement != agreed, "not the agreed round")
        refuse_if(units == 0, "deposit of nothing")
        room = MAX_AMOUNT_UNITS - sum(found.claims)
        refuse_if(units > room, "deposits exceed 63 bits")
        with self._transaction():
            found = self.rounds[round_id]
            found.claims[party] += units
            self._receive(call, found.terms.asset, units * found.terms.unit_scale)
            self.events.append(Deposited(round_id, party, units))

    # First way: everybody has signed

    def endorse(
        self,
        call: Call,
        round_id: int,
        table_hash: bytes,
        plan_id: bytes,
        signers: Sequence[str | None],
    ) -> None:
        """Record the next signatures of a plan; None stands for one that recovers to nobody."""
        found = self._open(call, round_id)
        refuse_if(found.state is RoundState.SETTLING, "chunks are already in")
        refuse_if(not signers, "not 65 bytes a signature")
        n_signed = found.endorsements.get((table_hash, plan_id), 0)
        for signer in signers:
            wrong = signer is None or found.seats.get(signer) != n_signed
            refuse_if(wrong, "signer is not next party")
            n_signed += 1
        found.endorsements[table_hash, plan_id] = n_signed
        self.events.append(Endorsed(round_id, plan_id, table_hash, n_signed))
        if n_signed == found.n_parties:
            if found.state is RoundState.PROPOSED:
                self._release_bond(round_id, found.operator, found.terms.bond_wei)
            found.plan_id = plan_id
            found.state = RoundState.AGREED

    # Second way: posted, and not disproved

    def commit_table(self, call: Call, round_id: int, table_hash: bytes) -> None:
        """Name the value table."""
        found = self._in_state(round_id, RoundState.FUNDING, "round takes no table")
        refuse_if(call.sender != found.operator, "caller is not operator")
        refuse_if(call.timestamp <= found.terms.funding_deadline, "funding is still open")
        refuse_if(call.timestamp > found.terms.settlement_deadline, "round has expired")
        found.table_hash = table_hash
        found.state = RoundState.COMMITTED
        self.events.append(TableCommitted(round_id, table_hash))

    def propose(
        self, call: Call, round_id: int, transfers: bytes, posting: bytes, table: bytes
    ) -> None:
        """Post plan and allocation with a bond."""
        found = self._in_state(round_id, RoundState.COMMITTED, "round takes no proposal")
        refuse_if(call.sender != found.operator, "caller is not operator")
        refuse_if(found.terms.bond_wei == 0, "no optimistic way")
        refuse_if(call.value_wei != found.terms.bond_wei, "ether is not the bond")
        latest = call.timestamp + 2 * found.terms.challenge_window
        refuse_if(latest > found.terms.settlement_deadline, "too late for a challenge")
        self._check_table(found, table)
        n_parties = found.n_parties
        refuse_if(len(posting) != n_parties * (8 * n_parties + 40), "wrong posting length")
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        TwinLedger(found.claims).apply(transfers)
        self._take_ether(call.value_wei)
        found.plan_id = hashlib.sha256(found.key + transfers).digest()
        found.posting = posting
        found.state = RoundState.PROPOSED
        found.window_end = call.timestamp + found.terms.challenge_window
        self.events.append(
            Proposed(
                round_id,
                found.plan_id,
                found.window_end,
                decode_transfers(transfers),
                posting,
                table,
            )
        )

    def challenge(
        self, call: Call, round_id: int, transfers: bytes, posting: bytes, table: bytes
    ) -> int:
        """Hold a proposal against its rules; the first that it breaks, or 0."""
        found = self._in_state(round_id, RoundState.PROPOSED, "no proposal to challenge")
        refuse_if(call.timestamp > found.window_end, "challenge window closed")
        bond_wei = found.terms.bond_wei
        refuse_if(call.value_wei != bond_wei, "ether is not the bond")
        plan_id = hashlib.sha256(found.key + transfers).digest()
        refuse_if(plan_id != found.plan_id, "not the posted plan")
        refuse_if(posting != found.posting, "not the posted figures")
        self._check_table(found, table)
        self._take_ether(bond_wei)
        fault = _fault(found, transfers, posting, table)
        self.events.append(Challenged(round_id, call.sender, fault))
        if fault:
            found.state = RoundState.VOID
            self._release_bond(round_id, call.sender, 2 * bond_wei)
        else:
            self._release_bond(round_id, found.operator, bond_wei)
        return fault

    def reclaim_bond(self, call: Call, round_id: int) -> None:
        """Free the bond of a proposal that expired."""
        found = self._in_state(round_id, RoundState.PROPOSED, "round holds no bond")
        early = call.timestamp <= found.terms.settlement_deadline
        refuse_if(early, "round has not expired")
        found.state = RoundState.VOID
        self._release_bond(round_id, found.operator, found.terms.bond_wei)

    # Carrying out

    def settle(self, call: Call, round_id: int, transfers: bytes, *, most: int = SMALL) -> None:
        """Carry out the plan; ``settle_large`` serves the first 1,024 parties of any round."""
        found = self._open(call, round_id)
        plan_id = hashlib.sha256(found.key + transfers).digest()
        ready = found.state in (RoundState.AGREED, RoundState.PROPOSED)
        refuse_if(not ready, "no plan to carry out")
        refuse_if(plan_id != found.plan_id, "not the agreed plan")
        proposed = found.state is RoundState.PROPOSED
        refuse_if(proposed and call.timestamp <= found.window_end, "challenge window is open")
        refuse_if(found.n_parties > most == SMALL, "round is too large")
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        found.claims = TwinLedger(found.claims[:most]).apply(transfers) + found.claims[most:]
        if proposed:
            self._release_bond(round_id, found.operator, found.terms.bond_wei)
        found.state = RoundState.SETTLED
        self.events.append(Settled(round_id, plan_id, decode_transfers(transfers)))

    def settle_chunk(self, call: Call, round_id: int, transfers: bytes, next_link: bytes) -> None:
        """Note the next chunk of a plan that all have signed; with the last, all take effect."""
        found = self._open(call, round_id)
        ready = found.state in (RoundState.AGREED, RoundState.SETTLING)
        refuse_if(not ready, "not all have signed")
        refuse_if(len(next_link) not in (0, 32), "link is not 32 bytes")
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        link = hashlib.sha256(found.key + transfers + next_link).digest()
        refuse_if(link != found.plan_id, "not the next chunk")
        noted = found.noted or TwinLedger(list(found.claims))
        noted.note(transfers)
        found.noted = noted
        if next_link:
            found.plan_id = next_link
            found.state = RoundState.SETTLING
            self.events.append(ChunkNoted(round_id, link, decode_transfers(transfers)))
        else:
            found.claims = noted.noted_claims()
            found.state = RoundState.SETTLED_IN_CHUNKS
            self.events.append(Settled(round_id, link, decode_transfers(transfers)))

    # Ways out

    def withdraw(self, call: Call, round_id: int, recipient: str) -> int:
        """Pay out the caller's whole claim."""
        found = self._round(round_id)
        if found is None:
            raise Refusal("no such round")
        unsettled = found.state < RoundState.SETTLED
        early = call.timestamp <= found.terms.settlement_deadline
        refuse_if(unsettled and early, "round is still open")
        party = self._party(found, call.sender)
        refuse_if(recipient == NOBODY, "no recipient")
        units = found.claims[party] if found.claims else 0
        refuse_if(units == 0, "nothing to withdraw")
        with self._transaction():
            self.rounds[round_id].claims[party] = 0
            self.events.append(Withdrawn(round_id, party, recipient, units))
            self._send(found.terms.asset, recipient, units * found.terms.unit_scale)
        return units

    def withdraw_bond(self, call: Call, recipient: str) -> int:
        """Pay out the caller's free bonds."""
        amount_wei = self.bonds.get(call.sender, 0)
        refuse_if(amount_wei == 0, "no bond to withdraw")
        refuse_if(recipient == NOBODY, "no recipient")
        with self._transaction():
            self.bonds[call.sender] = 0
            self.events.append(BondWithdrawn(call.sender, recipient, amount_wei))
            self._send(ETHER, recipient, amount_wei)
        return amount_wei

    # What the rules share

    def _round(self, round_id: int) -> _Round | None:
        return self.rounds.get(round_id)

    def _in_state(self, round_id: int, state: RoundState, otherwise: str) -> _Round:
        found = self._round(round_id)
        if found is None or found.state is not state:
            raise Refusal(otherwise)
        return found

    def _open(self, call: Call, round_id: int) -> _Round:
        found = self._round(round_id)
        if found is None or not RoundState.FUNDING <= found.state <= RoundState.SETTLING:
            raise Refusal("round cannot be settled")
        refuse_if(call.timestamp > found.terms.settlement_deadline, "round has expired")
        return found

    def _party(self, found: _Round, account: str) -> int:
        if account not in found.seats:
            raise Refusal("caller is not a party")
        return found.seats[account]

    def _check_table(self, found: _Round, table: bytes) -> None:
        if found.n_parties <= MAX_EXACT_PARTIES:
            wrong = hashlib.sha256(table).digest() != found.table_hash
            refuse_if(wrong, "not the committed table")
        else:
            refuse_if(len(table) != 0, "table of over 8 parties")

    def _release_bond(self, round_id: int, owner: str, amount_wei: int) -> None:
        self.bonds[owner] = self.bonds.get(owner, 0) + amount_wei
        self.events.append(BondReleased(round_id, owner, amount_wei))

    def _take_ether(self, amount_wei: int) -> None:
        self.held[ETHER] = self.held.get(ETHER, 0) + amount_wei
        self.balance_wei += amount_wei

    def _receive(self, call: Call, asset: str, amount_wei: int) -> None:
        if asset == ETHER:
            refuse_if(call.value_wei != amount_wei, "wrong amount of ether")
            self._take_ether(amount_wei)
            return
        refuse_if(call.value_wei != 0, "round is not in ether")
        token = self.tokens[asset]
        before = token.balance_of(self.address)
        refuse_if(before < self.held.get(asset, 0), "token lost its balance")
        moved = token.transfer_from(call.sender, amount_wei)
        refuse_if(not moved, "token refused deposit")
        grown = token.balance_of(self.address) - before
        refuse_if(grown != amount_wei, "token moved other amount")
        self.held[asset] = self.held.get(asset, 0) + amount_wei

    def _send(self, asset: str, recipient: str, amount_wei: int) -> None:
        self.held[asset] -= amount_wei
        if asset == ETHER:
            taken = recipient != self.address and self.can_receive(recipient)
            refuse_if(not taken, "recipient refused ether")
            self.balance_wei -= amount_wei
            return
        token = self.tokens[asset]
        before = token.balance_of(self.address)
        refuse_if(not token.transfer(recipient, amount_wei), "token refused withdrawal")
        fallen = before - token.balance_of(self.address)
        refuse_if(fallen != amount_wei, "token moved other amount")


def _fault(found: _Round, transfers: bytes, posting: bytes, table: bytes) -> int:
    """What `check_posting` says of posted bytes."""
    nets = [0] * found.n_parties
    for debtor, creditor, amount in unpack(transfers):
        nets[debtor] -= amount
        nets[creditor] += amount
    try:
        figures = Posting.decode(posting, table)
    except PostingError:
        return 1
    terms = found.terms
    return int(check_posting(figures, nets, found.claims, terms.exchange_rate, terms.caps_hash))
