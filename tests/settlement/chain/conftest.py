from __future__ import annotations

import pytest

from settlement.chain import Chain, ChainSpec, open_chain
from tests.settlement.chain import purse as purse_story


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
