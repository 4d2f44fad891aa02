"""Verbs that compute from a value table, with or without a round: allocate."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.printing import as_json, print_json
from settlement.cli.verbs import carry_out_stage

__all__ = ["allocate"]


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
    type=click.Choice(["refuse", "cover", "keep"]),
    default="refuse",
    show_default=True,
    help="What to do where a larger coalition has a smaller value.",
)
@click.option(
    "--method",
    type=click.Choice(["clearing", "linear-programme"]),
    default="clearing",
    show_default=True,
    help="Whose adjustment factors to print; both are computed and must agree.",
)
@as_json
def allocate(
    folder: Path | None,
    values: Path | None,
    budgets: tuple[str, ...],
    caps: tuple[str, ...],
    monotone: str,
    method: str,
    json_: bool,
) -> None:
    """Work out flows, payoffs and adjustment factors.

    With DIR, for the round in that folder, whose locked deposits are the budgets. With --values,
    as a calculator: a budget that is not given is unlimited.
    """
    if (folder is None) == (values is None):
        raise click.UsageError("Give either a round's folder or --values FILE.")
    if folder is not None:
        if budgets or caps:
            raise click.UsageError("--budget and --cap go with --values; a round has its own.")
        carry_out_stage("allocate", folder, json_)
        return
    from settlement.calculator import calculate, readable

    assert values is not None
    result = calculate(values, budgets, caps, monotone, method)
    if json_:
        print_json(result)
    else:
        click.echo(readable(result), nl=False)
