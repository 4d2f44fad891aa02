"""Adjusted value functions: what each coalition is worth to a party that buys part of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.errors import ValueTableError
from ml.game.allocation import Allocation
from ml.game.tables.coalitions import FloatArray, describe_coalition
from ml.game.tables.values import ValueTable

__all__ = ["ModelRewardGame"]


@dataclass(frozen=True, eq=False)
class ModelRewardGame:
    """Adjusted value function v'_i of each party under an allocation.

    v'_i is defined on the coalitions that hold party i: there all marginal contributions of the
    others are lambda_i times what they were, eq. (9), and no value leaves [v(i), v(C)], eq. (8).

    Examples
    --------
    >>> from ml.game import allocate
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> game = ModelRewardGame(table, allocate(table, [0.2, np.inf, np.inf]))
    >>> round(game.adjusted_value(0, 0b111), 6)
    0.8
    """

    table: ValueTable
    allocation: Allocation

    def adjusted_value(self, party: int, coalition: int) -> float:
        """v'_i(C) = lambda_i v(C) + (1 - lambda_i) v(i), eq. (10).

        Raises
        ------
        ValueTableError
            If the party is not in the coalition: v'_i says nothing of it.
        """
        if not coalition >> party & 1:
            raise ValueTableError(
                f"Party {party} is not in coalition {describe_coalition(coalition)}; its adjusted "
                "value is defined for coalitions that hold it."
            )
        return float(self.adjusted_values(party)[coalition])

    def adjusted_values(self, party: int) -> FloatArray:
        """v'_i of all coalitions that hold the party, by bitmask; NaN elsewhere."""
        factor = float(self.allocation.adjustment_factors[party])
        values = np.asarray(self.table.values, dtype=np.float64)
        holds = np.arange(len(values)) >> party & 1 == 1
        adjusted = factor * values + (1 - factor) * values[1 << party]
        return np.where(holds, adjusted, np.nan)
