"""Verbs that compute from a value table, with or without a round: allocate, estimate."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from ml.game.words import ESTIMATORS, MONOTONE, SOLVERS
from settlement.cli.printing import as_json, print_result
from settlement.cli.verbs import carry_out_stage

__all__ = ["allocate", "estimate"]


@click.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
@click.option(
    "--values",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Work from this JSON file alone: {parties: [...], values: [2**n scores]}.",
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
@click.option("--compare", is_flag=True, help="Set other schemes beside it (no budgets).")
@as_json
def allocate(
    folder: Path | None,
    values: Path | None,
    budgets: tuple[str, ...],
    caps: tuple[str, ...],
    monotone: str,
    method: str,
    compare: bool,
    json_: bool,
) -> None:
    """Work out flows, payoffs and adjustment factors.

    With DIR, for the round in that folder, whose locked deposits are the budgets. With --values,
    as a calculator: a budget that is not given is unlimited.
    """
    if (folder is None) == (values is None):
        raise click.UsageError("Give either a round's folder or --values FILE.")
    if folder is not None:
        context = click.get_current_context()
        for option in ("budgets", "caps", "monotone", "method", "compare"):
            if context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"--{option.removesuffix('s')} goes with --values; a round has its own. Its "
                    f"table is {folder / 'train' / 'values.json'}."
                )
        carry_out_stage("allocate", folder, json_)
        return
    from settlement.calculator import calculator

    assert values is not None
    if compare:
        if budgets or caps:
            raise click.UsageError("--compare takes no --budget and no --cap.")
        from settlement.calculator.comparisons import comparison_text

        compared = calculator.compare(values, monotone)
        print_result(compared, comparison_text, json_)
        return
    result = calculator.calculate(values, budgets, caps, monotone, method)
    print_result(result, calculator.readable, json_)


@click.command()
@click.option("--family", "name", default="saturating", show_default=True, help="Closed-form game.")
@click.option("--parties", "n_parties", default=12, show_default=True, help="2 to 64.")
@click.option("--evaluations", default=500, show_default=True, help="Coalitions to evaluate.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the choice of coalitions.",
)
@click.option(
    "--method",
    type=click.Choice(ESTIMATORS),
    default="quadratic",
    show_default=True,
    help="Estimator.",
)
@as_json
def estimate(
    name: str, n_parties: int, evaluations: int, seed: int, method: str, json_: bool
) -> None:
    """Estimate the flows of a closed-form game from a sample of coalitions, beside the truth."""
    from settlement.calculator.comparisons import estimate_beside_truth, estimate_text

    result = estimate_beside_truth(name, n_parties, evaluations, seed, method)
    print_result(result, estimate_text, json_)
