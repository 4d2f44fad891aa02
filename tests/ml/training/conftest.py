"""A collaboration small enough that all its coalitions train in a moment."""

import pytest

from ml.datasets import data_spec, load
from ml.training import recipe, train_coalitions, train_rewards


@pytest.fixture(scope="session")
def digits():
    parties = [{"name": "low", "labels": [0, 1, 2, 3]}, {"name": "mid", "labels": [3, 4, 5]}]
    parties.append({"name": "high/9", "labels": [6, 7, 8, 9]})
    return load(data_spec({"source": "digits"}, parties))


@pytest.fixture(scope="session")
def quick():
    return recipe({"hidden": [32], "epochs": 8, "batch_size": 32, "learning_rate": 3e-3})


@pytest.fixture(scope="session")
def made(digits, quick, tmp_path_factory):
    cache, out = (tmp_path_factory.mktemp(name) for name in ("cache", "out"))
    own = train_coalitions(digits, quick, [1, 2, 4, 7], cache=cache).means
    rewards = train_rewards(
        digits, quick, [own[0], own[3], (own[2] + own[3]) / 2], out, cache=cache
    )
    return cache, out, rewards


@pytest.fixture(autouse=True)
def own_code(monkeypatch):
    """What these tests bring along is allowed."""
    monkeypatch.setenv("FAIRROUND_ALLOWED_MODULES", "user_code,no_such_module")
