"""The rules of a plan, one transfer at a time: what the contract's packed ledger must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from settlement.errors import SettlementError
from settlement.money.terms import MAX_AMOUNT_UNITS

__all__ = ["Refusal", "TwinLedger", "refuse_if", "unpack"]


class Refusal(SettlementError):
    """The escrow's rules forbid it; ``reason`` is the contract's sentence."""

    def __init__(self, reason: str) -> None:
        self.reason = f"escrow: {reason}"
        super().__init__(self.reason)


def refuse_if(condition: bool, reason: str) -> None:
    """Raise a `Refusal` if the condition holds."""
    if condition:
        raise Refusal(reason)


def unpack(packed: bytes) -> list[tuple[int, int, int]]:
    """Debtor, creditor and amount of packed transfers, whatever they say."""
    chunks = [packed[k : k + 12] for k in range(0, len(packed), 12)]
    return [
        (int.from_bytes(c[:2], "big"), int.from_bytes(c[2:4], "big"), int.from_bytes(c[4:], "big"))
        for c in chunks
    ]


@dataclass(slots=True)
class TwinLedger:
    """Deposits of one round, and what a plan has moved so far."""

    deposits: list[int]
    paid: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.paid = self.paid or [0] * len(self.deposits)
        self.received = self.received or [0] * len(self.deposits)

    def apply(self, packed: bytes) -> list[int]:
        """Claims after a whole plan; nothing changes here."""
        n_parties = len(self.deposits)
        left = MAX_AMOUNT_UNITS
        paid, received = [0] * n_parties, [0] * n_parties
        for debtor, creditor, amount in unpack(packed):
            refuse_if(max(debtor, creditor) >= n_parties, "no such party")
            refuse_if(not 1 <= amount <= left, "amount out of range")
            left -= amount
            paid[debtor] += amount
            received[creditor] += amount
        # Four parties share a slot, and slots are checked in order: so are the sentences.
        for first in range(0, n_parties, 4):
            slot = range(first, min(first + 4, n_parties))
            refuse_if(any(paid[p] > self.deposits[p] for p in slot), "debtor exceeds deposit")
            refuse_if(any(paid[p] and received[p] for p in slot), "party pays and receives")
        return _claims(self.deposits, paid, received)

    def noted(self, packed: bytes) -> TwinLedger:
        """The ledger after one more chunk of a plan; nothing changes here."""
        paid, received = list(self.paid), list(self.received)
        for debtor, creditor, amount in unpack(packed):
            refuse_if(max(debtor, creditor) >= len(paid), "no such party")
            refuse_if(not 1 <= amount <= MAX_AMOUNT_UNITS, "amount out of range")
            refuse_if(received[debtor] > 0, "party pays and receives")
            paid[debtor] += amount
            refuse_if(paid[debtor] > self.deposits[debtor], "debtor exceeds deposit")
            refuse_if(paid[creditor] > 0, "party pays and receives")
            received[creditor] += amount
        return TwinLedger(self.deposits, paid, received)

    def noted_claims(self) -> list[int]:
        """Claims if the noted chunks take effect."""
        return _claims(self.deposits, self.paid, self.received)


def _claims(deposits: Sequence[int], paid: Sequence[int], received: Sequence[int]) -> list[int]:
    return [
        deposit - debit + credit
        for deposit, debit, credit in zip(deposits, paid, received, strict=True)
    ]
