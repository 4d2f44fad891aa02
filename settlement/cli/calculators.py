"""Verbs that compute without a round: calculate, estimate."""

from __future__ import annotations

from pathlib import Path

import click

from ml.game.words import ESTIMATORS, MONOTONE, SOLVERS
from settlement.cli.printing import as_form, as_json, print_result, print_tables

__all__ = ["calculate", "estimate"]


@click.command()
@click.argument(
    "file", metavar="FILE", required=False, type=click.Path(dir_okay=False, path_type=Path)
)
@click.option(
    "--flows",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Flows instead of values: JSON, CSV or npz.",
)
@click.option("--budget", "budgets", multiple=True, metavar="NAME=VALUE", help="Else unlimited.")
@click.option("--cap", "caps", multiple=True, metavar="NAME=VALUE", help="Best model wanted.")
@click.option(
    "--monotone",
    type=click.Choice(MONOTONE),
    default="refuse",
    show_default=True,
    help="What to do where a larger coalition has a smaller value.",
)
@click.option(
    "--method",
    type=click.Choice(SOLVERS),
    default="clearing",
    show_default=True,
    help="Whose adjustment factors to print; both are computed and must agree.",
)
@click.option("--compare", is_flag=True, help="Set other schemes beside it (no budgets, no caps).")
@as_form
@as_json
def calculate(
    file: Path | None,
    flows: Path | None,
    budgets: tuple[str, ...],
    caps: tuple[str, ...],
    monotone: str,
    method: str,
    compare: bool,
    form: str,
    json_: bool,
) -> None:
    """Work out flows, payoffs and adjustment factors of the values in FILE, without a round.

    FILE is JSON: {"parties": [n names], "values": [2**n numbers]}; bit i of an index is party i.
    With --flows it holds flows (n rows of n, payer by payee), own_values (n) and grand_value, as
    many parties as there are; or CSV: party,own_value,grand_value and a column a payee.
    """
    from settlement.calculator import calculator, comparisons

    if (file is None) == (flows is None):
        raise click.UsageError("Give one file: of values, or of flows with --flows.")
    if flows is not None and (compare or monotone != "refuse"):
        raise click.UsageError("--flows takes no --compare and no --monotone: both need values.")
    if not compare:
        if flows is not None:
            result = calculator.calculate_flows(flows, budgets, caps, method)
        else:
            assert file is not None
            result = calculator.calculate(file, budgets, caps, monotone, method)
        if form != "text":
            print_tables(calculator.tables(result), form)
        else:
            print_result(result, calculator.readable, json_)
        return
    if budgets or caps:
        raise click.UsageError("--compare takes no --budget and no --cap.")
    assert file is not None
    compared = calculator.compare(file, monotone)
    if form != "text":
        print_tables(comparisons.comparison_tables(compared), form)
    else:
        print_result(compared, comparisons.comparison_text, json_)


@click.command()
@click.option("--family", "name", default="saturating", show_default=True, help="Closed-form game.")
@click.option("--parties", "n_parties", default=12, show_default=True, help="2 to 256.")
@click.option("--evaluations", default=500, show_default=True, help="Coalitions to evaluate.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the random choice of coalitions.",
)
@click.option(
    "--method",
    type=click.Choice(ESTIMATORS),
    default=ESTIMATORS[0],
    show_default=True,
    help="Estimator.",
)
@as_form
@as_json
def estimate(
    name: str, n_parties: int, evaluations: int, seed: int, method: str, form: str, json_: bool
) -> None:
    """Estimate flows of a game from a sample of its coalitions, and compare with the true ones."""
    from settlement.calculator import comparisons

    result = comparisons.estimate_beside_truth(name, n_parties, evaluations, seed, method)
    if form != "text":
        print_tables([comparisons.estimate_table(result)], form)
    else:
        print_result(result, comparisons.estimate_text, json_)
