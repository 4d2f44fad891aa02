"""Games that several test files share."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml.game import ValueTable

THREE_PARTIES = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]


@pytest.fixture
def three_parties() -> ValueTable:
    return ValueTable(THREE_PARTIES)


@pytest.fixture
def published_table() -> ValueTable:
    path = Path(__file__).resolve().parents[2] / "data" / "mnist_five_parties.json"
    return ValueTable(json.loads(path.read_text())["values"])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20221128)
