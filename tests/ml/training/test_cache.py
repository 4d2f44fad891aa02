"""The cache under pressure: two writers, a full disk, somebody who prunes all the time."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.training import ModelCache, train_coalitions, train_rewards
from ml.training.cache import CacheError, FinishedModel

ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import sys
from pathlib import Path
from ml.datasets import data_spec, load
from ml.training import recipe, train_coalitions
data = load(data_spec({"source": "digits"}, [{"labels": [k]} for k in range(4)]))
plan = recipe({"hidden": [8], "epochs": 20, "stack_size": 3})
found = train_coalitions(data, plan, range(1, 16), cache=Path(sys.argv[1]))
print(found.n_trained + found.n_recalled, *found.scores[0])
"""


def test_two_processes_write_the_same_models_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    tables = [np.array(words, float) for words in outputs]
    assert [table[0] for table in tables] == [15, 15]
    # Who recalled some models trained the others in narrower stacks, which round otherwise.
    np.testing.assert_allclose(tables[0], tables[1], atol=0.01)
    cache = ModelCache(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == cache.report().n_models == 15
    assert all(cache.get(path.stem) is not None for path in files)


def model(n_weights=1000):
    return FinishedModel("ab" * 32, 0.5, {"w": torch.ones(n_weights)})


def test_a_full_disk_is_a_named_error_and_leaves_nothing_half_written(tmp_path):
    cache = ModelCache(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(CacheError, match="4,000 bytes cannot be kept"):
            cache.put(model())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    cache.put(model())
    assert cache.get(model().key).score == 0.5


def test_a_folder_that_is_a_file_is_a_named_error(tmp_path):
    (tmp_path / "cache").touch()
    cache = ModelCache(tmp_path / "cache")
    assert cache.get(model().key) is None
    with pytest.raises(CacheError, match="choose another folder"):
        cache.put(model())


class Pruned(ModelCache):
    """A cache that another process empties, as often as told, just before a model is read."""

    times = 0

    def get(self, key):
        if Pruned.times:
            Pruned.times -= 1
            self.prune(0)
        return super().get(key)


def test_rewards_train_again_what_was_pruned_under_their_hands(
    digits, quick, tmp_path, monkeypatch
):
    scores = train_coalitions(digits, quick, [1, 2, 4, 7], cache=tmp_path).means
    targets = scores[:3] + 0.4 * (scores[3] - scores[:3])
    monkeypatch.setattr("ml.training.rewards.rewards.ModelCache", Pruned)
    Pruned.times = 1
    rewards = train_rewards(digits, quick, targets, tmp_path / "out", cache=tmp_path)
    assert Pruned.times == 0
    one_sample = 1 / len(digits.validation)
    assert all(abs(r.validation_score - r.target) <= one_sample + 1e-9 for r in rewards)
    Pruned.times = 1000
    with pytest.raises(CacheError, match="3 times right after they were trained"):
        train_rewards(digits, quick, targets, tmp_path / "other", cache=tmp_path)
    assert not (tmp_path / "other").exists()
