"""Value tables of several seeds: means, standard errors, and how a figure is written with one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import ValueTableError
from ml.game.tables.coalitions import FloatArray, party_count
from ml.game.tables.reading import as_floats
from ml.game.tables.values import ValueTable

__all__ = ["SeededTables", "with_error"]


@dataclass(frozen=True, eq=False, init=False)
class SeededTables:
    """Value tables of one collaboration, trained with several seeds.

    Parameters
    ----------
    values : float64, shape (seeds, 2**n), at least 2 seeds
        One value table a row; the same rules as for `ValueTable`.

    Raises
    ------
    ValueTableError
        If there are fewer than two seeds or one of the tables is not a value table.
    """

    values: FloatArray

    def __init__(self, values: npt.ArrayLike) -> None:
        array = np.array(as_floats(values, "Values", ValueTableError))
        if array.ndim != 2 or len(array) < 2:
            raise ValueTableError(
                f"Seeded tables have shape {array.shape}; expected (seeds, 2**n), 2 seeds or more. "
                "One table alone says nothing about its noise."
            )
        party_count(array.shape[1])
        for seed, row in enumerate(array):
            try:
                ValueTable(row)
            except ValueTableError as error:
                raise ValueTableError(f"Seed {seed}: {error}") from None
        array.flags.writeable = False
        object.__setattr__(self, "values", array)

    @property
    def n_seeds(self) -> int:
        """How many tables there are."""
        return len(self.values)

    @property
    def standard_errors(self) -> FloatArray:
        """Standard error of each coalition's mean, shape (2**n,)."""
        return np.asarray(self.values.std(axis=0, ddof=1) / np.sqrt(self.n_seeds))

    def mean(self) -> ValueTable:
        """Table of the means over seeds."""
        return ValueTable(self.values.mean(axis=0))


def with_error(value: float, error: float) -> str:
    """Write a figure with its standard error: ``0.180 +- 0.003``."""
    return f"{value:.3f} +- {error:.3f}"
