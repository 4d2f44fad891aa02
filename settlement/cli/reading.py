"""Verbs that only read: show, verify, list."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.printing import (
    and_open,
    as_json,
    open_page,
    print_json,
    progress_bars,
    round_folder,
)

__all__ = ["list_rounds", "show", "verify"]


@click.command()
@round_folder
@and_open
@as_json
def show(folder: Path, open_: bool, json_: bool) -> None:
    """Show how far the round in DIR is, and its report if it is finished."""
    from settlement.round.round import round_status

    status = round_status(folder)
    if open_:
        open_page(folder)
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
@click.option(
    "--retrain",
    type=click.IntRange(min=1),
    metavar="K",
    help="Also train K random coalitions again.",
)
@as_json
def verify(folder: Path, retrain: int | None, json_: bool) -> None:
    """Recompute the finished round in DIR from its value table and the chain's logs alone.

    Names every file or figure that does not agree, and then exits 1. With --retrain, also hashes
    the data again, trains K random coalitions again, says how likely so many would find forged
    entries, and scores every model reward again.
    """
    from settlement.audit.audit import audit_round, not_measured

    findings = audit_round(folder)
    if retrain and all(finding.trouble is None for finding in findings):
        from settlement.audit.retraining import measure_again

        with progress_bars() as progress:
            findings += measure_again(folder, retrain, progress=progress)
    agrees = all(finding.trouble is None for finding in findings)
    left_out = not_measured(folder) if agrees and not retrain else None
    if json_:
        rows = [{"check": f.check, "trouble": f.trouble} for f in findings]
        print_json({"agrees": agrees, "findings": rows, "not_checked": left_out})
    else:
        for finding in findings:
            mark = "ok   " if finding.trouble is None else "WRONG"
            click.echo(f"{mark} {finding.check}" + (f": {finding.trouble}" * bool(finding.trouble)))
        if left_out:
            click.echo(f"not checked: {left_out}")
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
