"""What is the user's own: which node it asks, what gas may cost it, where its keys are.

None of it is agreed on, so none of it stands in a round's folder. A flag of the command counts
first, then the environment, then ``config.toml`` in the user's own folder, then what stands here.
"""

from __future__ import annotations

import functools
import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from ml.errors import Fault
from ml.reading import UnreadableFile, read_toml
from ml.schema import Listed, Table, read_repaired
from settlement.chain.spec import Confirmations, names_endpoint
from settlement.config.places import located
from settlement.errors import SettlementError

__all__ = [
    "Settings",
    "SettingsError",
    "environment_name",
    "read_settings",
    "settings_path",
    "settings_template",
    "user_folder",
    "where_from",
]

PREFIX = "FAIRROUND_"
MAX_GWEI = 10**6

EXAMPLES = {
    "endpoint": "http://127.0.0.1:8545",
    "allowed_modules": ["package.module"],
    "allowed_commands": ["python3 measure.py"],
}
"""What a file of settings shows for keys without a default."""


FLAGS_OF_LISTS = {"allowed_modules": "--allow-module", "allowed_commands": "--allow-command"}
"""Flags that add one item to a list."""


class SettingsError(SettlementError):
    """Settings have faults, all of them listed, or lack what a command needs."""


class Settings(Table):
    """One user's settings; ``keystore`` is a whole path once they are read."""

    endpoint: str | None = Field(
        None,
        description="the JSON-RPC address of your node, like http://127.0.0.1:8545, or `env:NAME` "
        "for one in an environment variable",
    )
    keystore: str = Field("keys", description="folder of encrypted key files, see `fairround keys`")
    max_fee_gwei: int = Field(
        100, ge=1, le=MAX_GWEI, description="the most that a unit of gas may cost you"
    )
    priority_fee_gwei: int = Field(
        1, ge=0, le=MAX_GWEI, description="how much of that goes to whoever builds the block"
    )
    confirmations: Confirmations = Field(
        1, description="blocks, its own among them, after which a transaction counts"
    )
    allowed_modules: Listed[str] = Field(
        (),
        description="modules that a round may load: networks and scores that are named as "
        "`module:name`, and everything below `module`",
    )

    allowed_commands: Listed[str] = Field(
        (),
        description="programs that a round may start to measure coalitions, each as it stands in "
        "`external.command`, typed as in a shell; in the variable a line each",
    )

    @field_validator("endpoint")
    @classmethod
    def _an_endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not names_endpoint(endpoint):
            raise ValueError(
                "expected an address such as http://127.0.0.1:8545 or https://host, or env:NAME"
            )
        return endpoint

    @field_validator("allowed_modules")
    @classmethod
    def _modules(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(f"{name!r} is no name of a module, such as package.module")
        return names


def user_folder() -> Path:
    """Folder of the user's own files: ``$XDG_CONFIG_HOME/fairround`` or ``~/.config/fairround``."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "fairround"


def settings_path() -> Path:
    """The user's file of settings, which need not exist."""
    return user_folder() / "config.toml"


def environment_name(key: str) -> str:
    """Variable that sets a key, such as ``FAIRROUND_MAX_FEE_GWEI``."""
    return PREFIX + key.upper()


def read_settings(**flags: Any) -> Settings:
    """The settings of whoever runs this process.

    Parameters
    ----------
    **flags
        What the command line says, by key; None for what it does not say.

    Raises
    ------
    SettingsError
        With all faults at once, each with its flag, variable, or line of the file.
    """
    troubles: list[str] = []
    path = settings_path()
    text = ""
    tables: dict[str, Any] = {}
    if path.exists():
        try:
            text, tables = read_toml(path)
        except UnreadableFile as error:
            troubles.append(str(error))
    variables = {
        key: _from_text(key, os.environ[environment_name(key)])
        for key in Settings.model_fields
        if environment_name(key) in os.environ
    }
    given = {key: value for key, value in flags.items() if value is not None}
    merged: dict[str, Any] = {"keystore": str(user_folder() / "keys")}
    file = functools.partial(located, path, text)
    for layer, base, told in (
        (tables, user_folder(), file),
        (variables, Path.cwd(), functools.partial(_named, environment_name)),
        (given, Path.cwd(), functools.partial(_named, _flag_name)),
    ):
        faults: list[Fault] = []
        found = read_repaired(Settings, layer, "", faults)
        troubles += told(faults)
        if found is not None:
            merged |= found.model_dump(exclude_unset=True)
            if "keystore" in found.model_fields_set:
                merged["keystore"] = str(base / Path(found.keystore).expanduser())
    settings = Settings(**merged)
    if settings.priority_fee_gwei > settings.max_fee_gwei:
        troubles.append(
            f"priority_fee_gwei: found {settings.priority_fee_gwei}; expected at most "
            f"max_fee_gwei, {settings.max_fee_gwei}"
        )
    if troubles:
        raise SettingsError("\n".join(troubles))
    return settings


def where_from(**flags: Any) -> dict[str, str]:
    """Where each setting comes from: its flag, its variable, the user's file, or the default."""
    path = settings_path()
    tables = read_toml(path)[1] if path.exists() else {}
    found = dict.fromkeys(Settings.model_fields, "default")
    found |= dict.fromkeys(tables, str(path))
    found |= {key: variable for key in found if (variable := environment_name(key)) in os.environ}
    return found | {key: _flag_name(key) for key, value in flags.items() if value is not None}


def settings_template() -> str:
    """A commented file of settings that sets nothing."""
    lines = ["# Your own settings; a round's folder never sets any of them.\n"]
    for key, field in Settings.model_fields.items():
        lines += textwrap.wrap(
            f"{field.description}", 90, initial_indent="# ", subsequent_indent="# "
        )
        example = EXAMPLES.get(key, field.default)
        lines.append(f"# {key} = {json.dumps(example)}\n")
    return "\n".join(lines)


def _from_text(key: str, text: str) -> object:
    """A variable's text as the type of its key."""
    if key == "allowed_modules":
        return [name for name in text.split(",") if name]
    if key == "allowed_commands":
        return [command for command in text.splitlines() if command]
    whole = Settings.model_fields[key].annotation is int
    return int(text) if whole and text.isascii() and text.isdecimal() and len(text) < 20 else text


def _flag_name(key: str) -> str:
    return FLAGS_OF_LISTS.get(key, f"--{key.replace('_', '-')}")


def _named(name_of: Callable[[str], str], faults: list[Fault]) -> list[str]:
    return [f"{name_of(fault.place.partition('[')[0])}: {fault.message}" for fault in faults]
