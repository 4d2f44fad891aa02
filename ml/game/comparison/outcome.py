"""What a scheme gives each party."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ml.game.tables.coalitions import FloatArray
from ml.game.tables.values import ValueTable

__all__ = ["Outcome", "Scheme"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a scheme gives each party, value units."""

    payoffs: FloatArray
    """Received minus paid; negative means it pays."""
    model_values: FloatArray
    costs: FloatArray
    """What it pays for its model, before anything that it receives."""


Scheme = Callable[[ValueTable, FloatArray], Outcome]
"""Takes a value table and the budgets (n,), infinite where there is no limit."""
