"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass

from settlement.errors import SettlementError

__all__ = ["TOLERANCE", "TOLERANCE_SCORE", "AuditError", "Finding"]

TOLERANCE = 1e-9
"""How far a recomputed float may be from a stored one: another machine's rounding, no more."""

TOLERANCE_SCORE = 0.005
"""Scores measured again, as values from 0 to 1, may differ so much: another stack layout or device
rounds differently."""


class AuditError(SettlementError):
    """A stored figure is not what follows from the value table and the chain's logs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of the audit; ``trouble`` names the file or figure, None if all agrees."""

    check: str
    trouble: str | None
