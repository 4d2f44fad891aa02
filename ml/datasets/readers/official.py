"""Fashion-MNIST and CIFAR-10 from the files that their authors distribute."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError, Source

__all__ = ["cifar10", "fashion_mnist", "read_idx"]

FASHION_FILES = {
    "features": "train-images-idx3-ubyte",
    "targets": "train-labels-idx1-ubyte",
    "test_features": "t10k-images-idx3-ubyte",
    "test_targets": "t10k-labels-idx1-ubyte",
}
CIFAR_TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
CIFAR_ROW = 1 + 3 * 32 * 32


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An idx file of bytes, packed with gzip or not.

    Raises
    ------
    DataError
        If it is no such file or is cut short.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        zero, kind, n_dimensions = struct.unpack(">HBB", raw[:4])
        shape = struct.unpack(f">{n_dimensions}I", raw[4 : 4 + 4 * n_dimensions])
    except (OSError, EOFError, struct.error) as trouble:
        raise DataError(f"{path} cannot be read as an idx file: {trouble}.") from trouble
    body = raw[4 + 4 * n_dimensions :]
    if (zero, kind) != (0, 8) or len(body) != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path} has {len(body):,} bytes of type {kind:#x} for shape {shape}; expected an idx "
            "file of bytes, whole."
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def fashion_mnist(folder: Path) -> Source:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) from its four idx files, packed or not."""
    arrays: dict[str, NDArray[Any]] = {}
    for part, name in FASHION_FILES.items():
        found = [folder / file for file in (name, f"{name}.gz") if (folder / file).is_file()]
        if not found:
            raise DataError(
                f"{folder / name}(.gz) does not exist. Put the four idx files of Fashion-MNIST "
                "there: its authors publish them in the repository zalandoresearch/fashion-mnist, "
                "and Debian packages them as dataset-fashion-mnist."
            )
        arrays[part] = read_idx(found[0])
    for part in ("targets", "test_targets"):
        arrays[part] = arrays[part].astype(np.int64)
    return Source(
        features=arrays["features"],
        targets=arrays["targets"],
        test_features=arrays["test_features"],
        test_targets=arrays["test_targets"],
        n_classes=10,
    )


def cifar10(folder: Path) -> Source:
    """CIFAR-10 (Krizhevsky 2009), 32 x 32 x 3 bytes, from the files of its binary version."""
    parts = [_cifar_file(folder, name) for name in CIFAR_TRAIN]
    test_features, test_targets = _cifar_file(folder, "test_batch.bin")
    return Source(
        features=np.concatenate([features for features, _ in parts]),
        targets=np.concatenate([targets for _, targets in parts]),
        test_features=test_features,
        test_targets=test_targets,
        n_classes=10,
    )


def _cifar_file(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (rows, height, width, channels) and labels of one file."""
    path = folder / name
    if not path.is_file():
        path = folder / "cifar-10-batches-bin" / name
    if not path.is_file():
        raise DataError(
            f"{folder / name} does not exist. Put the files of the CIFAR-10 binary version "
            "(data_batch_1.bin to data_batch_5.bin, test_batch.bin) there: Alex Krizhevsky's page "
            "at the University of Toronto has them as cifar-10-binary.tar.gz."
        )
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    if not len(raw) or len(raw) % CIFAR_ROW:
        raise DataError(f"{path} has {len(raw):,} bytes; expected a multiple of {CIFAR_ROW:,}.")
    rows = raw.reshape(-1, CIFAR_ROW)
    if rows[:, 0].max() > 9:
        raise DataError(f"{path} has a label {rows[:, 0].max()}; expected labels 0 to 9.")
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int64)
