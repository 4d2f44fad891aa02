"""Every key of a round's file and of a user's settings, as the models say that check them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from settlement.config.schema import ConfigFile
from settlement.config.settings import Settings, environment_name

__all__ = ["keys_page", "schema_text"]

PAGE = """# Every key of `round.toml`, and every setting

Written by `scripts/upkeep/update_keys.py` from the models that check the keys. Unknown keys are
faults.

## `round.toml`: what everybody agrees on

{round_keys}
## Settings: what is yours

A flag of the command counts first (`--max-fee-gwei 20`; `--allow-module NAME` for
`allowed_modules`), then the variable, then `~/.config/fairround/config.toml` (in
`$XDG_CONFIG_HOME`, if that is set).

{settings_keys}
Keys of accounts are encrypted files of the keystore, found by the account's address. Their
passwords come from `FAIRROUND_PASSWORD_NAME` (by the file's name), `FAIRROUND_PASSWORD`, or are
typed in; `FAIRROUND_KEY`, or any variable whose name begins with `FAIRROUND_KEY_`, may hold a key
itself. None of this is ever read from a round's folder, and a simulated round
(`provider = "in-process"`) needs none of it.
"""
HEAD = "| key | what it is | default | meaning |\n|---|---|---|---|\n"
PLAIN = {"string": "text", "boolean": "true or false", "object": "table", "number": "number"}


def keys_page() -> str:
    """The document ``settlement/config/keys.md``."""
    return PAGE.format(round_keys=_round_keys(), settings_keys=_settings_keys())


def schema_text() -> str:
    """JSON schema of ``round.toml``, by which editors complete and check keys."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fairround: round.toml",
        **_without_titles(ConfigFile.model_json_schema()),
    }
    return json.dumps(schema, indent=1) + "\n"


def _round_keys() -> str:
    """Table of all keys of ``round.toml`` for a document."""
    schema = ConfigFile.model_json_schema()
    rows = []
    for table in ConfigFile.model_fields:
        reference = schema["properties"][table]
        name = _reference(reference.get("items", reference))
        rows += _rows(schema["$defs"][name], f"{table}.")
    return HEAD + "".join(rows)


def _settings_keys() -> str:
    """Table of all settings for a document, each with its variable."""
    return HEAD + "".join(_rows(Settings.model_json_schema(), "", environment_name))


def _rows(
    schema: dict[str, Any], prefix: str, variable: Callable[[str], str] | None = None
) -> list[str]:
    required = schema.get("required", [])
    rows = []
    for key, field in schema["properties"].items():
        default = "required" if key in required else _default(field.get("default"))
        meaning = field.get("description", "") + (f" (`{variable(key)}`)" if variable else "")
        rows.append(f"| `{prefix}{key}` | {_kind(field)} | {default} | {meaning} |\n")
    return rows


def _reference(field: dict[str, Any]) -> str:
    """Name of the definition that a table of the file refers to."""
    found = next((item for item in field.get("anyOf", [field]) if "$ref" in item), field)
    return str(found["$ref"].rpartition("/")[2])


def _kind(field: dict[str, Any]) -> str:
    """Type and range in words."""
    if "anyOf" in field:
        kinds = [_kind(item) for item in field["anyOf"] if item.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in field:
        return ", ".join(f'`"{word}"`' for word in field["enum"])
    if "const" in field:
        return f'`"{field["const"]}"`'
    if field["type"] == "array":
        return f"list: {_kind(field['items'])}"
    kind = "whole number" if field["type"] == "integer" else PLAIN[field["type"]]
    return f"{kind}{_range(field)}"


def _range(field: dict[str, Any]) -> str:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    return "".join(f" {word} {_number(field[key])}" for key, word in words.items() if key in field)


def _number(value: float) -> str:
    for base in (10, 2):
        power = round(math.log(value, base)) if value >= 10**6 else 0
        for more in (0, 1):
            if power and value + more == base**power:
                return f"{base}^{power}" + (" - 1" if more else "")
    return f"{value:g}"


def _default(value: Any) -> str:
    if value is None or value in ("", "{}") or value == []:
        return ""
    return f"`{json.dumps(value)}`"


def _without_titles(schema: Any) -> Any:
    """Titles that pydantic makes of names say nothing that the names do not."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    return [_without_titles(item) for item in schema] if isinstance(schema, list) else schema
