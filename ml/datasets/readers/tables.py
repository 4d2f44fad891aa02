"""Tables of numbers: csv, parquet and npz files as features and targets."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError

__all__ = [
    "FileRows",
    "read_columns",
    "read_csv",
    "read_npz",
    "read_parquet",
    "read_table",
    "require_same_columns",
]

LISTED = 6
"""How many names an error lists."""


@dataclass(frozen=True, slots=True)
class FileRows:
    """Rows of one file: features, the target column unchanged, and ids if the file has them.

    ``columns`` names the features of a table, which stand in the order of the alphabet whatever
    the order in the file; images and plain arrays have no names.
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    ids: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def read_table(path: Path, target: str, id_column: str = "") -> FileRows:
    """One csv, parquet or npz file.

    Raises
    ------
    DataError
        If it cannot be read, has no such column, or holds what is no finite number.
    """
    readers = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_npz}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise DataError(f"{path} is no {', '.join(readers)} file; expected one of them.")
    try:
        return readers[suffix](path, target, id_column)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, EOFError, csv.Error, zipfile.BadZipFile) as trouble:
        raise DataError(f"{path} cannot be read: {trouble}.") from trouble


def read_csv(path: Path, target: str, id_column: str = "") -> FileRows:
    """A csv file with a header; every column but target and id is a feature."""
    return _table(path, _csv_columns(path), target, id_column)


def _csv_columns(path: Path) -> dict[str, list[Any]]:
    """Cells of a csv file by the name of their column."""
    # Spreadsheets put a mark at the beginning and empty lines at the end.
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    if len(rows) < 2:
        raise DataError(f"{path} has {len(rows)} lines; expected a header and at least one row.")
    header = [name.strip() for name in rows[0][1]]
    _require_names(path, header)
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise DataError(f"{path} line {number} has {len(row)} cells; expected {len(header)}.")
    return {name: [row[k].strip() for _, row in rows[1:]] for k, name in enumerate(header)}


def read_parquet(path: Path, target: str, id_column: str = "") -> FileRows:
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
    _require_names(path, found.column_names)
    return _table(path, found.to_pydict(), target, id_column)


def read_npz(path: Path, target: str, id_column: str = "") -> FileRows:
    """An archive of the arrays ``features``, the target, and ids if there are any."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in ("features", target, *([id_column] if id_column else [])):
            if name not in archive.files:
                raise DataError(
                    f'{path} has arrays {", ".join(archive.files)}; expected also "{name}".'
                )
        features, targets = archive["features"], archive[target]
        ids = tuple(map(str, archive[id_column])) if id_column else ()
    if features.ndim < 2 or 0 in features.shape[1:]:
        raise DataError(
            f"{path} has features of shape {features.shape}; expected (samples, columns), or "
            "images (samples, height, width) with or without channels."
        )
    if targets.shape != (len(features),) or (ids and len(ids) != len(targets)):
        raise DataError(
            f"{path} has features of shape {features.shape}, {target} of shape {targets.shape} and "
            f"{len(ids)} ids; expected one {target} a sample, and one id if there are ids."
        )
    if features.dtype.kind not in "uifb":
        raise DataError(f"{path} has features of type {features.dtype}; expected real numbers.")
    if features.dtype != np.uint8:
        with np.errstate(over="ignore"):  # too large for float32 is infinite, which is refused
            features = _finite(path, "features", features.astype(np.float32))
    return FileRows(features, targets, ids)


def _table(path: Path, columns: dict[str, list[Any]], target: str, id_column: str) -> FileRows:
    """Columns by name as a table."""
    for name in (target, *([id_column] if id_column else [])):
        if name not in columns:
            raise DataError(
                f'{path} has columns {", ".join(columns)}; expected also "{name}". Name the right '
                "one in the configuration."
            )
    names = sorted(name for name in columns if name not in (target, id_column))
    if not names:
        raise DataError(f"{path} has no column beside target and id; expected features.")
    figures = [_figures(path, name, columns[name]) for name in names]
    ids = tuple(map(str, columns[id_column])) if id_column else ()
    return FileRows(np.stack(figures, axis=1), np.asarray(columns[target]), ids, tuple(names))


def read_columns(path: Path, names: Sequence[str]) -> NDArray[np.float32]:
    """The named columns of a csv file, in the order of the names; no others may be in it.

    Raises
    ------
    DataError
        If a column is missing, unknown or there twice, or holds what is no finite number.
    """
    columns = _csv_columns(path)
    require_same_columns({f"{path}": tuple(columns), "the model": tuple(names)})
    return np.stack([_figures(path, name, columns[name]) for name in names], axis=1)


def require_same_columns(parts: Mapping[str, tuple[str, ...]]) -> None:
    """Make sure that all parts have columns of the same names.

    Raises
    ------
    DataError
        Naming two parts, and the columns that one of them has and the other has not.
    """
    (first, names), *others = parts.items()
    for other, found in others:
        if bool(names) != bool(found):
            named, plain = (first, other) if names else (other, first)
            raise DataError(
                f"{named} has columns with names, {plain} has none; expected both by name. Write "
                "arrays as csv or parquet."
            )
        only = [sorted(set(names) - set(found)), sorted(set(found) - set(names))]
        told = [
            f"{part} alone has {_listed(columns)}"
            for part, columns in zip((first, other), only, strict=True)
            if columns
        ]
        if told:
            raise DataError(
                f"Columns differ: {'; '.join(told)}. Columns go by name, in any order: rename "
                "them, or leave out those that not everybody has."
            )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f'"{name}"' for name in names[:LISTED]) + more


def _require_names(path: Path, header: Sequence[str]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if "" in header:
        raise DataError(
            f"{path} has a column without a name, number {header.index('') + 1}; name it or leave "
            "it out."
        )
    if twice:
        raise DataError(f'{path} has column "{twice[0]}" more than once; name each differently.')


def _figures(path: Path, name: str, cells: list[Any]) -> NDArray[np.float32]:
    """One column as finite float32 figures."""
    try:
        with np.errstate(over="ignore"):
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
