"""What anybody can ask of an escrow contract, without a key."""

from __future__ import annotations

from typing import Any

from settlement.chain.chain import Chain
from settlement.chain.records import Log
from settlement.errors import SettlementError
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import (
    EscrowEvent,
    Proposed,
    RoundState,
    RoundTerms,
    Settled,
    event_of,
)
from settlement.escrow.interface import Interface
from settlement.escrow.ledger import RoundLedger, ledger_of
from settlement.money.terms import RoundReference
from settlement.posting.format import Fault

__all__ = ["EscrowError", "EscrowReader"]


class EscrowError(SettlementError):
    """Something asked of the escrow that its rules forbid; refused before anything is sent."""


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

    def terms(self, round_id: int) -> RoundTerms:
        """The contract's part of a round's terms."""
        terms = RoundTerms.of(self._read("terms", round_id))
        if not terms.n_parties:
            raise EscrowError(f"No round {round_id} in the escrow {self.address}.")
        return terms

    def reference(self, round_id: int) -> RoundReference:
        """What names this round, for plans and signatures."""
        return RoundReference(
            self.chain.chain_id, self.address, round_id, self.terms(round_id).terms_hash
        )

    def agreement(self, round_id: int) -> bytes:
        """What a deposit must name; for a party to compare with its own `RoundTerms.agreement`."""
        agreement: bytes = self._read("agreement", round_id)
        return agreement

    def state(self, round_id: int) -> RoundState:
        """State of a round; whether it has expired is a matter of the clock, see `RoundState`."""
        return RoundState(self._read("state", round_id))

    def claim(self, round_id: int, party: int) -> int:
        """Base units that a party has in the escrow."""
        units: int = self._read("claim", round_id, party)
        return units

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
        logs = self.chain.logs(self.address, from_block=self.chain.started_block)
        decoded = ((self.interface.decode_log(log), log) for log in logs)
        return [
            (event_of(*found), log)
            for found, log in decoded
            if found and round_id in (None, found[1].get("round_id"))
        ]

    def ledger(self, round_id: int) -> RoundLedger:
        """A round as its logs alone tell it."""
        return ledger_of(self.events(round_id))

    def judge(self) -> str:
        """Address of the contract that recomputes posted allocations."""
        return str(self._read("JUDGE"))

    def _read(self, name: str, *arguments: Any) -> Any:
        answer = self.chain.call(self.address, self.interface.encode(name, *arguments))
        return self.interface.decode(name, answer)

    def fault(self, round_id: int) -> Fault | None:
        """What a challenge of the round's proposal would find, asked of the chain for nothing."""
        proposed = self._proposed(round_id)
        deposits = self.ledger(round_id).deposits_units
        judge = Interface(artifact("Judge").abi)
        terms = self.terms(round_id)
        packed = b"".join(transfer.encode() for transfer in proposed.transfers)
        data = judge.encode(
            "fault",
            terms.exchange_rate,
            terms.caps_hash,
            list(deposits),
            packed,
            proposed.posting,
            proposed.table,
        )
        answer = self.chain.call(self.judge(), data)
        return Fault(found) if (found := judge.decode("fault", answer)) else None

    def _proposed(self, round_id: int) -> Proposed:
        for event in self.events(round_id):
            if isinstance(event, Proposed):
                return event
        raise EscrowError(f"Round {round_id} has no proposal; the operator posts one first.")
