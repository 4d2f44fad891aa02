"""What every solver of the adjustment factors returns."""

from __future__ import annotations

from dataclasses import dataclass

from ml.game.clearing.certificate import Certificate
from ml.game.tables.coalitions import FloatArray

__all__ = ["AdjustmentFactors"]


@dataclass(frozen=True, eq=False)
class AdjustmentFactors:
    """The greatest adjustment factors that the budgets allow, with their proof."""

    factors: FloatArray
    """lambda, shape (n,), in [0, cap]; 1 for a party that has nothing to buy."""
    rounds: int
    """Rounds of fictitious default, or iterations of the simplex method."""
    certificate: Certificate
    method: str
