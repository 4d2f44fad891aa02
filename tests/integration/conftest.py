"""A real node for each file of tests, and a village of people on it."""

import shutil

import pytest

from tests.integration.people import Village
from tests.settlement.chain.anvil import running_anvil


@pytest.fixture(scope="module")
def node(anvil_program):
    with running_anvil(anvil_program) as node:
        yield node


@pytest.fixture
def village(node, tmp_path, compiled_contracts):
    """Each person's own folder, keys and settings; see `people.py`."""
    cache = tmp_path / "cache"
    shutil.copytree(compiled_contracts, cache)
    return Village(node, tmp_path, cache)
