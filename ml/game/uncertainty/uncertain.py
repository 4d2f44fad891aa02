"""An allocation whose figures are known up to standard errors, wherever these came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.allocation import Allocation
from ml.game.tables.coalitions import FloatArray

__all__ = ["UncertainAllocation", "interval_quantile"]


def interval_quantile(n_seeds: int, level: float = 0.95) -> float:
    """Standard errors to either side that hold the truth; Student's where seeds are few."""
    from scipy.stats import norm, t

    tail = (1 + level) / 2
    return float(t.ppf(tail, n_seeds - 1) if n_seeds > 1 else norm.ppf(tail))


@dataclass(frozen=True, eq=False, kw_only=True)
class UncertainAllocation:
    """An allocation with the standard error of each of its figures, shape (n,) each."""

    allocation: Allocation
    payoff_unlimited_errors: FloatArray
    factor_errors: FloatArray
    payoff_errors: FloatArray
    model_value_errors: FloatArray
    n_seeds: int
    """Trainings of each coalition; 1 says nothing of what another seed would have given."""

    def quantile(self, level: float = 0.95) -> float:
        """How many standard errors to either side hold the truth with this probability.

        Student's where the errors come from a few seeds: 12.7 with two of them, 4.3 with three.

        Examples
        --------
        >>> from ml.game import SeededTables, allocate_seeds
        >>> tables = SeededTables([[0, 0.4, 0.5, 0.9], [0, 0.5, 0.5, 0.8], [0, 0.4, 0.6, 0.9]])
        >>> round(allocate_seeds(tables).quantile(), 2)
        4.3
        """
        return interval_quantile(self.n_seeds, level)

    def payoffs_within_error(self, level: float = 0.95) -> npt.NDArray[np.bool_]:
        """Which payoffs may as well be zero: money there is noise, shape (n,)."""
        margin = self.quantile(level) * self.payoff_errors
        return np.asarray((margin > 0) & (np.abs(self.allocation.payoffs) < margin))

    def as_dict(self) -> dict[str, Any]:
        """`Allocation.as_dict` with the errors of payoffs, factors and model values."""
        names = ("payoff_errors", "factor_errors", "model_value_errors")
        return self.allocation.as_dict() | {name: getattr(self, name).tolist() for name in names}
