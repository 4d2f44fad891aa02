"""Verbs about this machine and its user: config, doctor."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlsplit

import click

from settlement.cli.printing import as_json, print_json, print_result

__all__ = ["config", "doctor"]

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.option("--init", is_flag=True, help="Write a commented file of settings to start from.")
@as_json
def config(init: bool, json_: bool) -> None:
    """Show your own settings and where each comes from.

    A flag of a command counts first, then the environment, then your config.toml. A round's folder
    sets none of them.

    Example: fairround config
    """
    from settlement.config.settings import (
        SettingsError,
        read_settings,
        settings_path,
        settings_template,
        where_from,
    )

    path = settings_path()
    if init:
        if path.exists():
            raise SettingsError(f"{path} is there already; edit it.")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(settings_template(), "utf-8")
        path.chmod(0o600)
        click.echo(f"Wrote {path}.", err=True)
    settings, sources = read_settings(), where_from()
    values = settings.model_dump() | {"endpoint": _without_secrets(settings.endpoint)}
    rows = {key: {"value": value, "from": sources[key]} for key, value in values.items()}
    if json_:
        print_json({"file": str(path), "settings": rows})
        return
    for key, row in rows.items():
        value = ", ".join(row["value"]) if isinstance(row["value"], tuple) else row["value"]
        click.echo(f"{key:<18}  {value if value not in (None, '') else '-'}  ({row['from']})")


@click.command()
@click.option("--endpoint", metavar="URL", help="JSON-RPC address of your node.")
@as_json
def doctor(endpoint: str | None, json_: bool) -> None:
    """Look at what this machine has for rounds: packages, cores, folders, settings, keys, node.

    Nothing is written and nothing is sent. Exits 1 if something is wrong.

    Example: fairround doctor
    """
    from settlement.config.doctor import examine

    findings = examine(endpoint)
    width = max(len(finding.subject) for finding in findings)
    lines = [f"{MARKS[f.verdict]} {f.subject:<{width}}  {f.text}\n" for f in findings]
    print_result([asdict(finding) for finding in findings], lambda _: "".join(lines), json_)
    if any(finding.verdict == "wrong" for finding in findings):
        raise click.exceptions.Exit(1)


def _without_secrets(endpoint: str | None) -> str | None:
    """An endpoint without its path and password: those of hosted endpoints are secrets."""
    if endpoint is None or endpoint.startswith("env:"):
        return endpoint
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    shown = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    return (
        shown
        if parts.path in ("", "/") and not parts.query and not parts.username
        else (f"{shown}/...")
    )
