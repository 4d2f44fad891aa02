"""An operator that lies: in one figure of the settlement, or with a whole invented game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from settlement.money.terms import Transfer
from settlement.simulation.behaviours.behaviour import Draft, Figures, OperatorBehaviour

__all__ = ["LyingOperator"]

Lie = Literal["any", "amount", "creditor", "extra", "missing", "factor", "flow", "own", "game"]

OF_TRANSFERS = ("amount", "creditor", "extra", "missing")
OF_FIGURES = ("factor", "flow", "own")


class LyingOperator(OperatorBehaviour):
    """Changes one figure of the settlement, or invents a consistent game before the deposits.

    ``about`` says what it lies about: the amount or the creditor of a transfer, a transfer too many
    or too few, an adjustment factor, a flow, an own value, or the whole game; "any" draws one of
    those that the settlement has, the game aside. An invented game takes ``share`` of every other
    party's own value away and calls it the work of party ``favours``: row by row it still adds up.
    """

    name: ClassVar[str] = "lying_operator"

    about: Lie = "any"
    favours: int = Field(0, ge=0)
    share: float = Field(0.5, gt=0, le=1)

    def game(self, true: Figures, rng: np.random.Generator) -> Figures:
        """The true game, or one in which everybody owes the favoured party more."""
        if self.about != "game":
            return true
        favoured = self.favours % true.n_parties
        taken = true.own_values * self.share
        taken[favoured] = 0.0
        flows = true.flows.copy()
        flows[:, favoured] += taken
        return Figures(flows, true.own_values - taken, true.grand_value)

    def draft(self, true: Draft, rng: np.random.Generator) -> Draft | None:
        """One figure changed."""
        if self.about == "game":
            return true
        about: str = self.about
        game = true.game
        if about == "any":
            known = (*OF_TRANSFERS, *(OF_FIGURES if game else ()))
            about = str(rng.choice(known))
        if about in OF_TRANSFERS or game is None:
            changed = _changed(about, true.transfers, self.favours, rng)
            return replace(true, transfers=tuple(changed))
        row = int(rng.integers(game.n_parties))
        if about == "factor":
            return replace(true, factors=_stepped(true.factors, row))
        if about == "own":
            return replace(true, game=replace(game, own=_stepped(game.own, row)))
        flows = list(game.flows)
        flows[row] = _stepped(flows[row], (row + 1) % game.n_parties)
        return replace(true, game=replace(game, flows=tuple(flows)))


def _stepped(figures: Sequence[int], place: int) -> tuple[int, ...]:
    """One less, or one more where there is nothing to take."""
    changed = list(figures)
    changed[place] += -1 if changed[place] > 0 else 1
    return tuple(changed)


def _changed(
    about: str, transfers: Sequence[Transfer], favours: int, rng: np.random.Generator
) -> list[Transfer]:
    """The transfers with one of them changed; one unit too many where there are none."""
    changed = list(transfers)
    if not changed or about == "extra":
        return [*changed, Transfer(1 if favours == 0 else 0, favours, 1)]
    place = int(rng.integers(len(changed)))
    old = changed[place]
    if about == "missing":
        del changed[place]
    elif about == "creditor":
        others = [k for k in (old.debtor + 1, favours, 0, 1, 2) if k not in (old.debtor,)]
        creditor = next((k for k in others[1:] if k != old.creditor), old.creditor)
        changed[place] = replace(old, creditor=creditor)
    else:
        amount = old.amount_units - 1 or old.amount_units + 1
        changed[place] = replace(old, amount_units=amount)
    return changed
