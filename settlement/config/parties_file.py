"""The file of parties, for rounds of too many to write a table each."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

from ml.errors import Fault
from ml.reading import VALUES_BYTES, UnreadableFile, read_text

__all__ = ["read_parties"]

COLUMNS = ("name", "budget", "funds", "cap", "address")
TRUTHS = {"true": True, "false": False}


def read_parties(path: Path, faults: list[Fault]) -> list[dict[str, Any]]:
    """Rows of a CSV file of parties as the tables ``[[party]]`` of a configuration would be.

    The header names the columns: ``name``, and any of ``budget``, ``funds``, ``cap``, ``address``.
    An empty cell is a key that is left out. What is wrong with the form is added to ``faults``;
    what is wrong with a cell is said when the tables are checked.
    """
    try:
        text = read_text(path, VALUES_BYTES)
        header, *rows = csv.reader(io.StringIO(text, newline=None), strict=True)
    except (UnreadableFile, csv.Error) as error:
        faults.append(Fault("round.parties", f"{path.name}: {error}"))
        return []
    except ValueError:
        header, rows = [], []
    if "name" not in header or set(header) - set(COLUMNS) or len(set(header)) < len(header):
        told = ",".join(header)
        message = f"{path.name} has the columns {told!r:.80}; expected name, and of {COLUMNS[1:]}"
        faults.append(Fault("round.parties", message))
        return []
    found = []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            message = f"{path.name}:{number} has {len(row)} cells; expected {len(header)}"
            faults.append(Fault("round.parties", message))
            return []
        found.append({key: _cell(key, cell) for key, cell in zip(header, row, strict=True) if cell})
    return found


def _cell(key: str, cell: str) -> Any:
    """A cell as TOML would give it: numbers as decimals, text as it stands."""
    if key == "funds":
        return TRUTHS.get(cell, cell)
    if key in ("budget", "cap"):
        try:
            return Decimal(cell)
        except ArithmeticError:
            return cell
    return cell
