"""Tables of figures: csv, parquet and npz files as features and targets."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError

__all__ = ["Table", "read_csv", "read_npz", "read_parquet", "read_table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one file: features, the target column as it is there, and ids if it has any."""

    features: NDArray[Any]
    targets: NDArray[Any]
    ids: tuple[str, ...] = ()


def read_table(path: Path, target: str, id_column: str = "") -> Table:
    """One csv, parquet or npz file.

    Raises
    ------
    DataError
        If it cannot be read, has no such column, or holds what is no finite number.
    """
    readers = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_npz}
    if path.suffix not in readers:
        raise DataError(f"{path} is no {', '.join(readers)} file; expected one of them.")
    try:
        return readers[path.suffix](path, target, id_column)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, EOFError) as trouble:
        raise DataError(f"{path} cannot be read: {trouble}.") from trouble


def read_csv(path: Path, target: str, id_column: str = "") -> Table:
    """A csv file with a header; every column but target and id is a feature."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise DataError(f"{path} has {len(rows)} lines; expected a header and at least one row.")
    header = rows[0]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"{path} line {number} has {len(row)} cells; expected {len(header)}.")
    columns = {name: [row[k] for row in rows[1:]] for k, name in enumerate(header)}
    return _table(path, columns, target, id_column)


def read_parquet(path: Path, target: str, id_column: str = "") -> Table:
    """A parquet file; every column but target and id is a feature. Needs ``fairround[parquet]``."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as trouble:
        raise DataError(
            "Parquet files need pyarrow: install fairround[parquet], or write the file as csv."
        ) from trouble
    try:
        found = parquet.read_table(path)
    except ArrowException as trouble:
        raise DataError(f"{path} cannot be read as parquet: {trouble}.") from trouble
    return _table(path, found.to_pydict(), target, id_column)


def read_npz(path: Path, target: str, id_column: str = "") -> Table:
    """An archive of the arrays ``features``, the target, and ids if there are any."""
    with np.load(path, allow_pickle=False) as archive:
        for name in ("features", target, *([id_column] if id_column else [])):
            if name not in archive.files:
                raise DataError(
                    f'{path} has arrays {", ".join(archive.files)}; expected also "{name}".'
                )
        features, targets = archive["features"], archive[target]
        ids = tuple(map(str, archive[id_column])) if id_column else ()
    if len(features) != len(targets) or (ids and len(ids) != len(targets)):
        raise DataError(
            f"{path} has {len(features)} features, {len(targets)} targets, {len(ids)} ids."
        )
    if features.dtype != np.uint8:
        features = _finite(path, "features", features.astype(np.float32))
    return Table(features, targets, ids)


def _table(path: Path, columns: dict[str, list[Any]], target: str, id_column: str) -> Table:
    """Columns by name as a table."""
    for name in (target, *([id_column] if id_column else [])):
        if name not in columns:
            raise DataError(
                f'{path} has columns {", ".join(columns)}; expected also "{name}". Name the right '
                "one in the configuration."
            )
    names = [name for name in columns if name not in (target, id_column)]
    if not names:
        raise DataError(f"{path} has no column beside target and id; expected features.")
    figures = [_figures(path, name, columns[name]) for name in names]
    ids = tuple(map(str, columns[id_column])) if id_column else ()
    return Table(np.stack(figures, axis=1), np.asarray(columns[target]), ids)


def _figures(path: Path, name: str, cells: list[Any]) -> NDArray[np.float32]:
    """One column as finite float32 figures."""
    try:
        column = np.asarray([np.nan if cell is None else cell for cell in cells], np.float32)
    except (ValueError, TypeError) as trouble:
        raise DataError(
            f'{path} column "{name}" holds what is no number ({trouble}); turn it into numbers '
            "or leave it out."
        ) from trouble
    return _finite(path, f'column "{name}"', column)


def _finite(path: Path, what: str, figures: NDArray[np.float32]) -> NDArray[np.float32]:
    bad = ~np.isfinite(figures)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(
            f"{path} {what} has {int(bad.sum())} values that are NaN or infinite, first in row "
            f"{row}; expected finite numbers. Fill them in or leave the rows out."
        )
    return figures
