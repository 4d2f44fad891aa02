"""What pieces of data are worth together, and the game of the accounts that bring them.

A scenario's game is a table over pieces. An account brings a set of pieces, and a coalition of
accounts has the union of its members' sets. Withholding a piece, splitting in two, merging or
entering twice with the same data are therefore exact games of the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ml.game import (
    CoalitionMatrix,
    ValueTable,
    coalition_matrix,
    conditional_shapley,
    cover,
    estimate_flows,
)
from ml.game.tables.coalitions import FloatArray
from ml.game.uncertainty.estimated import non_negative_rows
from settlement.errors import SettlementError
from settlement.simulation.behaviours.behaviour import Figures

__all__ = [
    "MAX_EXACT_ACCOUNTS",
    "ExactPieces",
    "FlowPieces",
    "GameError",
    "PieceGame",
    "SampledPieces",
]

MAX_EXACT_ACCOUNTS = 16
"""Most accounts whose flows come from a whole table; above, coalitions are sampled."""


class GameError(SettlementError):
    """A game that cannot be played: wrong files, or accounts that its table does not know."""


class PieceGame(Protocol):
    """Values of sets of pieces; one set is a bitmask."""

    n_pieces: int

    def value(self, pieces: int) -> float:
        """Value of a model of these pieces alone."""

    def figures(self, accounts: Sequence[int]) -> Figures:
        """The game of accounts that bring these sets of pieces."""


def unions(accounts: Sequence[int]) -> np.ndarray:
    """The pieces of every coalition of accounts, shape (2**n,), by bitmask.

    Examples
    --------
    >>> unions([0b01, 0b10, 0b01]).tolist()
    [0, 1, 2, 3, 1, 1, 3, 3]
    """
    found = np.zeros(1, dtype=np.int64)
    for pieces in accounts:
        found = np.concatenate([found, found | pieces])
    return found


class ExactPieces:
    """A whole table over pieces, made monotone where noise broke it.

    Parameters
    ----------
    values : float64, shape (2**m,)
    is_monotone : bool
        Whether it is known to be; else it is covered from above.
    """

    def __init__(self, values: FloatArray, *, is_monotone: bool = False) -> None:
        if not is_monotone:
            values = np.asarray(cover(ValueTable(values), "above").table.values)
        self.values = np.asarray(values, dtype=np.float64)
        self.n_pieces = len(self.values).bit_length() - 1

    def value(self, pieces: int) -> float:
        """V of a set of pieces."""
        return float(self.values[pieces])

    def figures(self, accounts: Sequence[int]) -> Figures:
        """Exact flows, eq. (5); sampled ones for more accounts than a table takes."""
        if len(accounts) > MAX_EXACT_ACCOUNTS:
            table = ValueTable(self.values)
            return _sampled(table.evaluate, accounts, self.n_pieces, 500)
        table = self.values[unions(accounts)]
        own = table[1 << np.arange(len(accounts))]
        # Below nothing by a last digit is nothing: the table is monotone.
        flows = np.maximum(conditional_shapley(table), 0.0)
        return Figures(flows, own, float(table[-1]), table)


class SampledPieces:
    """A game by formula whose table would be too large: flows are estimated from a sample."""

    def __init__(
        self, evaluate: Callable[[CoalitionMatrix], FloatArray], n_pieces: int, evaluations: int
    ) -> None:
        self._evaluate = evaluate
        self.n_pieces = n_pieces
        self._evaluations = evaluations

    def value(self, pieces: int) -> float:
        """V of a set of pieces."""
        members = coalition_matrix([pieces], self.n_pieces)
        return float(self._evaluate(members)[0]) if pieces else 0.0

    def figures(self, accounts: Sequence[int]) -> Figures:
        """Estimated flows, rows moved to the nearest ones without a negative entry."""
        return _sampled(self._evaluate, accounts, self.n_pieces, self._evaluations)


def _sampled(
    evaluate: Callable[[CoalitionMatrix], FloatArray],
    accounts: Sequence[int],
    n_pieces: int,
    evaluations: int,
) -> Figures:
    n_accounts = len(accounts)
    brought = coalition_matrix(accounts, n_pieces)  # (accounts, pieces)

    def of_coalitions(coalitions: CoalitionMatrix) -> FloatArray:
        pieces = coalitions @ brought  # booleans: a piece that some member brings
        values = np.asarray(evaluate(pieces), dtype=np.float64)
        return np.where(pieces.any(axis=1), values, 0.0)

    estimate = estimate_flows(of_coalitions, n_accounts, max(evaluations, n_accounts + 2))
    own, grand = estimate.own_values, estimate.grand_value
    flows = non_negative_rows(estimate.flows, np.maximum(grand - own, 0.0))
    return Figures(flows, own, grand)


class FlowPieces:
    """Flows of whole parties, for markets beyond any table; piece k is party k's."""

    def __init__(self, flows: FloatArray, own_values: FloatArray, grand_value: float) -> None:
        self._figures = Figures(flows, own_values, grand_value)
        self.n_pieces = len(own_values)

    def value(self, pieces: int) -> float:
        """Own value of a party, or nothing for no pieces."""
        if pieces == 0:
            return 0.0
        if pieces & (pieces - 1):
            raise GameError("Given flows know single parties only; no value of several together.")
        return float(self._figures.own_values[pieces.bit_length() - 1])

    def figures(self, accounts: Sequence[int]) -> Figures:
        """The given flows; every party has to enter as itself."""
        if list(accounts) != [1 << k for k in range(self.n_pieces)]:
            raise GameError(
                f"{len(accounts)} accounts over given flows of {self.n_pieces} parties; each party "
                "has to enter once, with all it has. Give a table to let parties split or withhold."
            )
        return self._figures
