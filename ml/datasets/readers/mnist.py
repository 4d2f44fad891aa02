"""The MNIST images that ship with the package: all 70,000, as bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ml.datasets.source import Source, require_arrays

__all__ = ["IDX_MD5", "PATH", "idx_bytes", "mnist"]

PATH = Path(__file__).parents[1] / "mnist.npz"

IDX_MD5 = {
    "train_images": "6bbc9ace898e44ae57da46a324031adb",
    "train_labels": "a25bea736e30d166cdddb491f175f624",
    "test_images": "2646ac647ad5339dbf082846283269ea",
    "test_labels": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the four idx files as their authors distribute them, unpacked."""


def mnist() -> Source:
    """MNIST with its official split: 60,000 training and 10,000 test images of 28 x 28 bytes."""
    arrays = require_arrays(PATH, tuple(IDX_MD5))
    return Source(
        features=arrays["train_images"],
        targets=arrays["train_labels"].astype(np.int64),
        test_features=arrays["test_images"],
        test_targets=arrays["test_labels"].astype(np.int64),
        n_classes=10,
    )


def idx_bytes(array: np.ndarray) -> bytes:
    """The array as an idx file: magic number, big-endian shape, bytes."""
    if array.dtype != np.uint8:
        raise TypeError(f"idx files here hold bytes; found {array.dtype}.")
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + np.ascontiguousarray(array).tobytes()
