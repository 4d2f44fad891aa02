"""Verbs that only read: show, verify, list."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from settlement.audit.findings import TOLERANCE_SCORE
from settlement.cli.own import own_settings
from settlement.cli.own_code import allow_command
from settlement.cli.printing import (
    and_open,
    as_form,
    open_page,
    print_form,
    progress_bars,
    round_folder,
    rows_as_table,
)

if TYPE_CHECKING:
    from settlement.round.access import ChainAccess

__all__ = ["list_rounds", "show", "status", "verify"]


WATCH_S = 2.0
"""Between two looks at the chain."""


@click.command()
@round_folder
@click.option("--tx", "transactions", is_flag=True, help="Every transaction of it, decoded.")
@and_open
@own_settings
@as_form
def show(folder: Path, transactions: bool, open_: bool, access: ChainAccess, form: str) -> None:
    """Show how far the round in DIR is, and its report if it is finished.

    Example: fairround show ROUND --tx
    """
    from settlement.round.round import round_status

    if transactions:
        from settlement.round.transactions import transactions_of, transactions_text

        sent = transactions_of(folder, access)
        print_form(form, sent, transactions_text, lambda: rows_as_table("transactions", sent))
        return
    status = round_status(folder)
    if open_:
        from settlement.round.round import page_of

        open_page(page_of(folder))
    stages = [{"stage": stage, "done": done} for stage, done in status["stages"].items()]
    print_form(form, status, _as_text, lambda: rows_as_table("stages", stages))


def _as_text(status: dict[str, Any]) -> str:
    lines = [f"{status['name']} ({status['folder']})"]
    lines += [f"  {'x' if done else '.'} {stage}" for stage, done in status["stages"].items()]
    summary = status["summary"]
    return "\n".join(lines) + "\n" + (f"\n{summary}" if summary else "")


@click.command()
@round_folder
@click.option("--watch", is_flag=True, help="Show it again whenever something has changed.")
@own_settings
@as_form
def status(folder: Path, watch: bool, access: ChainAccess, form: str) -> None:
    """Show where the round in DIR stands on its chain now, and what everybody does next.

    Who has deposited, signed, taken out; deadlines in local time; a command to paste for each.

    Example: fairround status ROUND
    """
    import time

    from settlement.round.status import live_status, status_text

    shown = None
    while True:
        found = live_status(folder, access)
        if found != shown:
            rows = rows_as_table("parties", found.get("parties", []))
            print_form(form, found, status_text, functools.partial(list, rows))
        shown = found
        if not watch or found["phase"] in ("expired", "abandoned") or not found["next"]:
            return
        time.sleep(WATCH_S)


@click.command()
@round_folder
@click.option(
    "--retrain",
    type=click.IntRange(min=0),
    metavar="K",
    help="Also train again: all together, each party alone, and K others.",
)
@click.option(
    "--again",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also compare scores that people told with a second measurement.",
)
@click.option(
    "--within",
    "tolerance",
    type=click.FloatRange(min=0, max=1),
    metavar="SHARE",
    default=TOLERANCE_SCORE,
    show_default=True,
    help="How far scores measured again may be off, as a share of their range.",
)
@allow_command
@own_settings
@as_form
def verify(
    folder: Path,
    retrain: int | None,
    again: Path | None,
    tolerance: float,
    access: ChainAccess,
    form: str,
) -> None:
    """Recompute the round in DIR, as far as it is, from its value table and the chain's logs alone.

    Names every file or figure that does not agree, and then exits 1; says what it leaves out. With
    --retrain, before or after any deposit, it also hashes the data again, trains the grand
    coalition, every party alone and K others again, says how likely so many would find forged
    entries, and scores every model reward again. Where people told the scores, --again takes
    the answers to what `fairround ask --again` drew, in a file as for `fairround tell`.

    Example: fairround verify ROUND --retrain 10
    """
    from settlement.audit.audit import audit_round, left_out

    findings = audit_round(folder, access)
    if retrain is not None and all(finding.trouble is None for finding in findings):
        from settlement.audit.retraining import measure_again

        with progress_bars() as progress:
            findings += measure_again(folder, retrain, progress=progress, tolerance=tolerance)
    if again is not None and all(finding.trouble is None for finding in findings):
        from settlement.audit.told_again import compare_told

        findings += (compare_told(folder, again, tolerance),)
    agrees = all(finding.trouble is None for finding in findings)
    skipped = left_out(folder, measured_again=(retrain, again) != (None, None)) if agrees else ()
    rows = [{"check": f.check, "trouble": f.trouble} for f in findings]
    lines = [
        f"ok    {f.check}" if f.trouble is None else f"WRONG {f.check}: {f.trouble}"
        for f in findings
    ]
    lines += [f"not checked: {what}" for what in skipped]
    print_form(
        form,
        {"agrees": agrees, "findings": rows, "not_checked": list(skipped)},
        lambda _: "".join(f"{line}\n" for line in lines),
        lambda: rows_as_table("findings", rows),
    )
    if not agrees:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.argument(
    "folder",
    metavar="[DIR]",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@as_form
def list_rounds(folder: Path, form: str) -> None:
    """List the rounds in DIR and the folders directly below it.

    Example: fairround list .
    """
    from settlement.errors import SettlementError
    from settlement.round.round import round_status
    from settlement.store.folder import CONFIG, STAGES

    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    rounds = []
    for path in candidates:
        try:
            if (path / CONFIG).is_file():
                rounds.append(round_status(path))
        except (SettlementError, OSError) as error:  # one bad round does not hide the others
            rounds.append({"folder": str(path), "trouble": str(error)})
    rows = []
    for status in rounds:
        done = [stage for stage in STAGES if status.get("stages", {}).get(stage)]
        trouble = status.get("trouble")
        how_far = f"unreadable: {trouble}" if trouble else done[-1] if done else "new"
        rows.append({"folder": status["folder"], "stage": how_far, "name": status.get("name", "")})
    lines = [f"{row['folder']}  {row['stage']}  {row['name']}".rstrip() + "\n" for row in rows]
    print_form(form, rounds, lambda _: "".join(lines), lambda: rows_as_table("rounds", rows))
    if not rounds:
        click.echo(f"No round in {folder} or directly below it.", err=True)
