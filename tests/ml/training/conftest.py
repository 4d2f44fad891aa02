"""A collaboration small enough that all its coalitions train in a moment."""

import pytest

from ml.datasets import data_spec, load
from ml.training import recipe


@pytest.fixture(scope="session")
def digits():
    parties = [{"name": "low", "labels": [0, 1, 2, 3]}, {"name": "mid", "labels": [3, 4, 5]}]
    parties.append({"name": "high/9", "labels": [6, 7, 8, 9]})
    return load(data_spec({"source": "digits"}, parties))


@pytest.fixture(scope="session")
def quick():
    return recipe({"hidden": [32], "epochs": 8, "batch_size": 32, "learning_rate": 3e-3})
