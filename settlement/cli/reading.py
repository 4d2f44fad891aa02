"""Verbs that only read: show, verify, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from settlement.cli.own import own_settings
from settlement.cli.printing import (
    and_open,
    as_json,
    open_page,
    print_json,
    print_result,
    progress_bars,
    round_folder,
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
@as_json
def show(folder: Path, transactions: bool, open_: bool, access: ChainAccess, json_: bool) -> None:
    """Show how far the round in DIR is, and its report if it is finished.

    Example: fairround show ROUND --tx
    """
    from settlement.round.round import round_status

    if transactions:
        from settlement.round.transactions import transactions_of, transactions_text

        print_result(transactions_of(folder, access), transactions_text, json_)
        return
    status = round_status(folder)
    if open_:
        from settlement.round.round import page_of

        open_page(page_of(folder))
    if json_:
        print_json(status)
        return
    click.echo(f"{status['name']} ({folder})")
    for stage, done in status["stages"].items():
        click.echo(f"  {'x' if done else '.'} {stage}")
    if status["summary"]:
        click.echo()
        click.echo(status["summary"], nl=False)


@click.command()
@round_folder
@click.option("--watch", is_flag=True, help="Show it again whenever something has changed.")
@own_settings
@as_json
def status(folder: Path, watch: bool, access: ChainAccess, json_: bool) -> None:
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
            print_result(found, status_text, json_)
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
@own_settings
@as_json
def verify(folder: Path, retrain: int | None, access: ChainAccess, json_: bool) -> None:
    """Recompute the round in DIR, as far as it is, from its value table and the chain's logs alone.

    Names every file or figure that does not agree, and then exits 1; says what it leaves out. With
    --retrain, before or after any deposit, it also hashes the data again, trains the grand
    coalition, every party alone and K others again, says how likely so many would find forged
    entries, and scores every model reward again.

    Example: fairround verify ROUND --retrain 10
    """
    from settlement.audit.audit import audit_round, left_out

    findings = audit_round(folder, access)
    if retrain is not None and all(finding.trouble is None for finding in findings):
        from settlement.audit.retraining import measure_again

        with progress_bars() as progress:
            findings += measure_again(folder, retrain, progress=progress)
    agrees = all(finding.trouble is None for finding in findings)
    skipped = left_out(folder, retrained=retrain is not None) if agrees else ()
    if json_:
        rows = [{"check": f.check, "trouble": f.trouble} for f in findings]
        print_json({"agrees": agrees, "findings": rows, "not_checked": list(skipped)})
    else:
        for finding in findings:
            mark = "ok   " if finding.trouble is None else "WRONG"
            click.echo(f"{mark} {finding.check}" + (f": {finding.trouble}" * bool(finding.trouble)))
        for what in skipped:
            click.echo(f"not checked: {what}")
    if not agrees:
        raise click.exceptions.Exit(1)


@click.command("list")
@click.argument(
    "folder",
    metavar="[DIR]",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@as_json
def list_rounds(folder: Path, json_: bool) -> None:
    """List the rounds in DIR and the folders directly below it."""
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
    if json_:
        print_json(rounds)
        return
    for status in rounds:
        if "trouble" in status:
            click.echo(f"{status['folder']}  unreadable: {status['trouble']}")
            continue
        done = [stage for stage in STAGES if status["stages"][stage]]
        click.echo(f"{status['folder']}  {done[-1] if done else 'new'}  {status['name']}")
    if not rounds:
        click.echo(f"No round in {folder} or directly below it.", err=True)
