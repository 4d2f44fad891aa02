"""One thing of a game moved from end to end: what follows for everybody, and shadow prices.

A budget, a cap or the exchange rate takes a row of values; all else stays as it is. Budgets that
are fixed in base units are worth less value where a unit of value costs more of them, so the
exchange rate moves lambda as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.game import allocate_many, budget_sensitivity, factor_caps
from ml.game.tables.coalitions import FloatArray
from settlement.calculator.base_game import BaseGame
from settlement.calculator.values_file import ValuesFileError
from settlement.naming import parties_named
from settlement.report.tables import PrintedTable, text_table

__all__ = ["MOST_STEPS", "SWEPT", "sweep", "sweep_tables", "sweep_text"]

SWEPT = ("budget", "cap", "rate")
"""A party's budget or cap, in units of value; base units a unit of value for all."""

MOST_STEPS = 10_000

_NUMBERS = 10**7
"""Entries of the linear systems that are solved side by side, n**3 a value: 80 MB."""

_FIGURES = (
    ("lambda", "adjustment_factors"),
    ("payoff", "payoffs"),
    ("model value", "model_values"),
)


def sweep(
    game: BaseGame, over: str, party: str | None, begin: float, end: float, steps: int
) -> dict[str, Any]:
    """Factors, payoffs and model values at evenly spaced values of one budget, cap or the rate.

    Parameters
    ----------
    over
        One of `SWEPT`.
    party
        Whose budget or cap; None for the rate.
    begin, end, steps
        The values, both ends among them.

    Returns
    -------
    dict
        ``values`` (steps,), figures (steps, n), and ``shadow_prices``: what one more unit of a
        budget does to everybody's model value and payoff. Of the budget that is swept, a row for
        each value; else of every party's, a row each, where the game stands now.

    Raises
    ------
    ValuesFileError
        If the range makes no sense, or ``party`` is missing, superfluous or unknown.
    """
    _check_range(over, party, begin, end, steps)
    with parties_named(game.parties):
        return _swept(game, over, party, np.linspace(begin, end, steps))


def _swept(game: BaseGame, over: str, party: str | None, values: FloatArray) -> dict[str, Any]:
    steps = len(values)
    n_parties = len(game.parties)
    budgets = np.tile(game.budgets, (steps, 1))
    if over == "rate":
        budgets = game.budgets * (game.exchange_rate / values)[:, None]
    elif over == "budget":
        budgets[:, game.party(party or "")] = values
    if over == "cap":
        factors, payoffs = _over_caps(game, game.party(party or ""), values)
    else:
        limits = _limits(game, game.caps)
        rows = max(1, _NUMBERS // n_parties**3)
        many = [
            allocate_many(game.flows, budgets[start : start + rows], limits)
            for start in range(0, steps, rows)
        ]
        factors = np.concatenate([part.factors for part in many])
        payoffs = np.concatenate([part.payoffs for part in many])
    gains = game.grand_value - game.own_values
    return {
        "parties": game.parties,
        "over": over,
        "party": party,
        "exchange_rate": game.exchange_rate,
        "budgets": [None if np.isinf(budget) else float(budget) for budget in game.budgets],
        "values": values.tolist(),
        "adjustment_factors": factors.tolist(),
        "payoffs": payoffs.tolist(),
        "model_values": (game.own_values + factors * gains).reshape(steps, n_parties).tolist(),
        "shadow_prices": _shadow_prices(game, game.party(party), values)
        if over == "budget" and party
        else _shadow_prices(game),
    }


def sweep_tables(result: dict[str, Any]) -> tuple[PrintedTable, ...]:
    """One table a figure, a row for each value; then the two tables of shadow prices."""
    parties = result["parties"]
    swept = "rate" if result["over"] == "rate" else f"{result['over']} of {result['party']}"
    labels = [f"{value:,.10g}" for value in result["values"]]
    tables = [
        PrintedTable(title, [swept, *parties], _rows(labels, result[key]))
        for title, key in _FIGURES
    ]
    first = swept if result["over"] == "budget" else "budget of"
    labels = labels if result["over"] == "budget" else parties
    for title, key in (("model values", "model_values"), ("payoffs", "payoffs")):
        heading = f"shadow prices: one more unit of the budget moves {title} by"
        rows = _rows(labels, result["shadow_prices"][key])
        tables.append(PrintedTable(heading, [first, *parties], rows))
    return tuple(tables)


def _rows(labels: list[str], figures: list[list[float]]) -> list[list[str]]:
    return [
        [label, *(f"{round(figure, 4) + 0.0:.4f}" for figure in row)]
        for label, row in zip(labels, figures, strict=True)
    ]


def sweep_text(result: dict[str, Any]) -> str:
    """The tables, readable."""
    tables = sweep_tables(result)
    text = "\n\n".join("\n".join([t.title, *text_table(t.header, t.rows)]) for t in tables) + "\n"
    if not result["shadow_prices"]["is_two_sided"]:
        text += (
            "\nWhere a party is exactly at its limit, shadow prices are those of growing budgets.\n"
        )
    return text


def _shadow_prices(
    game: BaseGame, party: int | None = None, values: FloatArray | None = None
) -> dict[str, Any]:
    """Of one party's budget at each of its values, or of everybody's where the game stands."""
    limits = _limits(game, game.caps)
    if party is None or values is None:
        prices = [budget_sensitivity(game.flows, game.budgets, limits)]
        rows = slice(None)
    else:
        budgets = np.tile(game.budgets, (len(values), 1))
        budgets[:, party] = values
        prices = [budget_sensitivity(game.flows, row, limits) for row in budgets]
        rows = slice(party, party + 1)
    return {
        "model_values": np.concatenate([price.model_values[rows] for price in prices]).tolist(),
        "payoffs": np.concatenate([price.payoffs[rows] for price in prices]).tolist(),
        "is_two_sided": all(price.is_two_sided for price in prices),
    }


def _over_caps(game: BaseGame, party: int, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Caps bound the factors, which `allocate_many` takes once for all rows: one row at a time."""
    rows = []
    for cap in values:
        caps = game.caps.copy()
        caps[party] = cap
        rows.append(allocate_many(game.flows, game.budgets[None], _limits(game, caps)))
    return (
        np.concatenate([row.factors for row in rows]),
        np.concatenate([row.payoffs for row in rows]),
    )


def _limits(game: BaseGame, caps: FloatArray) -> FloatArray:
    """Most that each factor may be (Remark 4.3)."""
    return factor_caps(game.own_values, game.grand_value, caps)


def _check_range(over: str, party: str | None, begin: float, end: float, steps: int) -> None:
    if over not in SWEPT:
        raise ValuesFileError(f"--over {over}: expected one of {', '.join(SWEPT)}.")
    if (party is None) != (over == "rate"):
        told = "takes no --party" if over == "rate" else "needs --party NAME"
        raise ValuesFileError(f"--over {over} {told}.")
    least = 1.0 if over == "rate" else 0.0
    if not (np.isfinite([begin, end]).all() and least <= begin <= end):
        raise ValuesFileError(
            f"--from {begin} --to {end}: expected two finite numbers in order, from {least:g} on."
        )
    if not 1 <= steps <= MOST_STEPS:
        raise ValuesFileError(f"--steps {steps}: expected 1 to {MOST_STEPS:,}.")
