"""Scores of coalitions: trained once, recalled for ever, safe from kills and damage."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml.datasets.collaboration import CollaborationError
from ml.training import recipe, train_coalitions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def trained(digits, quick, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return cache, train_coalitions(digits, quick, np.arange(1, 8), cache=cache)


def files(cache):
    return sorted(cache.rglob("*.safetensors"))


def test_scores_follow_the_labels_that_a_coalition_holds(trained, digits):
    _, result = trained
    assert result.scores.shape == (1, 7)
    shares = np.bincount(digits.validation.targets, minlength=10) / len(digits.validation)
    labels = [{0, 1, 2, 3}, {3, 4, 5}, {6, 7, 8, 9}]
    for coalition, score in zip(result.coalitions, result.means, strict=True):
        held = set().union(*(labels[i] for i in range(3) if coalition >> i & 1))
        ceiling = sum(shares[label] for label in held)
        assert 0.8 * ceiling < score <= ceiling


def test_a_second_call_trains_nothing_and_agrees(trained, digits, quick):
    cache, first = trained
    assert (first.n_trained, first.n_recalled, len(files(cache))) == (7, 0, 7)
    again = train_coalitions(digits, quick, np.arange(1, 8), cache=cache)
    assert (again.n_trained, again.n_recalled) == (0, 7)
    assert np.array_equal(again.scores, first.scores)


def test_another_recipe_or_seed_is_another_model(trained, digits, quick):
    cache, first = trained
    other = recipe({"hidden": [32], "epochs": 9, "batch_size": 32, "learning_rate": 3e-3})
    assert train_coalitions(digits, other, [7], cache=cache).n_trained == 1
    seeds = {"hidden": [32], "epochs": 8, "batch_size": 32, "learning_rate": 3e-3, "seeds": [0, 5]}
    both = train_coalitions(digits, recipe(seeds), [7], cache=cache)
    assert (both.n_trained, both.n_recalled) == (1, 1)
    assert both.scores.shape == (2, 1)
    assert both.scores[0, 0] == first.scores[0, 6]
    assert both.standard_errors[0] == pytest.approx(np.ptp(both.scores[:, 0]) / 2)


def test_a_damaged_model_is_noticed_and_trained_again(digits, quick, tmp_path):
    first = train_coalitions(digits, quick, [1, 2], cache=tmp_path)
    victim, whole = files(tmp_path)[0], files(tmp_path)[0].read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[: len(whole) // 2], b""):
        victim.write_bytes(damaged)
        again = train_coalitions(digits, quick, [1, 2], cache=tmp_path)
        assert (again.n_trained, again.n_recalled) == (1, 1)
        np.testing.assert_allclose(again.scores, first.scores, atol=1e-12)


def test_coalitions_with_the_same_samples_share_a_model(tmp_path, quick):
    from ml.datasets import data_spec, load

    parties = [{"labels": [0, 1]}, {"labels": [0, 1]}, {"labels": [2]}]
    replicated = load(data_spec({"source": "digits"}, parties))
    result = train_coalitions(replicated, quick, np.arange(1, 8), cache=tmp_path)
    assert result.n_trained == 3
    by_coalition = dict(zip(result.coalitions, result.means.tolist(), strict=True))
    assert by_coalition[1] == by_coalition[2] == by_coalition[3]
    assert by_coalition[5] == by_coalition[6] == by_coalition[7]


def test_progress_ends_at_the_total_and_never_goes_back(digits, quick, tmp_path):
    seen = []
    train_coalitions(
        digits,
        quick,
        [1, 6],
        cache=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    done = [step for step, _ in seen]
    assert done == sorted(done)
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] > 0
    train_coalitions(
        digits,
        quick,
        [1, 6],
        cache=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("coalition", [0, 8])
def test_the_empty_and_the_impossible_coalition_are_refused(digits, quick, tmp_path, coalition):
    with pytest.raises(CollaborationError):
        train_coalitions(digits, quick, [1, coalition], cache=tmp_path)
    assert files(tmp_path) == []


def test_an_interrupted_run_keeps_what_was_finished(digits, quick, tmp_path):
    one_by_one = recipe({"hidden": [8], "epochs": 5, "stack_size": 1})

    def interrupt(done: int, total: int) -> None:
        if files(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_coalitions(digits, one_by_one, range(1, 8), cache=tmp_path, progress=interrupt)
    assert len(files(tmp_path)) == 1
    again = train_coalitions(digits, one_by_one, range(1, 8), cache=tmp_path)
    assert (again.n_trained, again.n_recalled) == (6, 1)


KILLED = """
import sys
import time
from pathlib import Path
from ml.datasets import data_spec, load
from ml.training import recipe, train_coalitions
spec = data_spec({"source": "digits"}, [{"labels": [k]} for k in range(4)])
plan = recipe({"hidden": [8], "epochs": 120, "stack_size": 4})
cache = Path(sys.argv[1])

def hold(done, total):  # from the first model that is kept on: wait to be killed
    while any(cache.rglob("*.safetensors")):
        time.sleep(1)

train_coalitions(load(spec), plan, range(1, 16), cache=cache, progress=hold)
"""


def test_a_killed_run_keeps_what_was_finished_and_trains_nothing_twice(tmp_path):
    from ml.datasets import data_spec, load

    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(cache)]
    process = subprocess.Popen(command, cwd=ROOT)
    while not files(cache) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    survived = len(files(cache))
    assert 0 < survived < 15
    digits = load(data_spec({"source": "digits"}, [{"labels": [k]} for k in range(4)]))
    plan = recipe({"hidden": [8], "epochs": 120, "stack_size": 4})
    again = train_coalitions(digits, plan, range(1, 16), cache=cache)
    assert (again.n_trained, again.n_recalled) == (15 - survived, survived)
    whole = train_coalitions(digits, plan, range(1, 16), cache=tmp_path / "other")
    np.testing.assert_allclose(again.scores, whole.scores, atol=0.004)
