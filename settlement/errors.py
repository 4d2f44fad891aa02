"""Errors of integer country: one child for each thing that a caller may do differently.

`BrokenInvariant` is that of `ml`: rooms of whole units, which import nothing of `ml`, find it here.
"""

from __future__ import annotations

from ml.errors import BrokenInvariant, FairroundError

__all__ = ["BrokenInvariant", "PlanError", "SettlementError", "Waiting"]


class SettlementError(FairroundError):
    """Expected trouble in `settlement`: the command line prints it in one line and exits 1."""


class PlanError(SettlementError):
    """A transfer or plan that cannot be carried out: amounts, parties or totals are off."""


class Waiting(SettlementError):
    """Somebody else, or a deadline, comes first: nothing is wrong, and the exit code is 3."""
