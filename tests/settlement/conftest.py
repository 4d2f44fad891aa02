from __future__ import annotations

from collections.abc import Iterator

import pytest

from settlement.chain import Chain, ChainSpec, open_chain
from tests.settlement.chain import purse as purse_story
from tests.settlement.chain.anvil import KEY_VARIABLES, Anvil, running_anvil


@pytest.fixture
def spec():
    return ChainSpec(
        accounts=purse_story.ACCOUNTS, genesis_timestamp=1_700_000_000, seed=bytes(range(32))
    )


@pytest.fixture
def chain(tmp_path, spec) -> Chain:
    with open_chain(tmp_path, spec) as chain:
        yield chain


@pytest.fixture
def purse(chain) -> str:
    return purse_story.deploy(chain)


@pytest.fixture
def anvil(anvil_program, monkeypatch) -> Iterator[Anvil]:
    for variable, key in KEY_VARIABLES.items():
        monkeypatch.setenv(variable, key)
    with running_anvil(anvil_program) as node:
        yield node
