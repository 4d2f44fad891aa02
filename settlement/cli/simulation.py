"""Verbs of the simulator: simulate, replay, attack."""

from __future__ import annotations

from pathlib import Path

import click

from ml.files import write_atomically
from settlement.cli.own_code import allow_module
from settlement.cli.printing import (
    and_open,
    as_json,
    open_page,
    print_json,
    print_result,
    progress_bars,
    round_folder,
)

__all__ = ["attack", "replay", "simulate"]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@allow_module
@click.option("--yes", is_flag=True, help="Play more than a million rounds without being asked.")
@click.option(
    "--evm",
    type=click.Choice(["auto", "pyrevm", "py-evm"]),
    default="auto",
    show_default=True,
    help="Which EVM plays the contract.",
)
@click.option("--twin-only", is_flag=True, help="Play without the contract; nothing is compared.")
@click.option("--plots", is_flag=True, help="Draw SVG and PNG into DIR/plots.")
@click.option("--parquet", is_flag=True, help="Write every table as parquet into DIR/parquet too.")
@click.option(
    "--sample",
    "n_sampled",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make round folders of N rounds, drawn by the seed, and verify each.",
)
@and_open
@as_json
def simulate(
    folder: Path,
    yes: bool,
    evm: str,
    twin_only: bool,
    plots: bool,
    parquet: bool,
    n_sampled: int,
    open_: bool,
    json_: bool,
) -> None:
    """Play the rounds of DIR/scenario.toml, each on the real contract.

    Rows go to DIR/simulation.sqlite while it runs. A run that was killed goes on where it stopped.
    DIR/report.html is a page of the results that needs no network.
    Exit code 1 if something is not as the scenario expects; every broken expectation names a round
    to replay.

    Example: fairround simulate SCENARIO --plots
    """
    from settlement.chain.quick import has_revm
    from settlement.simulation.simulating import simulate as simulate_folder

    if evm == "auto" and not twin_only and not has_revm():
        click.echo(
            "pyrevm is not installed: rounds are played on py-evm, some ten times slower "
            "(pip install 'fairround[revm]')",
            err=True,
        )
    with progress_bars() as advance:
        results = simulate_folder(
            folder,
            tier="twin" if twin_only else evm,  # type: ignore[arg-type]
            many=yes,
            progress=lambda done, total: advance("simulate", done, total),
        )
    if parquet:
        from settlement.simulation.results.export import write_parquet

        write_parquet(results.database, folder / "parquet")
    if plots:
        from settlement.report.simulation_plots import draw_all

        for path in draw_all(results.database, folder / "plots"):
            click.echo(f"drawn: {path}", err=True)
    if n_sampled:
        from settlement.simulation.replay import replay_sample

        for line in replay_sample(folder, results, n_sampled):
            click.echo(line, err=True)
    from settlement.report.page import simulation_page
    from settlement.simulation.page_data import page_document

    page = folder / "report.html"
    write_atomically(page, simulation_page(page_document(results)).encode())
    summary = results.summary
    if json_:
        print_json(summary.as_json())
    else:
        click.echo(summary.as_text(str(folder)), nl=False)
        click.echo(f"page: {page}")
    if open_:
        open_page(page)
    if not summary.holds:
        raise click.exceptions.Exit(1)


@click.command()
@round_folder
@click.option("--round", "key", required=True, metavar="K", help="Cell.replicate.round, as 3.17.0.")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the round's folder goes; else DIR/replays/K.",
)
@as_json
def replay(folder: Path, key: str, target: Path | None, json_: bool) -> None:
    """Play one simulated round again and make a normal round folder of it.

    Prints every step, what was refused, and where contract and twin disagree. The folder holds the
    same game, deposits and way of settling on the in-process chain, with exact gas; `fairround
    verify` checks it like any other.

    Example: fairround replay SCENARIO --round 0.3.0
    """
    from settlement.simulation.replay import replay_round

    done = replay_round(folder, key, target)
    print_result(done.as_json(), lambda _: done.as_text(), json_)
    if done.broken:
        raise click.exceptions.Exit(1)


@click.command()
@round_folder
@click.option(
    "--private-rate",
    type=click.FloatRange(min=0),
    help="What a unit of value is worth to each party, in exchange rates. "
    "Else each party's `rate` in round.toml, or 1.",
)
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the matrix as an HTML file that needs no network.",
)
@as_json
def attack(folder: Path, private_rate: float | None, page: Path | None, json_: bool) -> None:
    """Let each party and the operator of a finished round deviate alone, in every way there is.

    Prints everybody's money, model and utility, and whether honesty is a best reply.

    Example: fairround attack ROUND
    """
    from settlement.simulation.tree import attack as attack_folder

    tree = attack_folder(folder, private_rate=private_rate)
    if page is not None:
        from settlement.report.page import attack_page
        from settlement.simulation.page_data import attack_document

        write_atomically(page, attack_page(attack_document(tree), folder.resolve().name).encode())
    print_result(tree.as_json(), lambda _: tree.as_text(), json_)
    if tree.disagreements:
        raise click.exceptions.Exit(1)
