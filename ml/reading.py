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
    "parse_json",
    "read_bytes",
    "read_json",
    "read_text",
    "read_toml",
]

PLAIN_BYTES = 2**20
"""Most that a configuration, a seal or a signature may hold."""

CARD_BYTES = 16 * 2**20
"""Most that a model card may hold: a vocabulary of 10**6 words stands in it."""

VALUES_BYTES = 128 * 2**20
"""Most that a file of values or flows may hold: 2**20 values, as scores and covered."""

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
    return parse_json(read_bytes(path, limit_bytes), str(path))


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
        return json.loads(raw, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{name} is no JSON: {error}.") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.80} is there twice")
    return found


def read_text(path: Path, limit_bytes: int = PLAIN_BYTES) -> str:
    """What a text file says.

    Raises
    ------
    UnreadableFile
        If it is missing, larger than the limit, or no UTF-8.
    """
    try:
        return read_bytes(path, limit_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} cannot be read: {error}.") from None


def read_toml(
    path: Path,
    parse_float: Callable[[str], Any] = float,
    limit_bytes: int = PLAIN_BYTES,
) -> tuple[str, dict[str, Any]]:
    """Text and tables of a TOML file.

    Raises
    ------
    UnreadableFile
        If it is missing, larger than the limit, nested deeper than `MAX_DEPTH`, or no TOML.
    """
    raw = read_bytes(path, limit_bytes)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} cannot be read: {error}.") from None
    if _is_deep(raw):
        raise UnreadableFile(f"{path} is not TOML of ours: nested deeper than {MAX_DEPTH} lists.")
    try:
        return text, tomllib.loads(text, parse_float=parse_float)
    except (ValueError, ArithmeticError, RecursionError) as error:  # also numbers out of all range
        raise UnreadableFile(f"{path} is not TOML: {error}.") from None


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """What a file holds.

    Raises
    ------
    UnreadableFile
        If it is missing or larger than the limit.
    """
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
