"""Files that somebody else wrote: read with a limit of size and depth, or refused by name."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.errors import MlError

__all__ = [
    "CARD_BYTES",
    "PLAIN_BYTES",
    "VALUES_BYTES",
    "UnreadableFile",
    "inside",
    "parse_json",
    "read_json",
    "read_toml",
]

PLAIN_BYTES = 2**20
"""Most that a configuration, a seal or a signature may hold."""

CARD_BYTES = 16 * 2**20
"""Most that a model card may hold: a vocabulary of 10**6 words stands in it."""

VALUES_BYTES = 64 * 2**20
"""Most that a file of values or flows may hold."""

MAX_DEPTH = 64
"""Lists and objects inside each other. Ours need six; a parser goes down the stack with each."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]')


class UnreadableFile(MlError):
    """A file that cannot be read: missing, too large, nested too deep, or of another kind."""


def read_json(path: Path, limit_bytes: int = PLAIN_BYTES) -> Any:
    """What a JSON file says.

    Raises
    ------
    UnreadableFile
        If it is missing, larger than the limit, nested deeper than `MAX_DEPTH`, or no JSON.
    """
    return parse_json(_content(path, limit_bytes), str(path))


def parse_json(content: bytes | str, name: str) -> Any:
    """What a JSON text says; ``name`` is what errors call it.

    Raises
    ------
    UnreadableFile
        If it is nested deeper than `MAX_DEPTH`, or no JSON.
    """
    raw = content.encode() if isinstance(content, str) else content
    if _is_deep(raw):
        raise UnreadableFile(
            f"{name} is nested deeper than {MAX_DEPTH} lists and objects; nothing of ours is."
        )
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{name} is no JSON: {error}.") from None


def read_toml(path: Path, parse_float: Callable[[str], Any] = float) -> tuple[str, dict[str, Any]]:
    """Text and tables of a TOML file.

    Raises
    ------
    UnreadableFile
        If it is missing, larger than `PLAIN_BYTES`, or no TOML.
    """
    raw = _content(path, PLAIN_BYTES)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} cannot be read: {error}.") from None
    try:
        return text, tomllib.loads(text, parse_float=parse_float)
    except (ValueError, ArithmeticError, RecursionError) as error:  # also numbers out of all range
        raise UnreadableFile(f"{path} is not TOML: {error}.") from None


def inside(folder: Path, name: object) -> Path:
    """A file of a folder by the name that somebody else wrote down; never one outside.

    Raises
    ------
    UnreadableFile
        If the name is no relative path, leads out of the folder, or goes by way of a link.
    """
    if isinstance(name, str) and name and "\0" not in name:
        path = folder / name
        if not Path(name).is_absolute() and ".." not in Path(name).parts:
            root = folder.resolve()
            if path.resolve().is_relative_to(root):
                return path
    raise UnreadableFile(f"{folder} names the file {name!r:.80}; expected one inside the folder.")


def _content(path: Path, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit_bytes + 1)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(raw) > limit_bytes:
        raise UnreadableFile(f"{path} is larger than {limit_bytes:,} bytes, the most that is read.")
    return raw


def _is_deep(raw: bytes) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKEN.finditer(raw):
        first = raw[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False
