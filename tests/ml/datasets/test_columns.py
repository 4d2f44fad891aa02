"""Columns of tables go by name, whatever order each party's file has them in."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.source import DataError
from ml.training import predict_file, recipe, train_coalitions, train_rewards

COLUMNS = ["age", "pressure", "sugar"]
CLINICS = [{"name": "north"}, {"name": "south"}, {"name": "east"}]


def write(path, seed, columns=(*COLUMNS, "ill"), rows=40, **changes):
    """Patients of one clinic, with the columns in a given order."""
    generator = np.random.default_rng(seed)
    cells = {name: generator.normal(k, 1 + k, rows) for k, name in enumerate(COLUMNS)}
    cells["ill"] = (cells["sugar"] + cells["age"] > 2).astype(int)
    cells |= {name: np.full(rows, value) for name, value in changes.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns)]
    lines += [",".join(f"{cells[name][k]:.17g}" for name in columns) for k in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def clinics(folder, orders=((*COLUMNS, "ill"),) * 3, validation=(*COLUMNS, "ill")):
    for seed, (clinic, columns) in enumerate(zip(CLINICS, orders, strict=True)):
        write(folder / "parties" / clinic["name"] / "patients.csv", seed, columns)
    write(folder / "validation" / "patients.csv", 9, validation)
    return folder


def loaded(folder):
    return load(data_spec({"source": "folder", "path": str(folder), "target": "ill"}, CLINICS))


SHUFFLED = (
    ("ill", "sugar", "age", "pressure"),
    ("pressure", "age", "ill", "sugar"),
    ("sugar", "pressure", "age", "ill"),
)


def test_the_order_of_columns_makes_no_difference(tmp_path):
    """A clinic with the same columns in another order scored 0.52 instead of 0.96, and paid."""
    plain = loaded(clinics(tmp_path / "plain"))
    shuffled = loaded(clinics(tmp_path / "shuffled", SHUFFLED, ("age", "ill", "sugar", "pressure")))
    assert plain.preparation.columns == ("age", "pressure", "sugar")
    np.testing.assert_array_equal(plain.train.features, shuffled.train.features)
    np.testing.assert_array_equal(plain.validation.features, shuffled.validation.features)
    assert plain.digest == shuffled.digest
    assert plain.preparation == shuffled.preparation


def test_files_of_one_party_may_differ_in_order_too(tmp_path):
    folder = clinics(tmp_path)
    write(folder / "parties" / "north" / "more.csv", 7, SHUFFLED[0])
    assert len(loaded(folder).party_indices[0]) == 80
    write(
        folder / "parties" / "north" / "other.csv", 8, ("age", "sugar", "weight", "ill"), weight=1
    )
    with pytest.raises(DataError, match=r'other.csv alone has "weight"'):
        loaded(folder)


def test_the_names_are_in_the_digest(tmp_path):
    """The same figures under other names are other data."""
    first = clinics(tmp_path / "a")
    renamed = clinics(tmp_path / "b")
    for path in renamed.rglob("*.csv"):
        path.write_text(path.read_text().replace("age", "aga", 1))
    one, other = loaded(first), loaded(renamed)
    np.testing.assert_array_equal(one.train.features, other.train.features)
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("columns", "changes", "words"),
    [
        (("age", "pressure", "ill"), {}, r'Party "north" alone has "sugar"'),
        (
            ("age", "pressure", "sugar", "weight", "ill"),
            {"weight": 1},
            r'"south" alone has "weight"',
        ),
        (("age", "pressure", "Sugar", "ill"), {"Sugar": 1}, r'has "sugar"; .* has "Sugar"'),
        (("age", "pressure", "sugar", "", "ill"), {"": 1}, "without a name, number 4"),
        (("age", "pressure", "sugar", "age", "ill"), {}, '"age" more than once'),
    ],
)
def test_missing_unknown_unnamed_and_double_columns_are_named(tmp_path, columns, changes, words):
    folder = clinics(tmp_path)
    write(folder / "parties" / "south" / "patients.csv", 1, columns, **changes)
    with pytest.raises(DataError, match=words):
        loaded(folder)


def test_names_and_arrays_without_names_do_not_mix(tmp_path):
    folder = clinics(tmp_path)
    (folder / "parties" / "east" / "patients.csv").unlink()
    np.savez(
        folder / "parties" / "east" / "patients.npz",
        features=np.zeros((4, 3), np.float32),
        ill=np.array([0, 1, 0, 1]),
    )
    with pytest.raises(DataError, match=r'Party "east" has none; expected both by name'):
        loaded(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = clinics(tmp_path_factory.mktemp("clinics"), SHUFFLED)
    data = loaded(folder)
    plan = recipe({"hidden": [8], "epochs": 4, "batch_size": 16, "learning_rate": 1e-2})
    scores = train_coalitions(data, plan, range(1, 8), cache=folder / "cache").means
    best = int(np.argmax(scores)) + 1
    targets = [scores[0], scores[1], scores[3]]
    rewards = train_rewards(
        data,
        plan,
        targets,
        folder / "out",
        cache=folder / "cache",
        best_coalition=[*range(7), best],
    )
    return folder / "out" / rewards[0].file


def test_predictions_of_reordered_columns_are_the_same(model, tmp_path):
    plain = predict_file(model, write(tmp_path / "a.csv", 5, COLUMNS))
    other = predict_file(model, write(tmp_path / "b.csv", 5, COLUMNS[::-1]))
    assert plain.classes == other.classes
    np.testing.assert_array_equal(plain.values, other.values)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["age", "sugar"], 'the model alone has "pressure"'),
        ([*COLUMNS, "ill"], 'alone has "ill"'),
        ([*COLUMNS, "age"], '"age" more than once'),
    ],
)
def test_predictions_refuse_missing_unknown_and_double_columns(model, tmp_path, columns, words):
    with pytest.raises(DataError, match=words):
        predict_file(model, write(tmp_path / "new.csv", 5, columns))
