"""What a page about a simulation or a payoff matrix shows, as plain data for JSON.

Every figure is made here, so that a page draws and computes nothing of its own.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from typing import Any

import numpy as np

from settlement.report.simulation_plots import BAND
from settlement.simulation.results.summary import finite, group_name
from settlement.simulation.simulating import Results
from settlement.simulation.tables.sweeps import RoundKey
from settlement.simulation.tree import GameTree, Line

__all__ = ["MOST_ROUNDS", "attack_document", "page_document"]

MOST_ROUNDS = 2_000
"""Rounds that a page lists one by one; the rest is counted."""

PERCENTILES = (5, 25, 50, 75, 95)

PAGE_FIGURES = ("utility", "surplus", "payoff", "model_value", "deposit", "gain")

ROUND_COLUMNS = (
    "settled",
    "settled_by",
    "operator",
    "lie",
    "n_accounts",
    "n_transfers",
    "gross_units",
    "net_units",
    "n_refusals",
    "troubles",
)

Figure = dict[str, float | None]


def page_document(results: Results) -> dict[str, Any]:
    """Everything that a page of a simulation shows.

    Parameters
    ----------
    results : Results
        Of `settlement.simulation.simulate`.

    Returns
    -------
    dict
        Plain data without NaN; its keys are listed in settlement/simulation/README.md.
    """
    summary = results.summary.as_json()
    replay = f"fairround replay {shlex.quote(str(results.database.parent))} --round "
    for verdict in summary["verdicts"]:
        verdict["replay"] = [replay + key for key in verdict["broken"]]
    cells = _cells(results)
    rounds, n_rounds_left_out = _rounds(results, summary["verdicts"], replay)
    document = {
        "kind": "simulation",
        "summary": {key: summary[key] for key in summary if key != "behaviours"},
        "axes": _axes(cells),
        "cells": [{"cell": cell, "parameters": cells.get(cell, {})} for cell in _numbers(results)],
        "behaviours": _behaviours(results),
        "settling": _settling(results),
        "periods": _periods(results),
        "rounds": rounds,
        "n_rounds_left_out": n_rounds_left_out,
    }
    return _plain(document)


def attack_document(tree: GameTree) -> dict[str, Any]:
    """Everything that a page of a payoff matrix shows; see `page_document`."""
    document = {
        "kind": "attack",
        "way": tree.way,
        "private_rates": list(tree.private_rates),
        "parties": list(tree.parties),
        "alone": list(tree.alone),
        "honest_is_best_reply": tree.honest_is_best_reply,
        "regret": tree.regret,
        "lines": [_line(tree, line) for line in (tree.honest, *tree.lines)],
        "disagreements": list(tree.disagreements),
    }
    return _plain(document)


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Lists for tuples, and an error for a NaN that slipped through."""
    plain: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return plain


def _line(tree: GameTree, line: Line) -> dict[str, Any]:
    """One row of the matrix; what a party has is also told against all being honest."""
    return {
        "name": line.name,
        "who": line.who,
        "behaviour": line.behaviour,
        "parameters": line.parameters,
        "settled": line.settled,
        "gain": line.gain,
        "total_gas": line.total_gas,
        "parties": [
            {
                "name": name,
                "utility": line.utilities[k],
                "surplus": line.utilities[k] - tree.alone[k],
                "change": line.utilities[k] - tree.honest.utilities[k],
                "payoff_units": line.payoffs_units[k],
                "model_value": line.model_values[k],
                "gas": line.gas[k],
            }
            for k, name in enumerate(tree.parties)
        ],
    }


def _numbers(results: Results) -> list[int]:
    return [cell for (cell,) in results.query("SELECT DISTINCT cell FROM rounds ORDER BY cell")]


def _cells(results: Results) -> dict[int, dict[str, Any]]:
    """What is swept, and its value in each cell."""
    cells: dict[int, dict[str, Any]] = defaultdict(dict)
    for cell, place, value in results.query("SELECT cell, place, value FROM cells ORDER BY 1, 2"):
        cells[cell][place] = json.loads(value)
    return cells


