"""Which coalitions are measured again: the ones that payoffs hang on most, and others by chance."""

from __future__ import annotations

import math

import numpy as np

from settlement.errors import SettlementError
from settlement.store.documents import ValueDocument

__all__ = [
    "RetrainingError",
    "always_again",
    "chances_in_words",
    "column_of",
    "detection_probability",
    "draw_again",
    "others_of",
]


class RetrainingError(SettlementError):
    """A round whose coalitions cannot be measured again, or too many of them asked for."""


def always_again(stored: ValueDocument) -> list[int]:
    """The coalitions that every check measures again: each party alone, and all together."""
    n_parties, known = len(stored.parties), column_of(stored)
    named = [*(1 << party for party in range(n_parties)), (1 << n_parties) - 1]
    return [coalition for coalition in named if coalition in known]  # no sample has a buyer alone


def column_of(stored: ValueDocument) -> dict[int, int]:
    """Column of every measured coalition; an exact table has one of the empty coalition too."""
    coalitions = stored.coalitions or range(len(stored.scores[0]))
    return {coalition: column for column, coalition in enumerate(coalitions) if coalition}


def others_of(stored: ValueDocument) -> list[int]:
    """The measured coalitions from which others are drawn by chance, in ascending order."""
    return sorted(column_of(stored).keys() - set(always_again(stored)))


def draw_again(stored: ValueDocument, n_coalitions: int, seed: int | None = None) -> list[int]:
    """Bitmasks of what is measured again: always the same few, and others by chance.

    Parameters
    ----------
    n_coalitions
        How many others.
    seed
        Of the draw; None draws anew each time, so that a forger cannot know what will be drawn.

    Raises
    ------
    RetrainingError
        If there are fewer.
    """
    others = others_of(stored)
    if not 0 <= n_coalitions <= len(others):
        raise RetrainingError(
            f"{n_coalitions} more coalitions to measure again; expected 0 to {len(others)}, "
            f"besides the grand coalition and every party alone."
        )
    picked = np.random.default_rng(seed).choice(len(others), n_coalitions, replace=False)
    return sorted([*always_again(stored), *(others[k] for k in picked.tolist())])


def detection_probability(n_entries: int, share: float, n_again: int) -> float:
    """Probability that a sample without replacement holds at least one of the forged entries.

    Examples
    --------
    >>> round(detection_probability(1023, 0.1, 29), 2)
    0.95
    """
    n_forged = max(1, round(share * n_entries))
    if n_forged + n_again > n_entries:
        return 1.0
    missed = math.comb(n_entries - n_forged, n_again) / math.comb(n_entries, n_again)
    return 1.0 - missed


def chances_in_words(n_entries: int, n_again: int) -> str:
    """How likely so many drawn ones would show a forged one, for three shares of forged ones."""
    return ", ".join(
        f"{share:.0%} forged: {detection_probability(n_entries, share, n_again):.3f}"
        for share in (0.05, 0.1, 0.25)
    )
