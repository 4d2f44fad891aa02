"""What anybody can ask of an escrow contract, without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from settlement.chain.chain import Chain
from settlement.chain.records import Log
from settlement.errors import BrokenInvariant, SettlementError
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import (
    ETHER,
    EscrowEvent,
    RoundOpened,
    RoundState,
    RoundTerms,
    Settled,
    event_of,
)
from settlement.escrow.interface import Interface
from settlement.escrow.ledger import RoundLedger, ledger_of
from settlement.escrow.typed_data import Consent
from settlement.money.terms import RoundReference, SettlementPlan

__all__ = ["EscrowError", "EscrowFigures", "EscrowReader", "SeatState"]


BALANCE_OF = bytes.fromhex("70a08231")  # balanceOf(address)


class EscrowError(SettlementError):
    """Something asked of the escrow that its rules forbid; refused before anything is sent."""


@dataclass(frozen=True, slots=True)
class EscrowFigures:
    """What changes while a round runs."""

    n_closed: int  # parties that deposit no more
    total_units: int  # what lies in the escrow
    revocations: int  # what signatures must name


@dataclass(frozen=True, slots=True)
class SeatState:
    """One party as the contract knows it; ``payout`` is None if it withdraws by itself."""

    address: str
    closed: bool
    payout: str | None


class EscrowReader:
    """One escrow contract on one chain.

    Parameters
    ----------
    chain : Chain
        Where the contract lives, and the journal of what was sent to it.
    address : str
        The contract's address.
    """

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address = address
        self.interface = Interface(artifact().abi)
        self._terms: dict[bytes, RoundTerms] = {}

    def terms(self, round_id: int) -> RoundTerms:
        """The contract's part of a round's terms, as its first log tells them."""
        agreement = self.agreement(round_id)  # it commits to the terms, so they are read once
        if agreement not in self._terms:
            for event in self.events(round_id):
                if isinstance(event, RoundOpened):
                    self._terms[agreement] = event.terms
                    break
            else:
                raise EscrowError(f"No round {round_id} in the escrow {self.address}.")
        return self._terms[agreement]

    def reference(self, round_id: int) -> RoundReference:
        """What names this round, for plans and signatures."""
        return RoundReference(
            self.chain.chain_id,
            self.address,
            round_id,
            self.agreement(round_id),
            self.terms(round_id).n_parties,
        )

    def agreement(self, round_id: int) -> bytes:
        """What a deposit must name; for a party to compare with its own `RoundTerms.agreement`."""
        agreement: bytes = self._read("agreement", round_id)
        return agreement

    def round_of(self, agreement: bytes) -> int | None:
        """The one round of an agreement, None if it was not opened (all parties in) yet."""
        return self._read("round_of", agreement) or None

    def state(self, round_id: int) -> RoundState:
        """State of a round; whether it has expired is a matter of the clock, see `RoundState`."""
        number = self._read("state", round_id)
        if number not in list(RoundState):
            raise EscrowError(f"The endpoint tells of a state {number}, which no round has.")
        return RoundState(number)

    def figures(self, round_id: int) -> EscrowFigures:
        """Who has closed, what lies there, how often signatures were revoked."""
        return EscrowFigures(*self._read("figures", round_id))

    def seat(self, round_id: int, party: int) -> SeatState:
        """A party's address, whether it has closed, and where it is paid out."""
        address, closed, payout = self._read("seat", round_id, party)
        found = to_checksum_address(payout) if int(payout, 16) else None
        return SeatState(to_checksum_address(address), closed, found)

    def claim(self, round_id: int, party: int) -> int:
        """Base units that a party has in the escrow."""
        units: int = self._read("claim", round_id, party)
        return units

    def funding_has_ended(self, round_id: int) -> bool:
        """Whether deposits can change no more: the deadline has passed or all have closed."""
        terms = self.terms(round_id)
        late = self.chain.timestamp() > terms.funding_deadline
        return late or self.figures(round_id).n_closed == terms.n_parties

    def consent(self, plan: SettlementPlan, deposits_units: Sequence[int]) -> Consent:
        """All that signatures of a plan are bound to, asked of the chain.

        The contract only takes signatures that name the hash of its deposits. They must be those
        that the plan follows from: an endpoint that tells of others would else get a signature that
        is good for another division than the true one.

        Parameters
        ----------
        deposits_units
            What the plan follows from, in party order.

        Raises
        ------
        EscrowError
            If these, those of the logs and those that the contract keeps are not the same.
        """
        round_id = plan.round.round_id
        terms, ledger = self.terms(round_id), self.ledger(round_id)
        kept = self._read("deposits_hash", round_id)
        if (kept, ledger.deposits_units) != (ledger.deposits_hash, tuple(deposits_units)):
            raise EscrowError(
                f"The endpoint tells of different deposits of round {round_id}: the logs of "
                f"{ledger.deposits_units!s:.400}, whose hash is 0x{ledger.deposits_hash.hex()}; "
                f"the contract's is 0x{kept.hex()}; the plan is made of "
                f"{tuple(deposits_units)!s:.400}. Nothing was signed: ask an endpoint that you "
                f"can rely on."
            )
        return Consent(
            plan=plan,
            game_hash=terms.game_hash,
            deposits_hash=kept,
            deadline=terms.settlement_deadline,
            revocations=self.figures(round_id).revocations,
            asset=terms.asset,
            unit_scale=terms.unit_scale,
            parties=ledger.parties,
        )

    def events(self, round_id: int | None = None) -> list[EscrowEvent]:
        """Events of a round, or of all, in order."""
        return [event for event, _ in self._events_and_logs(round_id)]

    def settlement(self, round_id: int) -> Log:
        """The log of a round's settlement, which names its transaction, whoever sent it."""
        for event, log in self._events_and_logs(round_id):
            if isinstance(event, Settled):
                return log
        raise EscrowError(f"Round {round_id} is not settled; carry its plan out first.")

    def _events_and_logs(self, round_id: int | None) -> list[tuple[EscrowEvent, Log]]:
        decoded = ((self.interface.decode_log(log), log) for log in self.logs(round_id))
        return [(event_of(*found), log) for found, log in decoded if found]

    def logs(self, round_id: int | None = None) -> list[Log]:
        """Logs of a round since its opening, or all since the journal began, in order."""
        if round_id is None:
            return self.chain.logs(self.address, from_block=self.chain.started_block)
        # The round is the first topic of every event.
        return self.chain.history(self.address, round_id.to_bytes(32, "big"), self._opens_a_round)

    def _opens_a_round(self, log: Log) -> bool:
        found = self.interface.decode_log(log)
        return found is not None and found[0] == RoundOpened.__name__

    def misses_quorum(self, round_id: int) -> bool:
        """Whether funding has ended below the least sum that the terms want."""
        if not self.funding_has_ended(round_id) or self.state(round_id) >= RoundState.SETTLING:
            return False
        return self.figures(round_id).total_units < self.terms(round_id).quorum_units

    def holdings(self, asset: str) -> int:
        """What the escrow holds of an asset for all rounds, in its smallest units."""
        if asset == ETHER:
            return self.chain.balance(self.address)
        data = BALANCE_OF + bytes(12) + bytes.fromhex(self.address[2:])
        return int.from_bytes(self.chain.call(asset, data)[:32], "big")

    def ledger(self, round_id: int) -> RoundLedger:
        """A round as its logs alone tell it.

        Raises
        ------
        EscrowError
            If the endpoint tells of logs that no escrow writes.
        """
        try:
            return ledger_of(self.events(round_id))
        except (BrokenInvariant, IndexError) as error:
            raise EscrowError(
                f"What the endpoint tells of round {round_id} cannot have happened: {error}"
            ) from None

    def _read(self, name: str, *arguments: Any) -> Any:
        answer = self.chain.call(self.address, self.interface.encode(name, *arguments))
        return self.interface.decode(name, answer)
