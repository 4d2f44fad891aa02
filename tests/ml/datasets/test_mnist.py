"""The MNIST that ships is the one its authors published."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import ml.datasets.readers.mnist as module
from ml.datasets.readers.mnist import IDX_MD5, PATH, idx_bytes, mnist
from ml.datasets.source import DataError


def test_mnist_has_the_four_canonical_md5_sums():
    with np.load(PATH, allow_pickle=False) as archive:
        sums = {
            name: hashlib.md5(idx_bytes(archive[name]), usedforsecurity=False).hexdigest()
            for name in archive.files
        }
    assert sums == IDX_MD5
    assert set(sums.values()) == {
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    }


def test_mnist_has_the_published_counts():
    source = mnist()
    assert source.features.shape == (60_000, 28, 28)
    assert source.test_features.shape == (10_000, 28, 28)
    assert source.features.dtype == np.uint8
    expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(source.targets).tolist() == expected
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(source.test_targets).tolist() == expected


def test_the_notice_names_authors_and_licence():
    notice = Path(PATH).with_name("NOTICE.md").read_text()
    assert all(word in notice for word in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0"))


@pytest.mark.parametrize("damage", ["missing", "garbage", "array"])
def test_a_damaged_archive_is_a_named_error(tmp_path, monkeypatch, damage):
    path = tmp_path / "mnist.npz"
    if damage == "garbage":
        path.write_bytes(b"not a zip file")
    if damage == "array":
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(1, np.uint8))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train_images.npy", buffer.getvalue())
    monkeypatch.setattr(module, "PATH", path)
    with pytest.raises(DataError, match=r"mnist\.npz"):
        mnist()
