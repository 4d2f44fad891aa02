"""A reward file with its card can be used without the data; the cache can be seen and pruned."""

import json
import os

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.source import DataError
from ml.training import (
    ModelCache,
    load_reward,
    predict_file,
    recipe,
    train_coalitions,
    train_rewards,
)
from ml.training.models.cards import CardError
from ml.training.models.model_files import ModelFileError


def test_three_lines_load_and_use_a_reward(made, digits):
    _, out, rewards = made
    for reward in rewards:
        model = load_reward(out / reward.file)
        found = model.predict(digits.validation.features)
        right = np.array(found.classes) == digits.validation.targets.astype(str)
        assert right.mean() == reward.validation_score
        np.testing.assert_allclose(found.values.sum(axis=1), 1)
        assert model.card["target"] == reward.target
        assert model.card["holdout_score"] == reward.holdout_score
        assert model.card["sha256"] == reward.sha256


def test_samples_come_from_files_of_several_kinds(made, digits, tmp_path):
    _, out, rewards = made
    path = out / rewards[1].file
    samples = digits.validation.features[:7]
    np.save(tmp_path / "some.npy", samples)
    np.savez(tmp_path / "some.npz", features=samples)
    expected = load_reward(path).predict(samples).classes
    for name in ("some.npy", "some.npz"):
        assert predict_file(path, tmp_path / name).classes == expected
    np.save(tmp_path / "wide.npy", np.zeros((2, 9, 8), np.uint8))
    with pytest.raises(DataError, match=r"shape \(9, 8\); expected uint8 of shape \(8, 8\)"):
        predict_file(path, tmp_path / "wide.npy")
    (tmp_path / "some.xyz").touch()
    for name, message in (("some.xyz", "no known kind"), ("none.npy", "is no file")):
        with pytest.raises(DataError, match=message):
            predict_file(path, tmp_path / name)


def test_an_image_is_predicted(made, digits, tmp_path):
    image = pytest.importorskip("PIL.Image")
    _, out, rewards = made
    image.fromarray(digits.validation.features[0]).save(tmp_path / "one.png")
    found = predict_file(out / rewards[1].file, tmp_path / "one.png")
    assert (
        found.classes
        == load_reward(out / rewards[1].file).predict(digits.validation.features[:1]).classes
    )


def test_regression_from_a_csv_predicts_in_the_targets_unit(tmp_path):
    generator = np.random.default_rng(1)
    rows = generator.normal(50, 10, (300, 2))
    price = 3 * rows[:, 0] - rows[:, 1] + 1000
    table = np.column_stack([rows, price])
    np.savetxt(tmp_path / "all.csv", table, delimiter=",", header="a,b,price", comments="")
    np.savetxt(tmp_path / "new.csv", rows[:5], delimiter=",", header="a,b", comments="")
    spec = {"source": "csv", "path": str(tmp_path / "all.csv"), "target": "price"}
    data = load(data_spec(spec | {"task": "regression"}, [{"share": 0.5}, {"share": 0.5}]))
    plan = recipe({"epochs": 40, "batch_size": 16, "learning_rate": 5e-3})
    scores = train_coalitions(data, plan, [1, 2, 3], cache=tmp_path / "c").means
    targets = [scores[0], max(scores[2], scores[1])]
    best = [0, 1, 2, 3 if scores[2] >= scores[1] else 2]
    rewards = train_rewards(
        data, plan, targets, tmp_path / "o", cache=tmp_path / "c", best_coalition=best
    )
    found = predict_file(tmp_path / "o" / rewards[1].file, tmp_path / "new.csv")
    assert found.classes is None
    np.testing.assert_allclose(found.values, price[:5], atol=15)


def test_damage_to_card_or_weights_is_named(made, tmp_path):
    _, out, rewards = made
    weights, card = (out / rewards[0].file), (out / rewards[0].file).with_suffix(".json")
    target = tmp_path / weights.name
    with pytest.raises(CardError, match="cannot be read"):
        load_reward(target)
    target.with_suffix(".json").write_bytes(card.read_bytes())
    with pytest.raises(ModelFileError):
        load_reward(target)
    target.write_bytes((out / rewards[1].file).read_bytes())
    with pytest.raises(CardError, match="not of one round"):
        load_reward(target)
    fields = json.loads(card.read_bytes())
    target.with_suffix(".json").write_text(json.dumps(fields | {"format": "other"}))
    with pytest.raises(CardError):
        load_reward(target)


def test_the_cache_reports_and_prunes_what_was_used_longest_ago(digits, quick, tmp_path):
    cache = ModelCache(tmp_path / "cache")
    assert (cache.report().n_models, cache.report().n_bytes) == (0, 0)
    train_coalitions(digits, quick, [1, 2, 4], cache=cache.folder)
    files = sorted(cache.folder.rglob("*.safetensors"))
    for age, path in enumerate(files):
        os.utime(path, (age, age))
    killed, running = (files[0].parent / f".{name}.part" for name in ("killed", "running"))
    for path in (killed, running):
        path.touch()
    os.utime(killed, (1, 1))
    whole = cache.report()
    assert whole.n_models == 3
    assert whole.n_bytes == sum(path.stat().st_size for path in files)
    pruned = cache.prune(whole.n_bytes - 1)
    assert (pruned.n_models, pruned.n_removed) == (2, 1)
    assert pruned.removed_bytes == whole.n_bytes - pruned.n_bytes > 0
    assert [path.exists() for path in files] == [False, True, True]
    assert list(cache.folder.rglob(".*.part")) == [running]
    assert train_coalitions(digits, quick, [1, 2, 4], cache=cache.folder).n_trained == 1
    assert cache.prune(0).n_models == 0
