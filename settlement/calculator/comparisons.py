"""Schemes and estimates set side by side, as plain figures and readable text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ml.game import (
    PROPERTIES,
    SCHEMES,
    ValueTable,
    compare_schemes,
    estimate_error,
    estimate_flows,
    family,
    payoffs,
)
from ml.game.comparison.outcome import Outcome, Scheme
from ml.game.tables.coalitions import FloatArray
from settlement.report.tables import PrintedTable, text_table

__all__ = [
    "comparison",
    "comparison_tables",
    "comparison_text",
    "estimate_beside_truth",
    "estimate_table",
    "estimate_text",
]


def comparison(
    parties: list[str], table: ValueTable, budgets: FloatArray, sponsor: float | None = None
) -> dict[str, Any]:
    """What each scheme gives every party on one table, and which properties it satisfies.

    With a sponsor's beta also the paper's own scheme under these budgets with an equal share of
    beta on top of each payoff; without budgets that is Remark 3.6 with alpha = n.
    """
    schemes = dict(SCHEMES)
    if sponsor is not None:
        schemes["conditional Shapley and a sponsor"] = _sponsored(sponsor)
    return {
        "parties": parties,
        "schemes": [
            {
                "name": report.name,
                "payoffs": report.outcome.payoffs.tolist(),
                "model_values": report.outcome.model_values.tolist(),
                "properties": {
                    name: {"holds": check.holds, "violation": check.violation}
                    for name, check in report.properties.items()
                },
            }
            for report in compare_schemes(table, budgets, schemes)
        ],
    }


def _sponsored(beta: float) -> Scheme:
    """Conditional Shapley under the budgets, and a gift that buys nobody a better model."""

    def scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
        outcome: Outcome = SCHEMES["conditional Shapley"](table, budgets)
        return replace(outcome, payoffs=outcome.payoffs + beta / table.n_parties)

    return scheme


def comparison_tables(compared: dict[str, Any]) -> tuple[PrintedTable, ...]:
    """Payoffs, model values and properties of the schemes."""
    tables = []
    for title, key in (("payoffs", "payoffs"), ("model values", "model_values")):
        rows = [
            [scheme["name"], *(f"{round(figure, 4) + 0.0:.4f}" for figure in scheme[key])]
            for scheme in compared["schemes"]
        ]
        tables.append(PrintedTable(title, [title, *compared["parties"]], rows))
    rows = [
        [scheme["name"], *("yes" if scheme["properties"][p]["holds"] else "no" for p in PROPERTIES)]
        for scheme in compared["schemes"]
    ]
    return (*tables, PrintedTable("properties", ["property", *PROPERTIES], rows))


def comparison_text(compared: dict[str, Any]) -> str:
    """Payoffs, model values and properties of the schemes, readable."""
    tables = comparison_tables(compared)
    return "\n\n".join("\n".join(text_table(t.header, t.rows)) for t in tables) + "\n"


def estimate_beside_truth(
    name: str, n_parties: int, evaluations: int, seed: int, method: str
) -> dict[str, Any]:
    """Estimate the flows of a closed-form game and set them beside the true ones.

    Errors are relative to the root mean square of the true flows (off the diagonal).
    """
    game = family(name, n_parties)
    estimate = estimate_flows(game.evaluate, n_parties, evaluations, seed, method)
    error = estimate_error(estimate, game.flows)
    return {
        "family": name,
        "method": method,
        "n_parties": n_parties,
        "n_evaluations": estimate.n_evaluations,
        "n_coalitions": 2**n_parties - 1,
        "rms_flow": error.rms_flow,
        "relative_rmse": error.relative_rms,
        "relative_standard_error": error.claimed_rms / error.rms_flow,
        "share_within_two_errors": error.share_within_two_errors,
        "payoffs_estimated": payoffs(estimate.flows).tolist(),
        "payoffs_true": payoffs(game.flows).tolist(),
    }


def estimate_table(result: dict[str, Any]) -> PrintedTable:
    """Estimated payoffs beside the true ones."""
    rows = [
        [str(party), f"{estimated:+.5f}", f"{true:+.5f}"]
        for party, (estimated, true) in enumerate(
            zip(result["payoffs_estimated"], result["payoffs_true"], strict=True)
        )
    ]
    return PrintedTable("payoffs", ["party", "payoff estimated", "payoff true"], rows)


def estimate_text(result: dict[str, Any]) -> str:
    """An estimate beside the truth, readable."""
    table = estimate_table(result)
    lines = [
        f"{result['family']} game of {result['n_parties']} parties, {result['method']}: "
        f"{result['n_evaluations']} of {result['n_coalitions']} coalitions evaluated",
        f"flows: root mean square error {result['relative_rmse']:.3%} of the true flows'; "
        f"the estimate's own standard error {result['relative_standard_error']:.3%}",
        f"{result['share_within_two_errors']:.0%} of the true flows lie within two standard errors",
        "",
        *text_table(table.header, table.rows),
    ]
    return "\n".join(lines) + "\n"
