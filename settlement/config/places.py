"""Where in a TOML file a key stands, so that a fault can name its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ml.errors import Fault

__all__ = ["line_of", "located"]

_TABLE = re.compile(r"^\s*\[(?P<array>\[)?\s*(?P<name>[\w.\-\"']+)\s*\]{1,2}")
_KEY = re.compile(r"^\s*(?P<name>[\w.\-\"']+)\s*=")
_INDEX = re.compile(r"\[\d+\]$")


def located(path: Path, text: str, faults: Sequence[Fault]) -> list[str]:
    """One line a fault, with file and line in front."""
    lines = []
    for fault in faults:
        line = line_of(text, fault.place)
        where = f"{path.name}:{line}" if line else path.name
        lines.append(f"{where}: {fault}" if fault.place else f"{where}: {fault.message}")
    return lines


def line_of(text: str, place: str) -> int | None:
    """Line (from 1) of a place such as ``training.epochs`` or ``party[2].labels``.

    A place that is not in the text (a missing key) gets the line of the nearest table that
    is; ``None`` if there is none. Good enough to point at: it reads table headers and keys
    line by line and does not know keys inside multi-line strings.
    """
    lines = _places(text)
    while place:
        if place in lines:
            return lines[place]
        stripped = _INDEX.sub("", place)
        place = stripped if stripped != place else place.rpartition(".")[0]
    return None


def _places(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = header["name"]
            if header["array"]:
                index = counts.get(table, 0)
                counts[table] = index + 1
                found.setdefault(table, number)
                table = f"{table}[{index}]"
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = key["name"].strip("\"'")
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found
