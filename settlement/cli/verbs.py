"""Verbs that carry a round forward: init, run, and one for each stage."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from settlement.cli.own import agree, own_settings, unasked
from settlement.cli.own_code import allow_command
from settlement.cli.printing import (
    and_open,
    as_form,
    as_json,
    open_page,
    print_form,
    print_json,
    progress_bars,
    round_folder,
)

if TYPE_CHECKING:
    from settlement.round.access import ChainAccess

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

FIRST_VERBS = {
    "external": "ask",
    **dict.fromkeys(("csv", "folder", "hospitals", "ids", "images"), "data"),
}
"""What comes first where a template alone is no whole round: data or scores are to be brought."""


@click.command()
@round_folder
@click.option("--template", default="three-parties", show_default=True, help="What to start from.")
@as_json
def init(folder: Path, template: str, json_: bool) -> None:
    """Write a commented round.toml into DIR, or a scenario.toml.

    To try: three-parties (a given value table, ends in seconds), digits (trains in seconds), mnist
    (the experiment of the paper), estimate (ten parties, a sample of the coalitions).

    For data of your own: csv (tables of each party), ids (one table, a list of ids a party), folder
    (csv, parquet or npz, a regression), images.

    For people with keys of their own on a real node: hospitals.

    For models that are trained elsewhere: external.

    For the simulator: scenario, and scenario-budget-sweep, scenario-replication and others that
    `fairround init DIR --template ?` lists.

    Example: fairround init clinics --template csv
    """
    from settlement.config.templates import SCENARIO, write_template

    path = write_template(folder, template)
    verb = "simulate" if path.name == SCENARIO else FIRST_VERBS.get(template, "run")
    following = f"fairround {verb} {shlex.quote(str(folder))}"
    if json_:
        print_json({"wrote": str(path), "next": following})
    else:
        click.echo(f"Wrote {path}. Next: {following}")


@click.command()
@round_folder
@allow_command
@own_settings
@as_json
def run(folder: Path, access: ChainAccess, json_: bool) -> None:
    """Carry out all stages of the round in DIR and print its report.

    A round that was interrupted, even by kill -9, continues where it was. Where parties elsewhere
    have to deposit or to sign first, it says for whom it waits and exits 3; run it again later.

    Example: fairround run ROUND
    """
    from settlement.round.round import Round

    with progress_bars() as progress:
        round_ = Round(folder, access, progress)
        round_.run()
    if json_:
        print_json(round_.result("report"))
    else:
        click.echo(round_.summary(), nl=False)


def carry_out_stage(
    stage: str, folder: Path, access: ChainAccess, json_: bool, form: str = "table"
) -> None:
    """Carry out one stage and print what it wrote."""
    from settlement.round.round import Round

    with progress_bars() as progress:
        round_ = Round(folder, access, progress)
        new = round_.carry_out(stage)
    if json_:
        print_json(round_.result(stage))
    elif form != "table":
        from settlement.report import summary_tables

        result = round_.result(stage)
        print_form(form, result, str, lambda: summary_tables(result))
    elif stage == "report":
        click.echo(round_.summary(), nl=False)
    else:
        click.echo(f"{stage}: {'done' if new else 'was done before'}; see {folder / stage}")


@click.command()
@round_folder
@allow_command
@own_settings
@as_json
def train(folder: Path, access: ChainAccess, json_: bool) -> None:
    """Train a model for every coalition: the value table, and the game that follows from it.

    The game is who would owe whom without any budget. It is agreed before any money is locked.

    Example: fairround train ROUND
    """
    carry_out_stage("train", folder, access, json_)


@click.command("open")
@round_folder
@own_settings
@as_json
def open_(folder: Path, access: ChainAccess, json_: bool) -> None:
    """Fix the terms and open the round in the escrow; whose key is at hand deposits at once.

    Parties elsewhere deposit by themselves: hand them round.toml, train/ and open/.

    Example: fairround open ROUND
    """
    carry_out_stage("open", folder, access, json_)


@click.command()
@round_folder
@own_settings
@as_json
def allocate(folder: Path, access: ChainAccess, json_: bool) -> None:
    """Work out payoffs and adjustment factors from the game and the deposits on the chain.

    Waits (exit code 3) until no deposit can change any more. Needs no key.

    Example: fairround allocate ROUND
    """
    carry_out_stage("allocate", folder, access, json_)


@click.command()
@round_folder
@click.option("--party", "name", metavar="NAME", help="Send it as this party, in anybody's place.")
@click.option("--account", metavar="ADDRESS", help="Send it with any account whose key you have.")
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    metavar="NAME=HEX",
    help="A party's signature, as its `sign` printed it; once for each.",
)
@own_settings
@unasked
@as_json
def settle(
    folder: Path,
    name: str | None,
    account: str | None,
    signatures: tuple[str, ...],
    access: ChainAccess,
    yes: bool,
    json_: bool,
) -> None:
    """Carry out the transfers in the escrow, all or nothing, and pay everybody out.

    Net positions follow from the game and the deposits; the contract checks the proof. So the
    operator, any party, or anybody with the round's public files and a key may do it.

    Example: fairround settle ROUND

    Example: fairround settle ROUND --party clinic-a
    """
    if signatures:
        from settlement.party.settling import take_signatures

        if not all("=" in text for text in signatures):
            raise click.UsageError("--signature takes NAME=HEX, as `fairround sign` prints it.")
        # A name may hold "=", hexadecimal digits do not.
        take_signatures(folder, access, dict(text.rsplit("=", 1) for text in signatures))
    from settlement.party.desk import address_of
    from settlement.party.leaving import checked_address
    from settlement.party.settling import settle as settle_action

    if name is not None:
        sender = address_of(folder, name)
    elif account is not None:
        sender = checked_address(account)
    else:
        carry_out_stage("settle", folder, access, json_)
        return
    agree(settle_action(folder, access, sender), yes, json_)


@click.command()
@round_folder
@own_settings
@as_json
def reward(folder: Path, access: ChainAccess, json_: bool) -> None:
    """Train the model that each party receives; after the settlement, never before.

    Example: fairround reward ROUND
    """
    carry_out_stage("reward", folder, access, json_)


@click.command()
@round_folder
@and_open
@own_settings
@as_form
def report(folder: Path, open_: bool, access: ChainAccess, form: str) -> None:
    """Write the summary and the page of a settled round, and print the summary.

    Example: fairround report ROUND
    """
    carry_out_stage("report", folder, access, form == "json", form)
    if open_:
        from settlement.round.round import page_of

        open_page(page_of(folder))


@click.command()
@round_folder
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the figures.  [default: figures/ in DIR]",
)
@as_json
def plot(folder: Path, out: Path | None, json_: bool) -> None:
    """Draw figures of the settled round in DIR as SVG, PDF and PNG; needs fairround[plots].

    Example: fairround plot ROUND
    """
    from settlement.report import StoredRound
    from settlement.report.figures import draw_figures
    from settlement.store.folder import RoundFolder

    stored = StoredRound.read(RoundFolder(folder))
    written = draw_figures(stored, out or folder / "figures")
    if json_:
        print_json([str(path) for path in written])
    else:
        for path in written:
            click.echo(path)
