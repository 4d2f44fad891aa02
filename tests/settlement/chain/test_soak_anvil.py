"""Everything that can go wrong, at random and at once, again and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from settlement.chain import open_chain
from tests.settlement.chain.anvil import KEY_VARIABLES, anvil_spec
from tests.settlement.chain.faulty_proxy import faulty_proxy
from tests.settlement.chain.purse import settlements

ROOT = Path(__file__).resolve().parents[3]
DEEPEST = 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("confirmations", "n_rounds"), [(1, 1), (DEEPEST + 1, 5)])
def test_rounds_survive_kills_lost_replies_and_reorganisations_together(
    anvil, tmp_path, confirmations, n_rounds, seed
):
    """Few confirmations: what counted goes away and comes back. Enough of them: it stays.

    With few, one round only: another one of the same accounts would take the nonces of what went.
    """
    anvil.mine(DEEPEST + 2)
    with (
        faulty_proxy(anvil.address, lost=0.3, seed=seed) as proxy,
        anvil.storms(DEEPEST, seed),
    ):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.settlement.chain.soak_driver"),
                *(str(tmp_path), proxy.address, str(seed), str(confirmations), str(n_rounds)),
            ],
            cwd=ROOT,
            env=os.environ | KEY_VARIABLES,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    rounds = json.loads(done.stdout)
    assert len(rounds) == n_rounds
    assert all(attempt["killed"] for attempt in rounds)
    noticed = 0
    for attempt in rounds:
        with open_chain(tmp_path / attempt["folder"], anvil_spec(anvil.address)) as chain:
            assert settlements(chain, attempt["purse"]) == 1
            assert chain.balance(attempt["purse"]) == 140
            noticed += sum(entry.kind == "reorganised" for entry in chain.journal.entries)
    if confirmations > DEEPEST:
        assert noticed == 0
