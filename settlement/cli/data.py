"""Verbs about what a round is measured on: check, data, and ask and tell of trainings elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from settlement.cli.own_code import allow_module
from settlement.cli.printing import (
    as_form,
    as_json,
    print_form,
    print_result,
    round_folder,
    rows_as_table,
)

if TYPE_CHECKING:
    from ml.datasets.overview import Holding, Overview

__all__ = ["ask", "check", "data", "tell"]

SHOWN_TARGETS = 10
"""How many classes of a party are shown."""


@click.command()
@round_folder
@allow_module
@as_json
def check(folder: Path, json_: bool) -> None:
    """Find all that is wrong with the configuration and the data of DIR, without a chain.

    Reads the configuration, loads the data, runs the network on a few samples, and a score of your
    own on outputs that are right and on outputs that say nothing. Nothing is trained or sent.

    Example: fairround check my-round
    """
    from settlement.config.looking import check_round

    found = check_round(folder)
    lines = [f"ok  {line}\n" for line in found]
    print_result({"ok": found}, lambda _: "".join(lines), json_)


@click.command()
@round_folder
@as_form
def data(folder: Path, form: str) -> None:
    """Show what each party of the round in DIR brings: samples, classes, overlaps, columns.

    Example: fairround data my-round
    """
    from dataclasses import asdict

    from settlement.config.looking import look_at_data

    found = look_at_data(folder)
    document = asdict(found)
    rows = [*document["parties"], document["validation"], document["holdout"]]
    print_form(form, document, lambda _: _as_text(found), lambda: rows_as_table("holdings", rows))


def _as_text(found: Overview) -> str:
    holdings = [*found.parties, found.validation, found.holdout]
    width = max(len(holding.name) for holding in holdings)
    what = "class: samples" if found.classes else "target"
    lines = [f"{'':<{width}}  {'samples':>8}  {'shared':>7}  {what}"]
    for holding in holdings:
        buys = holding in found.parties and not holding.samples
        targets = "a buyer, who brings no data" if buys else _targets(holding)
        counts = f"{holding.samples:>8,}  {holding.shared:>7,}"
        lines.append(f"{holding.name:<{width}}  {counts}  {targets}")
    lines.append(f"{found.distinct_samples:,} different training samples")
    if found.columns:
        lines.append(f"{len(found.columns)} columns: {', '.join(found.columns)}")
    elif found.words:
        lines.append(f"texts of at most {found.shape[0]} words, {found.words:,} words known")
    else:
        lines.append(f"each of shape {' x '.join(map(str, found.shape))}")
    if found.constant_columns:
        lines.append(f"the same in every sample: {', '.join(found.constant_columns)}")
    return "\n".join(lines) + "\n"


def _targets(holding: Holding) -> str:
    shown = [
        f"{name}: {count:,.6g}" for name, count in list(holding.targets.items())[:SHOWN_TARGETS]
    ]
    more = len(holding.targets) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


@click.command()
@round_folder
@click.option(
    "--next",
    "count",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="At most so many questions.",
)
@click.option(
    "--again",
    type=click.IntRange(min=0),
    metavar="K",
    help="All is told: draw what is to be measured a second time, K coalitions among it.",
)
@as_json
def ask(folder: Path, count: int, again: int | None, json_: bool) -> None:
    """List the coalitions whose scores the round in DIR needs next: members, seed, job.

    The round needs a table [external] that names neither function nor program. Answers are given
    with `fairround tell`; nothing that was told is asked again. With --again, whoever doubts the
    scores draws what somebody else measures a second time: all parties together, each alone, and K
    others by chance. `fairround verify --again` compares the answers.

    Example: fairround ask ROUND --next 20 --json
    """
    if again is not None:
        from settlement.audit.told_again import questions_again, questions_again_text

        print_result(questions_again(folder, again), questions_again_text, json_)
        return
    from settlement.round.measuring.asking import questions, questions_text

    print_result(questions(folder, count), questions_text, json_)


@click.command()
@round_folder
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--by", metavar="NAME", default="operator", show_default=True, help="Who tells.")
@as_json
def tell(folder: Path, file: Path, by: str, json_: bool) -> None:
    """Take scores of coalitions that were trained elsewhere, from a CSV or JSON file.

    Columns, or keys of a list of objects: job or members (names, in CSV with "/" between them),
    seed, score and, if there are any, model_sha256 and checkpoints (JSON only). All answers of a
    file are taken, or none; the same answer twice is one, a different one for a job is refused.

    Example: fairround tell ROUND scores.csv --by cluster-a
    """
    from settlement.round.measuring.asking import tell as tell_file
    from settlement.round.measuring.asking import told_text

    print_result(tell_file(folder, file, by), told_text, json_)
