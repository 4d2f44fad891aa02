"""Verbs about keys: make one, bring one, list them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from settlement.cli.printing import as_form, as_json, print_form, print_json, rows_as_table

__all__ = ["keys"]

keystore_option = click.option(
    "--keystore", metavar="DIR", help="Folder of the keys, if not that of your settings."
)
key_name = click.argument("name", metavar="NAME")


@click.group()
def keys() -> None:
    """Make, bring and list the encrypted keys that you sign with.

    They are kept in your own folder, never in a round's. Send the address to the operator, who
    writes it into round.toml; the key stays with you.

    Example: fairround keys new clinic-a
    """


@keys.command()
@key_name
@keystore_option
@as_json
def new(name: str, keystore: str | None, json_: bool) -> None:
    """Make a new key and encrypt it with a password of yours.

    The password is asked for twice, or taken from FAIRROUND_PASSWORD. Nobody can restore it.

    Example: fairround keys new clinic-a
    """
    import secrets

    _keep(name, secrets.token_bytes(32), _new_password(), keystore, json_)


@keys.command("import")
@key_name
@click.argument(
    "file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path)
)
@keystore_option
@as_json
def import_(name: str, file: Path | None, keystore: str | None, json_: bool) -> None:
    """Bring a key: from a keystore FILE of another program, or 32 bytes in hex, typed in unseen.

    A keystore file keeps its password. A key is never an argument, where other users could see it.

    Example: fairround keys import clinic-a
    """
    from settlement.chain.keys import PASSWORD_VARIABLE, account_of_key, open_key_file

    if file is not None:
        password = os.environ.get(PASSWORD_VARIABLE) or _asked("Password of the file")
        _keep(name, bytes(open_key_file(file, password).key), password, keystore, json_)
        return
    typed = _asked("Key, in hex") if sys.stdin.isatty() else sys.stdin.readline()
    account = account_of_key(typed, "What was typed in")
    _keep(name, bytes(account.key), _new_password(), keystore, json_)


@keys.command("list")
@keystore_option
@as_form
def list_(keystore: str | None, form: str) -> None:
    """List the keys by name and address; nothing is decrypted.

    Example: fairround keys list
    """
    from settlement.chain.keys import list_keys

    folder = _folder(keystore)
    rows = [{"name": file.name, "address": file.address} for file in list_keys(folder)]
    width = max((len(row["name"]) for row in rows), default=0)
    lines = [f"{row['name']:<{width}}  {row['address']}\n" for row in rows]
    text = "".join(lines) or f"No keys in {folder}; make one with `fairround keys new NAME`.\n"
    print_form(form, rows, lambda _: text, lambda: rows_as_table("keys", rows))


def _keep(name: str, key: bytes, password: str, keystore: str | None, json_: bool) -> None:
    from settlement.chain.keys import write_keystore

    file = write_keystore(_folder(keystore), name, key, password)
    document: dict[str, Any] = {"name": name, "address": file.address, "file": str(file.path)}
    if json_:
        print_json(document)
        return
    click.echo(f"{file.address}")
    click.echo(
        f"That is your address: send it to the operator. The key is in {file.path}; keep a copy of "
        "the file and of its password.",
        err=True,
    )


def _folder(keystore: str | None) -> Path:
    from settlement.config.settings import read_settings

    return Path(read_settings(keystore=keystore).keystore)


def _new_password() -> str:
    from settlement.chain.keys import PASSWORD_VARIABLE

    found = os.environ.get(PASSWORD_VARIABLE)
    if found is None:
        found = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not found:
        raise click.UsageError("An empty password protects nothing; choose one.")
    return found


def _asked(what: str) -> str:
    found: str = click.prompt(what, hide_input=True, err=True)
    return found
