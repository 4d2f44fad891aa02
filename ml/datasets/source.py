"""What a data source yields before anything is split among parties."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.errors import MlError

__all__ = ["DataError", "Source", "require_arrays"]


class DataError(MlError):
    """The data cannot be used: missing, damaged, or not what the configuration says."""


@dataclass(frozen=True, slots=True)
class Source:
    """Samples of a source, row by row; images stay bytes.

    ``features`` is uint8 images ``(rows, height, width[, channels])``, float32 columns
    ``(rows, columns)`` or int32 words ``(rows, length)`` with 0 for no word. ``targets`` is int64
    classes or float32 figures (then ``n_classes`` is 0). A source without a test set has None
    there. ``classes`` and ``vocabulary`` (from word number 1) are names. ``party_rows`` are the
    rows of each named party, if the source splits its samples among parties itself. ``ids`` are the
    names of the training rows; empty means that a row's number is its name. If the source has
    separate validation and holdout sets, the first ``n_validation`` test samples are for validation
    and the others are the holdout. ``columns`` names the columns of a table.
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    n_classes: int
    test_features: NDArray[Any] | None = None
    test_targets: NDArray[Any] | None = None
    classes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    party_rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    n_validation: int | None = None
    columns: tuple[str, ...] = ()


def require_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The named arrays of an npz archive, read without pickle.

    Raises
    ------
    DataError
        If the file is missing or unreadable, or one of the arrays is not in it.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected an npz archive with {', '.join(names)}.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise DataError(
                    f"{path} holds {', '.join(archive.files) or 'nothing'}; "
                    f"expected also {', '.join(missing)}."
                )
            return {name: archive[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as trouble:
        raise DataError(f"{path} cannot be read as an npz archive: {trouble}.") from trouble
