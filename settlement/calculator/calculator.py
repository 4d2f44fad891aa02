"""The allocation of a file of values or of flows, as plain figures and as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.game import Allocation, ValueTable, allocate_flows, made_monotone
from ml.game import allocate as allocate_game
from ml.game.words import MAX_CROSS_CHECKED
from settlement.calculator.comparisons import comparison
from settlement.calculator.values_file import MAX_VALUE, ValuesFileError, limits_of, read_values
from settlement.naming import parties_named
from settlement.report.tables import PrintedTable, text_table
from settlement.store.flows_file import read_flows

__all__ = ["calculate", "calculate_flows", "compare", "readable", "tables"]

SHOWN_FLOWS = 20
"""Most parties whose flows are shown: a row of more fits no screen. JSON has all of them."""


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


def calculate(
    path: Path,
    budgets: Sequence[str] = (),
    caps: Sequence[str] = (),
    monotone: str = "refuse",
    method: str = "clearing",
    sponsor: float | None = None,
) -> dict[str, Any]:
    """Flows, payoffs and adjustment factors of the value table in a JSON file.

    Parameters
    ----------
    path
        JSON; see `values_file.read_values`.
    budgets, caps
        ``NAME=VALUE`` in units of value; a party that is not named has no limit.
    monotone
        One of `ml.game.MONOTONE`: what to do with a table that is not monotone.
    method
        ``"clearing"`` or ``"linear-programme"``: whose factors are returned; both are computed.
    sponsor
        beta, in units of value: what somebody outside gives, shared equally (Remark 3.6). It buys
        nobody a better model: it comes on top of the payoffs.

    Raises
    ------
    ValuesFileError
        If the file, a budget or a cap cannot be read.
    ml.errors.MlError
        If the values are no value table, or not monotone where that is refused.
    """
    _check_sponsor(sponsor)
    parties, values = read_values(path)
    budget_limits = limits_of("budget", budgets, parties)
    cap_limits = limits_of("cap", caps, parties)
    with parties_named(parties):
        table, violations = _monotone_table(values, monotone)
        allocation = allocate_game(table, budget_limits, cap_limits, method=method)
    result = _plain(parties, allocation) | {"monotone_violations": violations}
    if sponsor is not None:
        result["sponsor"] = sponsor
        result["payoffs_with_sponsor"] = (allocation.payoffs + sponsor / len(parties)).tolist()
    return result


def calculate_flows(
    path: Path,
    budgets: Sequence[str] = (),
    caps: Sequence[str] = (),
    method: str = "clearing",
) -> dict[str, Any]:
    """The same from a file of flows, own values and v(N); parties without names are numbered.

    Flows that the file holds sparse are not repeated in the result.

    Raises
    ------
    FlowsFileError, ValuesFileError
        If the file, a budget or a cap cannot be read, or the flows break eq. (4).
    ml.errors.MlError
        If a cap is below what the party has already.
    """
    file = read_flows(path)
    given = file.given
    parties = list(file.parties or map(str, range(given.n_parties)))
    budget_limits = limits_of("budget", budgets, parties)
    cap_limits = limits_of("cap", caps, parties)
    with parties_named(parties):
        allocation = allocate_flows(
            given.flows,
            given.own_values,
            given.grand_value,
            budget_limits,
            cap_limits,
            method=method,
            cross_check=given.n_parties <= MAX_CROSS_CHECKED,
        )
    return _plain(parties, allocation) | {"monotone_violations": None}


def compare(
    path: Path,
    budgets: Sequence[str] = (),
    monotone: str = "refuse",
    sponsor: float | None = None,
) -> dict[str, Any]:
    """What other schemes give on the value table in a JSON file; see `comparisons`."""
    _check_sponsor(sponsor)
    parties, values = read_values(path)
    limits = limits_of("budget", budgets, parties)
    with parties_named(parties):
        table, violations = _monotone_table(values, monotone)
        compared = comparison(parties, table, limits, sponsor)
    return compared | {"monotone_violations": violations}


def tables(result: dict[str, Any]) -> tuple[PrintedTable, ...]:
    """The parties' figures, and the flows before budgets unless there are too many to read."""
    header = ["party", "shapley", "payoff unlimited", "lambda", "payoff", "model value"]
    columns: tuple[str, ...] = (
        "shapley",
        "payoffs_unlimited",
        "adjustment_factors",
        "payoffs",
        "model_values",
    )
    if "sponsor" in result:
        header.append("with sponsor")
        columns = (*columns, "payoffs_with_sponsor")
    rows = [
        [name, *(f"{round(result[column][k], 4) + 0.0:.4f}" for column in columns)]
        for k, name in enumerate(result["parties"])
    ]
    figures = PrintedTable("parties", header, rows)
    if len(rows) > SHOWN_FLOWS or "flows" not in result:
        return (figures,)
    flows = [
        [name, *(f"{flow:.4f}" for flow in row)]
        for name, row in zip(result["parties"], result["flows"], strict=True)
    ]
    return (
        figures,
        PrintedTable(
            "flows (what the row pays the column, before budgets)", ["", *result["parties"]], flows
        ),
    )


def readable(result: dict[str, Any]) -> str:
    """The result as a page of text."""
    parties, *flows = tables(result)
    lines = text_table(parties.header, parties.rows)
    for table in flows:
        lines += ["", table.title, *text_table(table.header, table.rows)]
    lines.append("")
    if (violations := result["monotone_violations"]) is not None:
        lines.append(f"{violations['broken']} of {violations['edges']} edges not monotone")
    gap = result["certificate_gap"]
    shown = "below 1e-12" if abs(gap) < 1e-12 else f"{gap:.1e}"
    lines.append(f"adjustment factors certified greatest: duality gap {shown}")
    return "\n".join(lines) + "\n"


def _check_sponsor(sponsor: float | None) -> None:
    if sponsor is not None and not 0 <= sponsor <= MAX_VALUE:
        raise ValuesFileError(
            f"--sponsor {sponsor}: expected a finite amount from 0 on, in units of value."
        )


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
    return {"parties": parties} | {name: figures[name] for name in _FIGURES if name in figures}
