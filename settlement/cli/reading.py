"""Verbs that only read: show, verify, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from settlement.cli.printing import as_json, print_json, round_folder

if TYPE_CHECKING:
    from settlement.audit import Finding

__all__ = ["list_rounds", "show", "verify"]


@click.command()
@round_folder
@as_json
def show(folder: Path, json_: bool) -> None:
    """Show how far the round in DIR is, and its report if it is finished."""
    from settlement.round import round_status

    status = round_status(folder)
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

    Names every file or figure that does not agree, and then exits 1. With --retrain, trains K
    random coalitions again and says how likely so many would find forged entries.
    """
    from settlement.audit import audit_round

    findings = audit_round(folder)
    if retrain and all(finding.trouble is None for finding in findings):
        findings += _retrain(folder, retrain)
    agrees = all(finding.trouble is None for finding in findings)
    if json_:
        rows = [{"check": f.check, "trouble": f.trouble} for f in findings]
        print_json({"agrees": agrees, "findings": rows})
    else:
        for finding in findings:
            mark = "ok   " if finding.trouble is None else "WRONG"
            click.echo(f"{mark} {finding.check}" + (f": {finding.trouble}" * bool(finding.trouble)))
    if not agrees:
        raise click.exceptions.Exit(1)


def _retrain(folder: Path, n_coalitions: int) -> tuple[Finding, ...]:
    from settlement.audit import Finding
    from settlement.documents import ValueDocument
    from settlement.retraining import detection_probability, retrain_sample
    from settlement.store import RoundFolder

    done = retrain_sample(folder, n_coalitions)
    stored = ValueDocument.read(RoundFolder(folder))
    n_entries = len(stored.coalitions or stored.values[1:])
    chances = ", ".join(
        f"{share:.0%} forged: {detection_probability(n_entries, share, n_coalitions):.3f}"
        for share in (0.05, 0.1, 0.25)
    )
    check = (
        f"{n_coalitions} of {n_entries} coalitions trained again, scores within "
        f"{max(done.differences):.4f} (chance to find one if {chances})"
    )
    forged = f"scores of coalitions {list(done.forged)} are others" if done.forged else None
    return (Finding(check, forged),)


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
    from settlement.round import round_status
    from settlement.store import CONFIG, STAGES

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
