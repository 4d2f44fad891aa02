"""The escrow's rules in plain Python: the oracle that the contract must equal, call by call.

Every method is the contract's function of that name: same result, same refusal, same events, same
balances. Who calls, when, and with how much ether are said first. Signatures are stood for by
the addresses whose they are; what tokens do is asked of a `TwinToken`. A call that is refused has
changed nothing, for a method checks everything before it changes anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from settlement.escrow.events import (
    ETHER,
    NOBODY,
    ChunkNoted,
    Closed,
    Deposited,
    Endorsed,
    EscrowEvent,
    PartiesRegistered,
    PayoutFailed,
    Revoked,
    RoundOpened,
    RoundState,
    RoundTerms,
    Settled,
    Withdrawn,
)
from settlement.escrow.ledger import hash_of_deposits
from settlement.escrow.twin_ledger import Refusal, TwinLedger, refuse_if, unpack
from settlement.money.terms import (
    MAX_AMOUNT_UNITS,
    MAX_ROUND_PARTIES,
    MAX_SHOWN_TRANSFERS,
    WHOLE_TRANSFERS,
    RoundReference,
    decode_transfers,
)
from settlement.posting.check import fault_of
from settlement.posting.format import (
    MAX_EXCHANGE_RATE,
    MAX_POSTED_PARTIES,
    Game,
    PostingError,
)

__all__ = ["Call", "EscrowTwin", "Refusal", "TwinToken"]

NO_HASH = bytes(32)
MAX_UNIT_SCALE = 2**96 - 1
MAX_TIME = 2**40

Signer = str | Refusal | None
"""Whose signature it is; None: nobody's; a refusal: what the contract says to a wallet's."""


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
    link: bytes  # the agreement as far as parties are registered
    state: RoundState = RoundState.OPENING
    parties: list[str] = field(default_factory=list)
    claims: list[int] = field(default_factory=list)
    payouts: list[str] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    total_units: int = 0
    deposits_hash: bytes = NO_HASH
    revocations: int = 0
    plan_id: bytes = NO_HASH
    rest: tuple[int, int] = (0, 0)  # transfers and units of a signed plan still to come
    noted: TwinLedger | None = None
    endorsements: dict[tuple[int, bytes, int, int], int] = field(default_factory=dict)

    @property
    def n_parties(self) -> int:
        return self.terms.n_parties

    @property
    def misses_quorum(self) -> bool:
        return self.total_units < self.terms.quorum_units

    def funding_has_ended(self, timestamp: int) -> bool:
        return timestamp > self.terms.funding_deadline or len(self.closed) == self.n_parties


class EscrowTwin:
    """All rounds of one escrow.

    Parameters
    ----------
    chain_id, address
        Where the contract that this is the twin of lives; they are part of every agreement.
    tokens : mapping of str to TwinToken
        Tokens by address.
    can_receive : callable
        Whether an address takes ether; every one does by default.
    can_be_pushed : callable
        Whether it takes ether with the little gas of a pay-out; by default if it can receive.
    """

    def __init__(
        self,
        chain_id: int,
        address: str,
        tokens: Mapping[str, TwinToken] | None = None,
        can_receive: Callable[[str], bool] = lambda _: True,
        can_be_pushed: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.chain_id = chain_id
        self.address = address
        self.tokens = dict(tokens or {})
        self.can_receive = can_receive
        self.can_be_pushed = can_be_pushed
        self.rounds: dict[int, _Round] = {}
        self.agreements: dict[bytes, int] = {}
        self.held: dict[str, int] = {}
        self.balance_wei = 0
        self.events: list[EscrowEvent] = []

    # Opening and funding

    def open_round(self, call: Call, terms: RoundTerms, parties: Sequence[str]) -> int:
        """Open a round; the caller becomes its operator."""
        refuse_if(not 2 <= terms.n_parties <= MAX_ROUND_PARTIES, "parties not 2 to 32768")
        refuse_if(not 1 <= terms.unit_scale <= MAX_UNIT_SCALE, "unit scale out of range")
        refuse_if(terms.exchange_rate > MAX_EXCHANGE_RATE, "exchange rate too large")
        provable = terms.exchange_rate > 0 and terms.n_parties <= MAX_POSTED_PARTIES
        refuse_if(terms.by_proof and not provable, "round has no proof")
        refuse_if(terms.quorum_units > MAX_AMOUNT_UNITS, "quorum exceeds 63 bits")
        strange = terms.asset != ETHER and terms.asset not in self.tokens
        refuse_if(strange, "asset is not a contract")
        refuse_if(terms.funding_deadline <= call.timestamp, "funding deadline is past")
        refuse_if(terms.settlement_deadline <= terms.funding_deadline, "deadlines out of order")
        refuse_if(terms.settlement_deadline >= MAX_TIME, "deadline out of range")
        round_id = len(self.rounds) + 1
        link = terms.agreement(self.chain_id, self.address, call.sender, ())
        key = RoundReference(self.chain_id, self.address, round_id, link, terms.n_parties).key
        opened = _Round(terms, call.sender, key, link)
        after = self._registered(opened, parties)
        self.rounds[round_id] = opened
        self.events.append(RoundOpened(round_id, call.sender, terms))
        self._register(round_id, parties, after)
        return round_id

    def register(self, call: Call, round_id: int, parties: Sequence[str]) -> None:
        """Register the next parties of a round."""
        found = self._in_state(round_id, RoundState.OPENING, "round takes no parties")
        refuse_if(call.sender != found.operator, "caller is not operator")
        self._register(round_id, parties, self._registered(found, parties))

    def _registered(self, found: _Round, parties: Sequence[str]) -> bytes:
        """The agreement with these parties; refuses what may not be registered."""
        n_registered = len(found.parties) + len(parties)
        refuse_if(n_registered > found.n_parties, "too many parties")
        refuse_if(NOBODY in parties, "party is address zero")
        link = found.link
        for party in parties:
            link = hashlib.sha256(link + bytes(12) + bytes.fromhex(party[2:])).digest()
        twice = n_registered == found.n_parties and link in self.agreements
        refuse_if(twice, "round was opened before")
        return link

    def _register(self, round_id: int, parties: Sequence[str], link: bytes) -> None:
        found = self.rounds[round_id]
        first = len(found.parties)
        found.parties.extend(parties)
        found.link = link
        self.events.append(PartiesRegistered(round_id, first, tuple(parties)))
        if len(found.parties) == found.n_parties:
            found.claims = [0] * found.n_parties
            found.payouts = [NOBODY] * found.n_parties
            found.state = RoundState.FUNDING
            self.agreements[link] = round_id

    def deposit(
        self,
        call: Call,
        round_id: int,
        party: int,
        agreement: bytes,
        units: int,
        payout: str = NOBODY,
        last: bool = False,
    ) -> None:
        """Lock base units of the caller."""
        refuse_if(units == 0, "deposit of nothing")
        found = self._fundable(call, round_id, party, agreement, units)
        self._receive(call, found.terms.asset, units * found.terms.unit_scale)
        found.claims[party] += units
        found.payouts[party] = payout
        found.total_units += units
        if not found.terms.by_proof:
            found.deposits_hash = hash_of_deposits(found.deposits_hash, party, units)
        self.events.append(Deposited(round_id, party, units, payout))
        if last:
            found.closed.add(party)
            self.events.append(Closed(round_id, party, payout))

    def close(
        self, call: Call, round_id: int, party: int, agreement: bytes, payout: str = NOBODY
    ) -> None:
        """Deposit no more."""
        found = self._fundable(call, round_id, party, agreement, 0)
        found.payouts[party] = payout
        found.closed.add(party)
        self.events.append(Closed(round_id, party, payout))

    def _fundable(
        self, call: Call, round_id: int, party: int, agreement: bytes, units: int
    ) -> _Round:
        found = self._in_state(round_id, RoundState.FUNDING, "round takes no deposits")
        refuse_if(call.timestamp > found.terms.funding_deadline, "funding deadline passed")
        self._check_seat(call, found, party)
        refuse_if(party in found.closed, "party has closed")
        refuse_if(agreement != found.link, "not the agreed round")
        refuse_if(units > MAX_AMOUNT_UNITS - found.total_units, "deposits exceed 63 bits")
        return found

    # Settled by proof

    def settle_by_proof(
        self, call: Call, round_id: int, transfers: bytes, factors: Sequence[int], game: bytes
    ) -> None:
        """Carry out transfers whose net positions follow from game and deposits."""
        found = self._ready(call, round_id, by_proof=True)
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        claims = TwinLedger(found.claims).apply(transfers)
        refuse_if(len(factors) != found.n_parties, "not one factor a party")
        try:
            figures = Game.decode(game)
        except PostingError:
            raise Refusal("wrong length of game") from None
        refuse_if(figures.n_parties != found.n_parties, "wrong length of game")
        nets = [after - before for after, before in zip(claims, found.claims, strict=True)]
        fault = fault_of(figures, factors, nets, found.claims, found.terms.exchange_rate)
        if fault is not None:
            raise Refusal(fault)
        wrong = hashlib.sha256(game).digest() != found.terms.game_hash
        refuse_if(wrong, "not the agreed game")
        self._settle(found, round_id, transfers, claims)

    # Settled by signatures

    def revoke(self, call: Call, round_id: int, party: int) -> None:
        """Take back what the caller has signed."""
        found = self._in_state(round_id, RoundState.FUNDING, "nothing to revoke")
        self._check_seat(call, found, party)
        found.revocations += 1
        found.plan_id = NO_HASH
        self.events.append(Revoked(round_id, party, found.revocations))

    def settle(
        self, call: Call, round_id: int, transfers: bytes, signers: Sequence[Signer]
    ) -> None:
        """Carry out a plan of up to 64 parties and transfers that all have signed."""
        self._settle_signed(call, round_id, transfers, signers, MAX_SHOWN_TRANSFERS)

    def settle_large(
        self, call: Call, round_id: int, transfers: bytes, signers: Sequence[Signer]
    ) -> None:
        """Carry out a plan of up to 1,024 parties and transfers that all have signed."""
        self._settle_signed(call, round_id, transfers, signers, WHOLE_TRANSFERS)

    def _settle_signed(
        self, call: Call, round_id: int, transfers: bytes, signers: Sequence[Signer], most: int
    ) -> None:
        found = self._signable(call, round_id)
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        refuse_if(found.n_parties > most, "round is too large")
        claims = TwinLedger(found.claims).apply(transfers)
        refuse_if(len(signers) < found.n_parties, "a signature is missing")
        self._check_signers(found, 0, signers[: found.n_parties])
        self._settle(found, round_id, transfers, claims)

    def endorse(
        self,
        call: Call,
        round_id: int,
        plan_id: bytes,
        n_transfers: int,
        total_units: int,
        signers: Sequence[Signer],
    ) -> None:
        """Record the next signatures of a plan in chunks."""
        found = self._signable(call, round_id)
        refuse_if(max(n_transfers, total_units) >= 2**64, "plan is too large")
        signed = (found.revocations, plan_id, n_transfers, total_units)
        first = found.endorsements.get(signed, 0)
        odd = not 0 < len(signers) <= found.n_parties - first
        refuse_if(odd, "odd signature count")
        self._check_signers(found, first, signers)
        n_signed = first + len(signers)
        found.endorsements[signed] = n_signed
        self.events.append(Endorsed(round_id, plan_id, n_signed))
        if n_signed == found.n_parties:
            found.plan_id = plan_id
            found.rest = (n_transfers, total_units)

    def settle_chunk(self, call: Call, round_id: int, transfers: bytes, next_link: bytes) -> None:
        """Note the next chunk of a plan that all have signed; with the last, all take effect."""
        found = self._ready(call, round_id, by_proof=False)
        refuse_if(found.plan_id == NO_HASH, "not all have signed")
        refuse_if(len(next_link) not in (0, 32), "link is not 32 bytes")
        refuse_if(len(transfers) % 12 != 0, "not 12 bytes a transfer")
        link = hashlib.sha256(found.key + transfers + next_link).digest()
        refuse_if(link != found.plan_id, "not the next chunk")
        noted = TwinLedger(found.claims) if found.noted is None else found.noted
        after = noted.noted(transfers)
        amounts = [amount for _, _, amount in unpack(transfers)]
        rest = (found.rest[0] - len(amounts), found.rest[1] - sum(amounts))
        refuse_if(min(rest) < 0, "more than was signed")
        refuse_if(not next_link and rest != (0, 0), "less than was signed")
        found.noted, found.rest = after, rest
        if next_link:
            found.plan_id = next_link
            found.state = RoundState.SETTLING
            self.events.append(ChunkNoted(round_id, link, decode_transfers(transfers)))
        else:
            found.claims = after.noted_claims()
            found.state = RoundState.SETTLED_IN_CHUNKS
            self.events.append(Settled(round_id, link, decode_transfers(transfers)))

    def _check_signers(self, found: _Round, first: int, signers: Sequence[Signer]) -> None:
        for party, signer in enumerate(signers, first):
            if isinstance(signer, Refusal):
                raise signer
            refuse_if(signer != found.parties[party], "not signed by party")

    def _settle(self, found: _Round, round_id: int, transfers: bytes, claims: list[int]) -> None:
        found.claims = claims
        found.state = RoundState.SETTLED
        plan_id = hashlib.sha256(found.key + transfers).digest()
        self.events.append(Settled(round_id, plan_id, decode_transfers(transfers)))

    # Ways out

    def withdraw(self, call: Call, round_id: int, party: int, recipient: str) -> int:
        """Pay out the caller's whole claim."""
        found = self._ended(call, round_id)
        self._check_seat(call, found, party)
        refuse_if(recipient == NOBODY, "no recipient")
        units = found.claims[party] if found.claims else 0
        refuse_if(units == 0, "nothing to withdraw")
        amount_wei = units * found.terms.unit_scale
        if found.terms.asset == ETHER:
            taken = recipient != self.address and self.can_receive(recipient)
            refuse_if(not taken, "recipient refused ether")
        else:
            moved = self._move(found.terms.asset, recipient, amount_wei)
            refuse_if(not moved, "token refused withdrawal")
        self._pay(found, round_id, party, recipient, amount_wei)
        return units

    def pay_out(self, call: Call, round_id: int, parties: Sequence[int]) -> None:
        """Pay parties out at the addresses that they fixed."""
        found = self._ended(call, round_id)
        asset, steps, paid = found.terms.asset, [], set()
        for party in parties:
            refuse_if(party >= found.n_parties, "no such party")
            payout = found.payouts[party] if found.claims else NOBODY
            if payout == NOBODY or not found.claims[party] or party in paid:
                continue
            amount_wei = found.claims[party] * found.terms.unit_scale
            if asset == ETHER:
                taken = payout != self.address and self.can_be_pushed(payout)
            else:
                taken = self._move(asset, payout, amount_wei)
            steps.append((party, payout, amount_wei, taken))
            if taken:
                paid.add(party)
        for party, payout, amount_wei, taken in steps:
            if taken:
                self._pay(found, round_id, party, payout, amount_wei)
            else:
                units = amount_wei // found.terms.unit_scale
                self.events.append(PayoutFailed(round_id, party, payout, units))

    def _pay(
        self, found: _Round, round_id: int, party: int, recipient: str, amount_wei: int
    ) -> None:
        units, found.claims[party] = found.claims[party], 0
        found.total_units -= units
        if found.terms.asset == ETHER:
            self.balance_wei -= amount_wei
        else:
            self.held[found.terms.asset] -= amount_wei
        self.events.append(Withdrawn(round_id, party, recipient, units))

    # What the rules share

    def _in_state(self, round_id: int, state: RoundState, otherwise: str) -> _Round:
        found = self.rounds.get(round_id)
        if found is None or found.state is not state:
            raise Refusal(otherwise)
        return found

    def _ready(self, call: Call, round_id: int, *, by_proof: bool) -> _Round:
        found = self.rounds.get(round_id)
        if found is None or found.state not in (RoundState.FUNDING, RoundState.SETTLING):
            raise Refusal("round cannot be settled")
        refuse_if(found.terms.by_proof != by_proof, "settled the other way")
        refuse_if(call.timestamp > found.terms.settlement_deadline, "round has expired")
        refuse_if(not found.funding_has_ended(call.timestamp), "funding is still open")
        refuse_if(found.misses_quorum, "quorum is not reached")
        return found

    def _signable(self, call: Call, round_id: int) -> _Round:
        found = self._ready(call, round_id, by_proof=False)
        refuse_if(found.state is RoundState.SETTLING, "chunks are already in")
        return found

    def _ended(self, call: Call, round_id: int) -> _Round:
        found = self.rounds.get(round_id)
        if found is None:
            raise Refusal("no such round")
        failed = found.funding_has_ended(call.timestamp) and found.misses_quorum
        expired = call.timestamp > found.terms.settlement_deadline
        ended = found.state >= RoundState.SETTLED or expired or failed
        refuse_if(not ended, "round is still open")
        return found

    def _check_seat(self, call: Call, found: _Round, party: int) -> None:
        seated = 0 <= party < len(found.parties) and found.parties[party] == call.sender
        refuse_if(not seated, "caller is not that party")

    def _receive(self, call: Call, asset: str, amount_wei: int) -> None:
        if asset == ETHER:
            refuse_if(call.value_wei != amount_wei, "wrong amount of ether")
            self.balance_wei += amount_wei
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

    def _move(self, asset: str, recipient: str, amount_wei: int) -> bool:
        """Let a token move all of it or nothing."""
        token = self.tokens[asset]
        before = token.balance_of(self.address)
        moved = token.transfer(recipient, amount_wei)
        fallen = before - token.balance_of(self.address)
        if not moved and not fallen:
            return False
        refuse_if(not moved or fallen != amount_wei, "token moved other amount")
        return True
