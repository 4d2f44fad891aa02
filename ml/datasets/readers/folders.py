"""The source "folder": one subfolder a party, and the common validation set beside them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.labels import as_targets
from ml.datasets.readers.tables import FileRows, read_table, require_same_columns
from ml.datasets.source import DataError, Source

__all__ = ["folder_source", "read_images", "read_part"]

TABLE_FILES = frozenset({".csv", ".parquet", ".npz"})
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm"})


def folder_source(
    folder: Path, parties: Sequence[str], task: str, target: str, id_column: str
) -> Source:
    """Samples of ``parties/<name>/`` and ``validation/`` (and ``holdout/``, if it is there).

    A part is npz, csv or parquet files, or a folder of images for each class. If samples have ids,
    those of the same id in several parties are one sample, and unions are exact.

    Raises
    ------
    DataError
        If a part is missing, empty or unreadable, parts do not fit together, one id names two
        samples, or validation has a label that no party has.
    """
    for name in parties:
        if Path(name).name != name or name == "..":
            raise DataError(f'Party "{name}" is no name of a folder below {folder / "parties"}.')
    named = {name: read_part(folder / "parties" / name, target, id_column) for name in parties}
    test_parts = [read_part(folder / "validation", target, id_column)]
    if (folder / "holdout").is_dir():
        test_parts.append(read_part(folder / "holdout", target, id_column))
    parts = {f'Party "{name}"': part for name, part in named.items()}
    require_same_columns(
        {name: part.columns for name, part in parts.items()}
        | {"validation": test_parts[0].columns, "holdout": test_parts[-1].columns}
    )
    _require_one_shape({**named, "validation": test_parts[0], "holdout": test_parts[-1]})
    table, party_rows = _pool(named)
    raw_test = np.concatenate([part.targets for part in test_parts])
    targets, test_targets, classes = as_targets(table.targets, raw_test, task)
    return Source(
        features=table.features,
        targets=targets,
        n_classes=len(classes),
        test_features=np.concatenate([part.features for part in test_parts]),
        test_targets=test_targets,
        classes=classes,
        party_rows=party_rows,
        columns=test_parts[0].columns,
        n_validation=len(test_parts[0].targets) if len(test_parts) > 1 else None,
    )


def read_part(folder: Path, target: str, id_column: str) -> FileRows:
    """All samples of one folder: table files, or images in a folder for each class."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} does not exist; expected a folder of samples (a party that only buys says "
            "buyer = true)."
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_FILES)
    if not files:
        return read_images(folder, id_column)
    tables = [read_table(path, target, id_column) for path in files]
    require_same_columns(
        {str(path): table.columns for path, table in zip(files, tables, strict=True)}
    )
    shapes = {table.features.shape[1:]: path for table, path in zip(tables, files, strict=True)}
    if len(shapes) > 1:
        listed = "; ".join(f"{path.name} {shape}" for shape, path in shapes.items())
        raise DataError(f"{folder} holds samples of several shapes: {listed}; expected one.")
    return FileRows(
        np.concatenate([table.features for table in tables]),
        np.concatenate([table.targets for table in tables]),
        tuple(name for table in tables for name in table.ids),
        tables[0].columns,
    )


def read_images(folder: Path, id_column: str = "") -> FileRows:
    """Images of a folder whose subfolders are classes; a file's name is its id, if ids are used.

    Needs ``fairround[images]``. All images must have one size; all are grey or all are in colour.
    """
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in IMAGES)
    if not files:
        raise DataError(
            f"{folder} holds no sample; expected npz, csv or parquet files, or a folder of images "
            "for each class."
        )
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as trouble:
        raise DataError("Folders of images need Pillow: install fairround[images].") from trouble
    images: list[NDArray[Any]] = []
    for path in files:
        try:
            with Image.open(path) as image:
                grey = image.mode in ("1", "L", "I", "I;16", "F")
                images.append(np.asarray(image.convert("L" if grey else "RGB"), np.uint8))
        except (OSError, UnidentifiedImageError) as trouble:
            raise DataError(f"{path} cannot be read as an image: {trouble}.") from trouble
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"{path} is an image of shape {images[-1].shape}, {files[0]} one of "
                f"{images[0].shape}; expected one size. Resize them before."
            )
    ids = tuple(path.name for path in files) if id_column else ()
    return FileRows(np.stack(images), np.asarray([path.parent.name for path in files]), ids)


def _require_one_shape(parts: dict[str, FileRows]) -> None:
    kinds = {
        name: f"{part.features.dtype} {part.features.shape[1:]}" for name, part in parts.items()
    }
    if len(set(kinds.values())) > 1:
        listed = "; ".join(f"{name}: {kind}" for name, kind in kinds.items())
        raise DataError(f"Samples do not have one shape and type: {listed}; expected the same.")


def _pool(named: dict[str, FileRows]) -> tuple[FileRows, dict[str, NDArray[Any]]]:
    """All parties' samples in one table, each id once, and the rows of each party."""
    features = np.concatenate([part.features for part in named.values()])
    targets = np.concatenate([part.targets for part in named.values()])
    starts = np.cumsum([0, *(len(part.targets) for part in named.values())])
    spans = itertools.pairwise(starts.tolist())
    rows = {name: np.arange(*span) for name, span in zip(named, spans, strict=True)}
    if not all(part.ids for part in named.values()):
        return FileRows(features, targets), rows
    ids = [name for part in named.values() for name in part.ids]
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        known = first.setdefault(name, row)
        same = targets[row] == targets[known] and np.array_equal(features[row], features[known])
        if not same:
            raise DataError(f'Id "{name}" names two different samples; expected one sample an id.')
    kept = np.array(sorted(first.values()))
    place = np.searchsorted(kept, [first[name] for name in ids])
    pooled = {name: np.unique(place[held]) for name, held in rows.items()}
    return FileRows(features[kept], targets[kept], tuple(ids[row] for row in kept)), pooled
