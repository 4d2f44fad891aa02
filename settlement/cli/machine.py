"""Verbs about this machine and its user: config, doctor."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlsplit

import click

from settlement.cli.printing import as_form, as_json, print_form, print_result, rows_as_table

__all__ = ["completion", "config", "doctor"]

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.option("--init", is_flag=True, help="Write a commented file of settings to start from.")
@as_form
def config(init: bool, form: str) -> None:
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
    shown = [
        {
            "setting": key,
            "value": ", ".join(row["value"]) if isinstance(row["value"], tuple) else row["value"],
            "from": row["from"],
        }
        for key, row in rows.items()
    ]
    lines = [
        f"{row['setting']:<18}  {'-' if row['value'] in (None, '') else row['value']}  "
        f"({row['from']})\n"
        for row in shown
    ]
    print_form(
        form,
        {"file": str(path), "settings": rows},
        lambda _: "".join(lines),
        lambda: rows_as_table("settings", shown),
    )


@click.command()
@click.option("--endpoint", metavar="URL", help="JSON-RPC address of your node.")
@as_form
def doctor(endpoint: str | None, form: str) -> None:
    """Look at what this machine has for rounds: packages, cores, folders, settings, keys, node.

    Nothing is written and nothing is sent. Exits 1 if something is wrong.

    Example: fairround doctor
    """
    from settlement.config.doctor import examine

    findings = examine(endpoint)
    width = max(len(finding.subject) for finding in findings)
    lines = [f"{MARKS[f.verdict]} {f.subject:<{width}}  {f.text}\n" for f in findings]
    rows = [asdict(finding) for finding in findings]
    print_form(form, rows, lambda _: "".join(lines), lambda: rows_as_table("findings", rows))
    if any(finding.verdict == "wrong" for finding in findings):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
@as_json
def completion(shell: str, json_: bool) -> None:
    """Print what makes your shell complete verbs, options and files of `fairround`.

    Put it into the file that your shell reads at its start, such as ~/.bashrc:

    Example: fairround completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    command = click.get_current_context().find_root().command
    script = kind(command, {}, "fairround", "_FAIRROUND_COMPLETE").source()
    print_result({"shell": shell, "script": script}, lambda found: found["script"] + "\n", json_)


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
