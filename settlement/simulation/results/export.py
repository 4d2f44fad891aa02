"""The tables of a simulation as parquet files; needs pyarrow (the extra `parquet`)."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path

from settlement.errors import SettlementError
from settlement.simulation.results.database import TABLES

__all__ = ["ExportError", "write_parquet"]


class ExportError(SettlementError):
    """Parquet is asked for, and what writes it is not installed."""


def write_parquet(database: Path, folder: Path) -> list[Path]:
    """One file a table, rows sorted by key.

    Raises
    ------
    ExportError
        If pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ExportError(
            "pyarrow is not installed; expected the extra: pip install 'fairround[parquet]'."
        )
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    written = []
    try:
        for table in (*TABLES, "cells"):
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            columns = [pyarrow.array([row[k] for row in rows]) for k in range(len(names))]
            path = folder / f"{table}.parquet"
            pyarrow.parquet.write_table(pyarrow.table(dict(zip(names, columns, strict=True))), path)
            written.append(path)
    finally:
        connection.close()
    return written
