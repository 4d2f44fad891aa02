"""An allocation whose figures are known up to standard errors, wherever these came from."""

from __future__ import annotations

from dataclasses import dataclass

from ml.game.allocation import Allocation
from ml.game.tables.coalitions import FloatArray
from ml.game.uncertainty.seeded import with_error

__all__ = ["UncertainAllocation"]


@dataclass(frozen=True, eq=False, kw_only=True)
class UncertainAllocation:
    """An allocation with the standard error of each of its figures, shape (n,) each."""

    allocation: Allocation
    payoff_unlimited_errors: FloatArray
    factor_errors: FloatArray
    payoff_errors: FloatArray
    model_value_errors: FloatArray

    def describe(self, party: int) -> str:
        """What a party sees: its payoff, factor and model value, each with its error."""
        allocation = self.allocation
        return (
            f"payoff {with_error(allocation.payoffs[party], self.payoff_errors[party])}, "
            f"lambda {with_error(allocation.adjustment_factors[party], self.factor_errors[party])},"
            f" model {with_error(allocation.model_values[party], self.model_value_errors[party])}"
        )
