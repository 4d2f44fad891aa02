"""Errors of float country: one child for each thing that a caller may do differently."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BrokenInvariant",
    "BudgetError",
    "CapError",
    "EstimationError",
    "FairroundError",
    "Fault",
    "FlowsError",
    "MlError",
    "NegativeFlowError",
    "NotMonotoneError",
    "SchemeError",
    "SolverDisagreement",
    "SpecError",
    "ValueTableError",
]


class FairroundError(Exception):
    """Whatever fairround raises by itself: the message says what was found, expected, and to do.

    ``party`` is the party that the message is about, ``coalition`` the bitmask of others that it
    names, both None where there are none. The code that raises knows numbers only; whoever knows
    the parties' names adds them, see `settlement.naming`.
    """

    def __init__(
        self, message: str, *, party: int | None = None, coalition: int | None = None
    ) -> None:
        super().__init__(message)
        self.party = party
        self.coalition = coalition


class MlError(FairroundError):
    """Expected trouble in `ml`."""


class BrokenInvariant(FairroundError):
    """A property that must always hold does not: a bug, never a user's mistake."""


class SolverDisagreement(BrokenInvariant):
    """Clearing and the linear programme give different costs for one game."""


class ValueTableError(MlError):
    """A value table that is no characteristic function: length, empty coalition, NaN, sign."""


class NotMonotoneError(ValueTableError):
    """A value table in which some party makes some coalition worse, where that is refused."""


class FlowsError(MlError):
    """Payoff flows of the wrong shape, with NaN, or with a party that pays itself."""


class NegativeFlowError(FlowsError):
    """A negative payoff flow: adjustment factors are not defined; refuse or cover the table."""


class BudgetError(MlError):
    """Budgets of the wrong shape, negative, or not a number."""


class CapError(MlError):
    """A performance cap that cannot be kept: below the party's own value, or not a number."""


class EstimationError(MlError):
    """Flows cannot be estimated as asked: too few evaluations, or a bad answer of `evaluate`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a specification.

    ``place`` is a dotted path into the mapping, such as ``"training.epochs"`` or
    ``"party[2].labels"``; ``message`` says what was found and what was expected.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class SchemeError(MlError):
    """A parameter of a scheme to compare with makes no sense."""


class SpecError(MlError):
    """A specification of data or training has faults; all of them are reported at once."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))