def _axes(cells: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The swept places, each with its values in the order of the cells."""
    axes: dict[str, list[Any]] = {}
    for parameters in cells.values():
        for place, value in parameters.items():
            values = axes.setdefault(place, [])
            if value not in values:
                values.append(value)
    return [
        {"place": place, "name": place.rpartition(".")[2], "values": values}
        for place, values in axes.items()
    ]


def _behaviours(results: Results) -> list[dict[str, Any]]:
    """A row a cell, table and behaviour: means with bands, and how a surplus is spread."""
    spread: dict[tuple[int, str], list[float]] = defaultdict(list)
    query = "SELECT cell, kind, behaviour, utility - utility_alone FROM parties"
    for cell, kind, behaviour, surplus in results.query(query):
        spread[cell, group_name(kind, behaviour)].append(surplus)
    return [
        {
            "cell": row.cell,
            "group": row.group,
            "n_rows": row.n_rows,
            "hurt": row.hurt,
            "figures": {name: _banded(getattr(row, name)) for name in PAGE_FIGURES},
            "surplus_percentiles": {
                str(q): float(found)
                for q, found in zip(
                    PERCENTILES,
                    np.percentile(spread[row.cell, row.group], PERCENTILES),
                    strict=True,
                )
            },
        }
        for row in results.summary.behaviours
    ]


def _banded(figure: tuple[float, float] | None) -> Figure | None:
    """A mean with its band; no band where there is one replicate."""
    if figure is None:
        return None
    mean, error = (finite(number) for number in figure)
    known = mean is not None and error is not None
    return {
        "mean": mean,
        "standard_error": error,
        "low": mean - BAND * error if known else None,  # type: ignore[operator]
        "high": mean + BAND * error if known else None,  # type: ignore[operator]
    }


def _settling(results: Results) -> list[dict[str, Any]]:
    """A row a cell: how often it settles, and what netting saves there."""
    names = ("cell", "n_rounds", "settled_share", "gross_units", "net_units", "transfers")
    query = (
        "SELECT cell, count(*), avg(settled), avg(CASE WHEN settled THEN gross_units END), "
        "avg(CASE WHEN settled THEN net_units END), avg(CASE WHEN settled THEN n_transfers END) "
        "FROM rounds GROUP BY cell ORDER BY cell"
    )
    return [dict(zip(names, row, strict=True)) for row in results.query(query)]


def _periods(results: Results) -> list[dict[str, Any]]:
    """Means by period, table and behaviour, where rounds follow one another; else nothing."""
    figures = ("surplus", "payoff_units", "model_value", "deposit_units", "moved_share")
    query = (
        "SELECT cell, kind, behaviour, period, avg(utility - utility_alone), avg(payoff_units), "
        "avg(model_value), avg(deposit_units), avg(moved) FROM parties "
        "WHERE (SELECT max(period) FROM rounds) > 0 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    return [
        {
            "cell": cell,
            "group": group_name(kind, behaviour),
            "period": period,
            **dict(zip(figures, means, strict=True)),
        }
        for cell, kind, behaviour, period, *means in results.query(query)
    ]


def _rounds(
    results: Results, verdicts: list[dict[str, Any]], replay: str
) -> tuple[list[dict[str, Any]], int]:
    """Rounds with the commands that replay them, those that broke something first."""
    broken = {key for verdict in verdicts for key in verdict["broken"]}
    columns = ", ".join(ROUND_COLUMNS)
    rows = []
    for cell, replicate, period, *row in results.query(
        f"SELECT cell, replicate, period, {columns} FROM rounds ORDER BY 1, 2, 3"
    ):
        key = str(RoundKey(cell, replicate, period))
        found = dict(zip(ROUND_COLUMNS, row, strict=True))
        rows.append({"key": key, "broken": key in broken, "replay": replay + key, **found})
    rows.sort(key=lambda row: not row["broken"])
    return rows[:MOST_ROUNDS], max(0, len(rows) - MOST_ROUNDS)
