"""An allocation whose figures are known up to standard errors, wherever these came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.game.allocation import Allocation
from ml.game.tables.coalitions import FloatArray

__all__ = ["UncertainAllocation"]


@dataclass(frozen=True, eq=False, kw_only=True)
class UncertainAllocation:
    """An allocation with the standard error of each of its figures, shape (n,) each."""

    allocation: Allocation
    payoff_unlimited_errors: FloatArray
    factor_errors: FloatArray
    payoff_errors: FloatArray
    model_value_errors: FloatArray

    def as_dict(self) -> dict[str, Any]:
        """`Allocation.as_dict` with the errors of payoffs, factors and model values."""
        names = ("payoff_errors", "factor_errors", "model_value_errors")
        return self.allocation.as_dict() | {name: getattr(self, name).tolist() for name in names}
