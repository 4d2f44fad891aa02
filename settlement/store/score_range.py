"""Scores that are not accuracies: from a stated range to values in [0, 1], and back.

This is the one place for that map. What is posted, settled and checked on the chain are values;
the range says what they mean to people. The exchange rate carries the money.
"""

from __future__ import annotations

from collections.abc import Sequence

from settlement.errors import SettlementError

__all__ = ["ScoreOutOfRange", "from_value", "to_value"]


class ScoreOutOfRange(SettlementError):
    """A score below the lowest or above the highest that the round allows."""


def to_value(score: float, score_range: Sequence[float], what: str) -> float:
    """The value in [0, 1] of a score; ``what`` was measured is named in the error.

    Nobody at all has the lowest score, whose value is 0.

    Raises
    ------
    ScoreOutOfRange

    Examples
    --------
    >>> to_value(15.0, (10.0, 20.0), "a")
    0.5
    """
    low, high = score_range
    if not low <= score <= high:
        raise ScoreOutOfRange(
            f"{what} scores {score!r}; expected {low!r}, what nobody at all scores, to {high!r}. "
            f"Measure it again, or state a wider score_range."
        )
    return (score - low) / (high - low)


def from_value(value: float, score_range: Sequence[float]) -> float:
    """The score that a value stands for."""
    low, high = score_range
    return low + value * (high - low)
