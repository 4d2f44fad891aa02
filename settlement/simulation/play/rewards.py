"""What a round is worth to its parties: clearing, money, and models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.game import adjustment_factors, factor_caps, payoffs
from ml.game.tables.coalitions import FloatArray
from settlement.money.bridge import budgets_of_deposits
from settlement.simulation.behaviours.behaviour import Entry, Figures
from settlement.simulation.games.pieces import PieceGame

__all__ = ["Cleared", "Prospects", "clear"]


@dataclass(frozen=True, slots=True)
class Cleared:
    """Clearing of a game of accounts under their deposits, in value units."""

    factors: FloatArray
    payoffs: FloatArray
    model_values: FloatArray


def clear(
    figures: Figures,
    deposits_units: Sequence[int],
    exchange_rate: int,
    caps: Sequence[float | None] = (),
) -> Cleared:
    """Greatest adjustment factors under the locked deposits, and what follows from them.

    ``caps`` has one an account, or is empty where nobody has one.
    """
    flows = figures.flows
    # Sampled and rounded flows may be negative by a last digit, which counts as nothing.
    rounding = 1e-12 * max(figures.grand_value, 1e-300)
    budgets = budgets_of_deposits(deposits_units, exchange_rate)
    own = figures.own_values
    most = None
    if any(cap is not None for cap in caps):
        wanted = [np.inf if cap is None else cap for cap in caps]
        most = factor_caps(own, figures.grand_value, wanted)
    factors = adjustment_factors(flows, budgets, most, tolerance=rounding).factors
    return Cleared(
        factors=factors,
        payoffs=payoffs(factors[:, None] * flows),
        model_values=own + factors * (figures.grand_value - own),
    )


class Prospects:
    """What a party could expect of a round, by arithmetic alone: nothing is sent.

    Parameters
    ----------
    choices : list
        How every party enters, or is taken to enter; whoever asks replaces its own.
    caps : list
        Most that each party wants its model to be worth; None: no cap.
    """

    def __init__(
        self,
        game: PieceGame,
        choices: Sequence[tuple[Entry, ...]],
        exchange_rate: int,
        caps: Sequence[float | None],
    ) -> None:
        self._game = game
        self._caps = list(caps)
        self._choices = list(choices)
        self._exchange_rate = exchange_rate
        self._figures: dict[tuple[int, ...], Figures] = {}

    def _game_of(self, accounts: Sequence[int]) -> Figures:
        key = tuple(accounts)
        if key not in self._figures:
            self._figures[key] = self._game.figures(accounts)
        return self._figures[key]

    def utility(
        self, party: int, entries: tuple[Entry, ...], pieces: int, private_rate: float
    ) -> float:
        """Base units of utility if the party enters so and everything then goes its way."""
        choices = [*self._choices[:party], entries, *self._choices[party + 1 :]]
        everybody = [entry for choice in choices for entry in choice]
        first = sum(len(choice) for choice in choices[:party])
        own = slice(first, first + len(entries))
        figures = self._game_of([entry.pieces for entry in everybody])
        deposits = [entry.deposit_units for entry in everybody]
        caps = [cap for cap, choice in zip(self._caps, choices, strict=True) for _ in choice]
        cleared = clear(figures, deposits, self._exchange_rate, caps)
        model = max(self._game.value(pieces), float(cleared.model_values[own].max()))
        money = float(cleared.payoffs[own].sum())
        return self._exchange_rate * (private_rate * model + money)

    def grand_cost(self, party: int) -> float:
        """What the party owes for everything that the others add, if all enter as they are."""
        everybody = [entry.pieces for choice in self._choices for entry in choice]
        first = sum(len(choice) for choice in self._choices[:party])
        n_own = len(self._choices[party])
        figures = self._game_of(everybody)
        return float(np.sum(figures.grand_value - figures.own_values[first : first + n_own]))
