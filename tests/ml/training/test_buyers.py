"""Buyers without data: nothing in any coalition, a model of what they pay for."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.spec import NO_SAMPLES
from ml.training import load_reward, recipe, train_coalitions, train_rewards
from ml.training.cache import ModelCache
from ml.training.checks import network_for, untrained_score
from ml.training.coalitions import model_keys
from ml.training.rewards.rewards import RewardError

HOLDERS = [{"name": "low", "labels": [0, 1, 2, 3, 4]}, {"name": "high", "labels": [4, 5, 6, 7, 8]}]
BUYER = {"name": "buyer", "labels": []}


def digits(*parties, **data):
    return load(data_spec({"source": "digits"} | data, parties))


@pytest.fixture(scope="module")
def quick():
    return recipe({"hidden": [32], "epochs": 4, "learning_rate": 3e-3, "seeds": [0, 1]})


@pytest.mark.parametrize("overlap", ["union", "concat"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_buyer_adds_nothing_and_no_model_is_trained_for_it(quick, tmp_path, overlap, place):
    parties = HOLDERS.copy()
    parties.insert(place, BUYER)
    found = digits(*parties, overlap=overlap)
    scores = train_coalitions(found, quick, range(1, 8), cache=tmp_path)
    assert scores.n_trained == 3 * 2
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3 * 2
    table = np.pad(scores.scores, ((0, 0), (1, 0)))
    buyer = 1 << place
    assert not table[:, buyer].any()
    for coalition in range(8):
        assert np.array_equal(table[:, coalition | buyer], table[:, coalition & ~buyer])
        if coalition and coalition != buyer:
            keys = [model_keys(found, quick, c) for c in (coalition | buyer, coalition & ~buyer)]
            assert keys[0] == keys[1]
    assert table[:, 7].min() > 0.5
    # A round without the buyer finds all its models there.
    alone = digits(*HOLDERS, overlap=overlap)
    assert train_coalitions(alone, quick, [1, 2, 3], cache=tmp_path).n_trained == 0


def test_buyers_alone_are_a_coalition_without_a_model(quick, tmp_path):
    found = digits(BUYER, HOLDERS[0], {"name": "too", "replicate": "buyer"})
    scores = train_coalitions(found, quick, [1, 4, 5, 7], cache=tmp_path)
    assert scores.scores[:, :3].tolist() == [[0.0] * 3] * 2
    assert scores.n_trained == 2
    assert model_keys(found, quick, 5) == ()
    assert [digest == NO_SAMPLES for digest in found.party_digests] == [True, False, True]


@pytest.fixture(scope="module")
def market(quick, tmp_path_factory):
    """Two who hold data and a buyer: data, cache, and scores of low, high and both."""
    found, cache = digits(*HOLDERS, BUYER), tmp_path_factory.mktemp("cache")
    return found, cache, train_coalitions(found, quick, [1, 2, 3], cache=cache).means


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_buyer_gets_a_model_trained_from_nothing_to_what_it_paid_for(
    quick, market, tmp_path, share
):
    found, cache, (low, high, grand) = market
    target = share * grand
    rewards = train_rewards(found, quick, [low, high, target], tmp_path, cache=cache)
    bought = rewards[2]
    assert bought.party_name == "buyer"
    assert "own model" not in bought.made
    one_sample = 1 / len(found.validation)
    assert bought.validation_score == pytest.approx(target, abs=one_sample)
    model = load_reward(tmp_path / bought.file)
    predicted = np.array(model.predict(found.holdout.features).classes, int)
    assert (predicted == found.holdout.targets).mean() == pytest.approx(bought.holdout_score)


def test_a_buyer_that_bought_nothing_gets_no_model(quick, market, tmp_path):
    found, cache, (low, high, _) = market
    rewards = train_rewards(found, quick, [low, high, 0.0], tmp_path, cache=cache)
    assert [reward.party for reward in rewards] == [0, 1]
    assert not list(tmp_path.glob("2-*"))


def test_a_buyer_of_less_than_an_untrained_network_gets_that_one(quick, market, tmp_path):
    found, cache, (low, high, _) = market
    floor = untrained_score(found, quick)
    assert 0 < floor < 0.3
    bought = train_rewards(found, quick, [low, high, floor], tmp_path, cache=cache)[2]
    assert bought.made == "an untrained network itself"
    assert bought.validation_score == pytest.approx(floor)
    weights = load_reward(tmp_path / bought.file).weights
    starts = [network_for(quick, found).initial(seed) for seed in quick.seeds]
    assert any(all(np.array_equal(weights[k], start[k]) for k in start) for start in starts)
    below = [low, high, floor - 2 / len(found.validation)]
    with pytest.raises(RewardError, match=r'Party 2 \("buyer"\) has target'):
        train_rewards(found, quick, below, tmp_path, cache=cache)


def test_a_network_that_training_spoilt_is_a_reward_all_the_same(tmp_path):
    """Money has moved by then: no party's reward may stop those of the others."""
    found = digits(*HOLDERS, BUYER)
    wild = recipe({"hidden": [32], "epochs": 1, "learning_rate": 10, "seeds": [2]})
    low, high, grand = train_coalitions(found, wild, [1, 2, 3], cache=tmp_path).means
    floor = untrained_score(found, wild)
    assert floor > max(low, high, grand) + 2 / len(found.validation)
    own = [min(low, grand), min(high, grand)]
    bought = train_rewards(found, wild, [*own, floor], tmp_path / "out", cache=tmp_path)[2]
    assert bought.validation_score == pytest.approx(floor)


def test_a_party_with_data_is_never_left_without_its_own_model(quick, market, tmp_path):
    found, cache, (_, high, grand) = market
    with pytest.raises(RewardError, match=r'Party 0 \("low"\) has target 0\.0'):
        train_rewards(found, quick, [0.0, high, grand], tmp_path, cache=cache)
    assert ModelCache(cache).get(model_keys(found, quick, 1)[0]) is not None
