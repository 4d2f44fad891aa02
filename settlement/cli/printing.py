"""What the verbs share: options, JSON, progress on standard error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from settlement.report.tables import Table

__all__ = [
    "and_open",
    "as_form",
    "as_json",
    "ask_password",
    "open_page",
    "print_json",
    "print_result",
    "print_tables",
    "progress_bars",
    "round_folder",
]

round_folder = click.argument(
    "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path)
)

and_open = click.option("--open", "open_", is_flag=True, help="Show the page in the browser.")

as_form = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "latex"]),
    default="text",
    show_default=True,
    help="How to print tables.",
)

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")


def ask_password(account: str) -> str:
    """The password of an account's keystore file, typed in unseen."""
    password: str = click.prompt(f"Password of {account}", hide_input=True, err=True)
    return password


def open_page(path: Path) -> None:
    """Show a page in the browser, or say where it is."""
    path = path.resolve()
    # click.launch knows each system's way to show a file; it exits non-zero where there is none.
    if click.launch(path.as_uri()):
        click.echo(f"no browser was found; open {path} yourself", err=True)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_result(document: Any, as_text: Callable[[Any], str], json_: bool) -> None:
    """A result on standard output, as JSON or as the text that a function makes of it."""
    if json_:
        print_json(document)
    else:
        click.echo(as_text(document), nl=False)


def print_tables(tables: Sequence[Table], form: str) -> None:
    """Tables on standard output, as CSV or for LaTeX."""
    from settlement.report.tables import tables_as

    click.echo(tables_as(tables, form), nl=False)


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback that shows one bar a stage on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def advance(stage: str, done: int, total: int) -> None:
        if not tasks:
            bars.start()
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    try:
        yield advance
    finally:
        if tasks:
            bars.stop()
