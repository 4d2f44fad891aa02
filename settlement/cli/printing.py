"""What the verbs share: options, forms of results, progress on standard error."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from settlement.report.tables import PrintedTable

__all__ = [
    "add_volume",
    "and_open",
    "as_form",
    "as_json",
    "ask_password",
    "open_page",
    "print_form",
    "print_json",
    "print_result",
    "progress_bars",
    "round_folder",
    "rows_as_table",
]

round_folder = click.argument(
    "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path)
)

and_open = click.option("--open", "open_", is_flag=True, help="Show the page in the browser.")

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")

_form = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "latex"]),
    default="table",
    show_default=True,
    help="How to print the result.",
)

Verb = TypeVar("Verb", bound=Callable[..., Any])


def as_form(verb: Verb) -> Verb:
    """Give a verb that prints a table ``--format`` as ``form``; ``--json`` is one of them."""

    @functools.wraps(verb)
    def with_form(*arguments: Any, form: str, json_: bool, **options: Any) -> Any:
        return verb(*arguments, form="json" if json_ else form, **options)

    wrapped: Any = with_form
    found: Verb = _form(as_json(wrapped))
    return found


_volume = {"quiet": False}
"""Whether this run of the command line shows progress."""


def add_volume(command: click.Command) -> None:
    """Give a verb, and those below it, ``--quiet`` and ``-v``."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            add_volume(below)
        return
    quiet = click.Option(
        ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_be_quiet, help="No progress."
    )
    verbose = click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_be_verbose,
        help="Tell on standard error what is going on.",
    )
    command.params += [quiet, verbose]


def _be_quiet(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    _volume["quiet"] = wanted


def _be_verbose(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        import logging

        logging.basicConfig(format="%(name)s: %(message)s")  # standard error
        for name in ("ml", "settlement"):
            logging.getLogger(name).setLevel(logging.DEBUG)


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


def print_form(
    form: str,
    document: Any,
    as_text: Callable[[Any], str],
    tables: Callable[[], Sequence[PrintedTable]],
) -> None:
    """A result on standard output in the form that was asked for."""
    if form == "json" or form == "table":
        print_result(document, as_text, form == "json")
        return
    from settlement.report.tables import tables_as

    click.echo(tables_as(tables(), form), nl=False)


def rows_as_table(title: str, rows: Sequence[Mapping[str, Any]]) -> list[PrintedTable]:
    """Rows of a JSON document as a table: its keys are the columns, lists and tables left out."""
    from settlement.report.tables import PrintedTable

    header = [
        key for key in (rows[0] if rows else {}) if not isinstance(rows[0][key], (list, dict))
    ]
    cells = [["" if row[key] is None else str(row[key]) for key in header] for row in rows]
    return [PrintedTable(title, header, cells)]


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback that shows one bar a stage on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True), disable=_volume["quiet"])
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
