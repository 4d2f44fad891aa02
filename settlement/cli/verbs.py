"""Verbs that carry a round forward: init, run, and one for each stage."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from settlement.cli.printing import (
    and_open,
    as_json,
    ask_password,
    open_page,
    print_json,
    progress_bars,
    round_folder,
)

__all__ = [
    "allocate",
    "init",
    "open_",
    "plot",
    "report",
    "reward",
    "run",
    "settle",
    "train",
]


@click.command()
@round_folder
@click.option("--template", default="three-parties", show_default=True, help="What to start from.")
def init(folder: Path, template: str) -> None:
    """Write a commented round.toml into DIR, or a scenario.toml.

    Templates: three-parties (a given value table, ends in seconds), digits (trains in seconds),
    mnist (the experiment of the paper). For the simulator: scenario, and scenario-budget-sweep,
    scenario-replication and others that `fairround init DIR --template ?` lists.
    """
    from settlement.config.templates import SCENARIO, write_template

    path = write_template(folder, template)
    verb = "simulate" if path.name == SCENARIO else "run"
    click.echo(f"Wrote {path}. Next: fairround {verb} {shlex.quote(str(folder))}")


@click.command()
@round_folder
@as_json
def run(folder: Path, json_: bool) -> None:
    """Carry out all stages of the round in DIR and print its report.

    A round that was interrupted, even by kill -9, continues where it was.
    """
    from settlement.round.round import Round

    with progress_bars() as progress:
        round_ = Round(folder, progress, ask_password)
        round_.run()
    if json_:
        print_json(round_.result("report"))
    else:
        click.echo(round_.summary(), nl=False)


def carry_out_stage(stage: str, folder: Path, json_: bool) -> None:
    """Carry out one stage and print what it wrote."""
    from settlement.round.round import Round

    with progress_bars() as progress:
        round_ = Round(folder, progress, ask_password)
        new = round_.carry_out(stage)
    if json_:
        print_json(round_.result(stage))
    elif stage == "report":
        click.echo(round_.summary(), nl=False)
    else:
        click.echo(f"{stage}: {'done' if new else 'was done before'}; see {folder / stage}")


@click.command("open")
@round_folder
@as_json
def open_(folder: Path, json_: bool) -> None:
    """Deploy the escrow, open the round, lock the deposits."""
    carry_out_stage("open", folder, json_)


@click.command()
@round_folder
@as_json
def train(folder: Path, json_: bool) -> None:
    """Train a model for every coalition: the value table."""
    carry_out_stage("train", folder, json_)


@click.command()
@round_folder
@as_json
def allocate(folder: Path, json_: bool) -> None:
    """Work out flows, payoffs and adjustment factors; the locked deposits are the budgets."""
    carry_out_stage("allocate", folder, json_)


@click.command()
@round_folder
@as_json
def reward(folder: Path, json_: bool) -> None:
    """Train the model that each party receives."""
    carry_out_stage("reward", folder, json_)


@click.command()
@round_folder
@as_json
def settle(folder: Path, json_: bool) -> None:
    """Net the flows into transfers and execute them in the escrow."""
    carry_out_stage("settle", folder, json_)


@click.command()
@round_folder
@and_open
@as_json
def report(folder: Path, open_: bool, json_: bool) -> None:
    """Write the summary and the page of a settled round, and print the summary."""
    carry_out_stage("report", folder, json_)
    if open_:
        open_page(folder)


@click.command()
@round_folder
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the figures.  [default: figures/ in DIR]",
)
@as_json
def plot(folder: Path, out: Path | None, json_: bool) -> None:
    """Draw figures of the settled round in DIR as SVG, PDF and PNG; needs fairround[plots]."""
    from settlement.config.reading import read_config
    from settlement.report import StoredRound
    from settlement.report.figures import draw_figures
    from settlement.store.folder import RoundFolder

    store = RoundFolder(folder)
    wanted = read_config(store.config_path).caps
    written = draw_figures(StoredRound.read(store), wanted, out or folder / "figures")
    if json_:
        print_json([str(path) for path in written])
    else:
        for path in written:
            click.echo(path)
