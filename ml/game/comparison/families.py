"""Closed-form games whose conditional Shapley flows are known at any number of parties.

Each `Family` evaluates coalitions given as rows of members, makes a value table where one fits,
and knows its flows by a formula of its own: they share no code with the exact kernel, and are what
estimates and kernel are measured against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError
from ml.game.comparison.closed_forms import FAMILIES
from ml.game.tables.coalitions import FloatArray, membership
from ml.game.tables.values import ValueTable
from ml.game.words import MAX_PARTIES, MAX_TABLE_PARTIES

__all__ = ["FAMILIES", "Family", "family"]


@dataclass(frozen=True, eq=False)
class Family:
    """A game by formula: values of any coalitions, and the flows that they imply."""

    name: str
    n_parties: int
    flows: FloatArray
    """Conditional Shapley values, eq. (5), shape (n, n), by formula."""
    of_members: Callable[[FloatArray], FloatArray]
    """Values of coalitions given as rows of 0 and 1, shape (batch, n)."""

    def evaluate(self, coalitions: npt.ArrayLike) -> FloatArray:
        """Values of coalitions given as rows of members, true or false, shape (k, n)."""
        bits = np.asarray(coalitions, dtype=np.float64)
        return np.asarray(self.of_members(bits), dtype=np.float64)

    def table(self) -> ValueTable:
        """Value table of the game; for at most 26 parties."""
        if self.n_parties > MAX_TABLE_PARTIES:
            raise EstimationError(
                f"Family {self.name!r} has {self.n_parties} parties; a table takes at most "
                f"{MAX_TABLE_PARTIES}. Use evaluate() and estimate_flows."
            )
        low = membership(min(self.n_parties, 16))
        high = membership(self.n_parties - low.shape[1])
        blocks = (np.hstack([low, np.tile(row, (len(low), 1))]) for row in high)
        return ValueTable(np.concatenate([self.evaluate(block) for block in blocks]))


def family(name: str, n_parties: int, seed: int = 0) -> Family:
    """Game of a named family.

    Parameters
    ----------
    name : str
        ``additive``: v(C) is the sum of the members' weights. ``airport``: the largest weight
        of a member. ``coverage``: weight of the samples that some member holds, 4 n samples,
        each held by a party with its own chance. ``saturating``: 1 - exp(-total weight),
        diminishing returns. ``glove``: pairs of left and right gloves. ``unanimity``: 1 if
        all of the first half are in. ``dummy``: saturating, but the last party adds nothing.
        ``omnipotent``: saturating, but whoever has party 0 has everything. ``replicated``:
        coverage, where the last party holds what the first one holds.
    n_parties : int
        2 to 256.
    seed : int
        Of the weights.

    Returns
    -------
    Family
        All values lie in [0, 1], and v(N) = 1 but for ``saturating`` and ``dummy`` (0.95).

    Raises
    ------
    EstimationError
        If the family is unknown or the number of parties is not between 2 and 256.

    Examples
    --------
    >>> game = family("unanimity", 4)
    >>> game.flows
    array([[0. , 1. , 0. , 0. ],
           [1. , 0. , 0. , 0. ],
           [0.5, 0.5, 0. , 0. ],
           [0.5, 0.5, 0. , 0. ]])
    """
    if name not in FAMILIES:
        raise EstimationError(f"Family is {name!r}; expected one of {', '.join(FAMILIES)}.")
    if not 2 <= n_parties <= MAX_PARTIES:
        raise EstimationError(f"Family of {n_parties} parties; expected 2 to {MAX_PARTIES}.")
    of_members, flows = FAMILIES[name](n_parties, np.random.default_rng(seed))
    np.fill_diagonal(flows, 0.0)
    flows.flags.writeable = False
    return Family(name, n_parties, flows, of_members)
