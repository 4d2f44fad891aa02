"""Model rewards meet their targets, and say so when they cannot."""

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.datasets.collaboration import Samples
from ml.training import recipe, train_coalitions, train_rewards
from ml.training.models.model_files import ModelFileError, read_model
from ml.training.rewards.brackets import Scored, bisect_weights
from ml.training.rewards.rewards import RewardError

sys.path.insert(0, str(Path(__file__).parents[1]))  # for user_code

SEVERAL = {"hidden": [32], "epochs": 8, "batch_size": 32, "learning_rate": 3e-3, "seeds": [0, 1, 2]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def own_and_grand(collaboration, plan, cache):
    means = train_coalitions(collaboration, plan, [1, 2, 4, 7], cache=cache).means
    return means[:3], means[3]


@pytest.mark.parametrize("table", [None, SEVERAL], ids=["one seed", "three seeds"])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.97, 1.0])
def test_every_reward_is_within_one_validation_sample(digits, quick, cache, tmp_path, table, share):
    plan = recipe(table) if table else quick
    own, grand = own_and_grand(digits, plan, cache)
    targets = own + share * (grand - own)
    rewards = train_rewards(digits, plan, targets, tmp_path, cache=cache)
    assert [reward.party for reward in rewards] == [0, 1, 2]
    for reward, target in zip(rewards, targets, strict=True):
        assert reward.target == target
        assert abs(reward.validation_score - target) <= 1 / len(digits.validation) + 1e-9
        assert abs(reward.holdout_score - reward.validation_score) < 0.15
        content = (tmp_path / reward.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == reward.sha256


def test_factor_one_gets_the_grand_model_and_factor_zero_its_own(digits, quick, cache, tmp_path):
    own, grand = own_and_grand(digits, quick, cache)
    rewards = train_rewards(digits, quick, [own[0], grand, grand], tmp_path, cache=cache)
    made = [reward.made for reward in rewards]
    assert made == ["the party's own model itself", *["the grand model itself"] * 2]
    first, second = (read_model(tmp_path / reward.file)[0] for reward in rewards[1:])
    assert all((first[name] == second[name]).all() for name in first)


def test_a_covered_table_makes_the_sub_coalitions_model_the_grand_one(
    digits, quick, cache, tmp_path
):
    own, _ = own_and_grand(digits, quick, cache)
    pair = train_coalitions(digits, quick, [3], cache=cache).means[0]
    best = np.arange(8)
    best[7] = 3
    targets = [pair, pair, own[2]]
    rewards = train_rewards(digits, quick, targets, tmp_path, cache=cache, best_coalition=best)
    assert [reward.validation_score for reward in rewards] == targets


@pytest.mark.parametrize("shift", [-0.02, 0.02])
def test_a_target_outside_own_and_grand_is_refused(digits, quick, cache, tmp_path, shift):
    own, grand = own_and_grand(digits, quick, cache)
    targets = own.copy()
    targets[1] = own[1] - 0.02 if shift < 0 else grand + 0.02
    with pytest.raises(RewardError, match=r"Party 1 \(\"mid\"\) has target"):
        train_rewards(digits, quick, targets, tmp_path / "out", cache=cache)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RewardError, match="expected 3"):
        train_rewards(digits, quick, own[:2], tmp_path / "out", cache=cache)


def test_a_target_that_is_no_number_is_refused(digits, quick, cache, tmp_path):
    own, _ = own_and_grand(digits, quick, cache)
    with pytest.raises(RewardError, match="nan"):
        train_rewards(digits, quick, [own[0], np.nan, own[2]], tmp_path, cache=cache)


def test_rewards_are_made_again_from_an_empty_cache(digits, quick, cache, tmp_path):
    own, grand = own_and_grand(digits, quick, cache)
    targets = own + 0.4 * (grand - own)
    kept = train_rewards(digits, quick, targets, tmp_path / "a", cache=cache)
    fresh = train_rewards(digits, quick, targets, tmp_path / "b", cache=tmp_path / "cache")
    assert [r.validation_score for r in kept] == pytest.approx([r.validation_score for r in fresh])


def test_a_reward_file_changed_by_one_byte_is_refused(digits, quick, cache, tmp_path):
    own, _ = own_and_grand(digits, quick, cache)
    reward = train_rewards(digits, quick, own, tmp_path, cache=cache)[0]
    path = tmp_path / reward.file
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="content SHA-256"):
        read_model(path)


def test_bisection_needs_a_bracket():
    import torch

    def at(x):
        return Scored({"w": torch.tensor([x])}, x)

    found = bisect_weights(at(0.0), at(1.0), 0.3, 1e-4, lambda weights: float(weights["w"][0]))
    assert abs(found.score - 0.3) <= 1e-4
    with pytest.raises(ValueError, match="do not bracket"):
        bisect_weights(at(0.5), at(1.0), 0.3, 1e-4, lambda weights: 0.0)


def with_validation(data, rows):
    samples = Samples(data.validation.features[rows], data.validation.targets[rows])
    return dataclasses.replace(data, validation=samples)


def met(data, plan, targets, folder):
    rewards = train_rewards(data, plan, targets, folder / "out", cache=folder / "cache")
    one_sample = 1 / len(data.validation) + 1e-9
    return all(abs(r.validation_score - r.target) <= one_sample for r in rewards)


@pytest.mark.parametrize("draw", range(4))
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_rewards_meet_their_targets_on_three_validation_samples(
    digits, quick, tmp_path, draw, share
):
    rows = np.random.default_rng(draw).choice(len(digits.validation), 3, replace=False)
    data = with_validation(digits, rows)
    scores = train_coalitions(data, quick, [1, 2, 4, 7], cache=tmp_path / "cache").means
    assert met(data, quick, scores[:3] + share * (scores[3] - scores[:3]), tmp_path)


def test_rewards_meet_a_smooth_score_of_the_users_own(digits, tmp_path):
    table = {"hidden": [32], "epochs": 8, "batch_size": 32, "score": "user_code:likelihood"}
    plan = recipe(table | {"learning_rate": 3e-3})
    scores = train_coalitions(digits, plan, [1, 2, 4, 7], cache=tmp_path / "cache").means
    assert met(digits, plan, (scores[:3] + scores[3]) / 2, tmp_path)


def test_untrained_models_are_rewards_where_own_and_grand_score_alike(digits, tmp_path):
    plan = recipe({"hidden": [8], "epochs": 1, "learning_rate": 1e-9})
    scores = train_coalitions(digits, plan, [1, 2, 4, 7], cache=tmp_path / "cache").means
    assert np.ptp(scores) == 0
    assert met(digits, plan, scores[:3], tmp_path)


def test_a_score_that_jumps_over_a_target_is_named_and_no_file_is_written(digits, quick, tmp_path):
    data = with_validation(digits, np.repeat([5, 7], 4))
    scores = train_coalitions(data, quick, [1, 2, 4, 7], cache=tmp_path / "cache").means
    assert set(scores) <= {0.0, 0.5, 1.0}
    assert scores[3] > scores[0]
    with pytest.raises(RewardError, match="The score jumps over it"):
        met(data, quick, np.r_[(scores[0] + scores[3]) / 2 + 0.2, scores[1:3]], tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_same_rewards_are_the_same_files(digits, quick, cache, tmp_path):
    own, grand = own_and_grand(digits, quick, cache)
    targets = own + 0.6 * (grand - own)
    first, again = (
        [r.sha256 for r in train_rewards(digits, quick, targets, tmp_path / k, cache=cache)]
        for k in "ab"
    )
    assert first == again
