"""The allocation as a calculator: one JSON file of values in, plain figures out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.game import Allocation, ValueTable, made_monotone
from ml.game import allocate as allocate_game
from settlement.errors import SettlementError
from settlement.naming import parties_named
from settlement.report.tables import text_table

__all__ = ["CalculatorInputError", "calculate", "compare", "readable"]


MAX_VALUE = 1e30
"""Largest value that is read: sums stay far from overflow and figures readable."""


MAX_RECURSION = 2_000

_FIGURES = (
    "flows",
    "shapley",
    "payoffs_unlimited",
    "adjustment_factors",
    "payoffs",
    "model_values",
    "certificate_gap",
    "solver_gap",
)


class CalculatorInputError(SettlementError):
    """A values file, budget or cap that cannot be read."""


def calculate(
    path: Path,
    budgets: Sequence[str] = (),
    caps: Sequence[str] = (),
    monotone: str = "refuse",
    method: str = "clearing",
) -> dict[str, Any]:
    """Flows, payoffs and adjustment factors of the value table in a JSON file.

    Parameters
    ----------
    path
        ``{"parties": [n names], "values": [2**n numbers]}``; bit i of the index is party i.
        Other keys are ignored.
    budgets, caps
        ``NAME=VALUE`` in value units; a party that is not named has no limit.
    monotone
        One of `ml.game.MONOTONE`: what to do with a table that is not monotone.
    method
        ``"clearing"`` or ``"linear-programme"``: whose factors are returned; both are computed.

    Raises
    ------
    CalculatorInputError, ml.errors.MlError
    """
    parties, values = _read_values(path)
    budget_limits = _limits("budget", budgets, parties)
    cap_limits = _limits("cap", caps, parties)
    with parties_named(parties):
        table, violations = _monotone_table(values, monotone)
        allocation = allocate_game(table, budget_limits, cap_limits, method=method)
    return _plain(parties, allocation) | {"monotone_violations": violations}


def compare(path: Path, monotone: str = "refuse") -> dict[str, Any]:
    """What other schemes give on the value table in a JSON file; see `comparisons`."""
    from settlement.calculator.comparisons import comparison

    parties, values = _read_values(path)
    with parties_named(parties):
        table, violations = _monotone_table(values, monotone)
        return comparison(parties, table) | {"monotone_violations": violations}


def readable(result: dict[str, Any]) -> str:
    """The result as a page of text."""
    header = ["party", "shapley", "payoff unlimited", "lambda", "payoff", "model value"]
    columns = ("shapley", "payoffs_unlimited", "adjustment_factors", "payoffs", "model_values")
    rows = [
        [name, *(f"{round(result[column][k], 4) + 0.0:.4f}" for column in columns)]
        for k, name in enumerate(result["parties"])
    ]
    lines = text_table(header, rows)
    lines += ["", "flows (what the row pays the column, before budgets)"]
    rows = [
        [name, *(f"{flow:.4f}" for flow in row)]
        for name, row in zip(result["parties"], result["flows"], strict=True)
    ]
    lines += text_table(["", *result["parties"]], rows)
    violations = result["monotone_violations"]
    lines += ["", f"{violations['broken']} of {violations['edges']} edges not monotone"]
    gap = result["certificate_gap"]
    shown = "below 1e-12" if abs(gap) < 1e-12 else f"{gap:.1e}"
    lines.append(f"adjustment factors certified greatest: duality gap {shown}")
    return "\n".join(lines) + "\n"


def _parsed(raw: bytes) -> Any:
    """JSON of moderate depth: the EVM's library lifts Python's guard against deep nesting."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, MAX_RECURSION))
    try:
        return json.loads(raw)
    finally:
        sys.setrecursionlimit(limit)


def _read_values(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        document = _parsed(path.read_bytes())
    except OSError as error:
        raise CalculatorInputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise CalculatorInputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(document, dict) or not {"parties", "values"} <= document.keys():
        raise CalculatorInputError(f'{path} must be an object with "parties" and "values".')
    parties, values = document["parties"], document["values"]
    if not isinstance(parties, list) or not all(isinstance(name, str) for name in parties):
        raise CalculatorInputError(f"{path}: parties must be a list of names.")
    if unnamed := [name for name in parties if not name.isprintable() or not name.strip()]:
        raise CalculatorInputError(f"{path}: {unnamed[0]!r} is no name that can be printed.")
    if twice := sorted({name for name in parties if parties.count(name) > 1}):
        raise CalculatorInputError(f"{path}: parties {twice} are named twice.")
    if not isinstance(values, list):
        raise CalculatorInputError(f"{path}: values must be a list of numbers.")
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CalculatorInputError(f"{path}: values[{index}] is {value!r}; expected a number.")
        if abs(value) > MAX_VALUE:  # infinities too; not-a-number is refused by the table
            raise CalculatorInputError(
                f"{path}: values[{index}] is above {MAX_VALUE:.0e}; values are scores, or money "
                f"of a size that can be added up. Choose a larger unit."
            )
    if len(parties) > 26 or len(values) != 2 ** len(parties):
        raise CalculatorInputError(
            f"{path}: {len(values)} values for {len(parties)} parties; expected 2**n, n at most 26."
        )
    return parties, np.array(values, dtype=np.float64)


def _limits(kind: str, options: Sequence[str], parties: Sequence[str]) -> np.ndarray:
    limits = np.full(len(parties), np.inf)
    named = set()
    for option in options:
        name, equals, text = option.rpartition("=")
        if not equals or name not in parties:
            raise CalculatorInputError(
                f"--{kind} {option}: expected NAME=VALUE with one of: {', '.join(parties)}."
            )
        if name in named:
            raise CalculatorInputError(f"--{kind} {option}: {name} has a {kind} already.")
        named.add(name)
        try:
            limit = math.inf if text == "unlimited" else float(text)
        except ValueError:
            limit = math.nan
        if not limit >= 0:
            raise CalculatorInputError(
                f'--{kind} {option}: expected a number of at least 0, or "unlimited".'
            )
        limits[parties.index(name)] = limit
    return limits


def _monotone_table(values: np.ndarray, monotone: str) -> tuple[ValueTable, dict[str, Any]]:
    table = ValueTable(values)
    report = table.monotonicity()
    table, _ = made_monotone(table, monotone)
    return table, {
        "edges": report.n_edges,
        "broken": report.n_broken,
        "largest": report.largest,
        "worst": [
            {"coalition": edge.coalition, "party": edge.party, "drop": edge.drop}
            for edge in report.broken[:10]
        ],
    }


def _plain(parties: list[str], allocation: Allocation) -> dict[str, Any]:
    figures = allocation.as_dict()
    return {"parties": parties} | {name: figures[name] for name in _FIGURES}
