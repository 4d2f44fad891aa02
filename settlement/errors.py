"""Errors of integer country: one child for each thing that a caller may do differently."""

from __future__ import annotations

__all__ = ["BrokenInvariant", "PlanError", "SettlementError", "Waiting"]


class SettlementError(Exception):
    """Expected trouble in `settlement`: the command line prints it in one line and exits 1.

    ``party`` is the party that the message is about, ``coalition`` the bitmask of others that it
    names, both None where there are none; code that knows figures only leaves names to its caller.
    """

    def __init__(
        self, message: str, *, party: int | None = None, coalition: int | None = None
    ) -> None:
        super().__init__(message)
        self.party = party
        self.coalition = coalition


class BrokenInvariant(SettlementError):
    """A property of the money that must always hold does not: a bug, never a user's mistake."""


class PlanError(SettlementError):
    """A transfer or plan that cannot be carried out: amounts, parties or totals are off."""


class Waiting(SettlementError):
    """Somebody else, or a deadline, comes first: nothing is wrong, and the exit code is 3."""
