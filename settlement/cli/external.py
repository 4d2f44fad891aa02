"""Verbs of a round whose models are trained elsewhere: ask, tell."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.printing import as_json, print_result, round_folder

__all__ = ["ask", "tell"]


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
@as_json
def ask(folder: Path, count: int, json_: bool) -> None:
    """List the coalitions whose scores the round in DIR needs next: members, seed, job.

    The round needs a table [external] that names neither function nor program. Answers are given
    with `fairround tell`; nothing that was told is asked again.

    Example: fairround ask ROUND --next 20 --json
    """
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
