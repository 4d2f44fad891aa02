"""kill -9, lost replies and reorganised blocks on a real node: one settlement, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from settlement.chain import open_chain
from settlement.chain.journal import JOURNAL_NAME, read_journal
from tests.settlement.chain.anvil import KEY_VARIABLES, anvil_spec
from tests.settlement.chain.crash_driver import assert_every_write_was_met
from tests.settlement.chain.faulty_proxy import faulty_proxy
from tests.settlement.chain.purse import (
    GAS,
    assert_story_happened_once,
    deploy,
    encode,
    settlements,
    tell_the_story,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("story", "n_writes"), [("purse", 9), ("escrow", 6)])
def test_round_killed_at_any_moment_of_any_write_ends_with_one_settlement(
    anvil, tmp_path, compiled_contracts, story, n_writes
):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.settlement.chain.crash_driver"),
            *(str(tmp_path), story, anvil.address),
        ],
        cwd=ROOT,
        env=os.environ | KEY_VARIABLES | {"FAIRROUND_CACHE": str(compiled_contracts)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["broken"] is None, (result, done.stderr)
    assert_every_write_was_met(result["killed"], n_writes)


@pytest.mark.parametrize("seed", range(5))
def test_round_ends_with_one_settlement_when_three_replies_in_ten_are_lost(anvil, tmp_path, seed):
    with faulty_proxy(anvil.address, lost=0.3, seed=seed) as proxy:
        with open_chain(tmp_path, anvil_spec(proxy.address)) as chain:
            purse = tell_the_story(chain)
        assert proxy.lost_replies > 0
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert_story_happened_once(chain, purse, chain.journal)
    assert_each_send_is_on_the_chain(anvil, tmp_path)


@pytest.mark.parametrize("depth", range(1, 7))
def test_reorganisation_after_the_round_is_noticed_and_the_same_bytes_go_on(anvil, tmp_path, depth):
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        anvil.mine(3)  # so that the deepest one still has a first block to keep
        purse = tell_the_story(chain)
    hashes = sent_hashes(tmp_path)
    anvil.reorganise(depth)
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert tell_the_story(chain) == purse
        assert settlements(chain, purse) == 1
        assert chain.balance(purse) == 140
        assert len(chain.logs(purse)) == 3
        noticed = [entry for entry in chain.journal.entries if entry.kind == "reorganised"]
        assert len(noticed) == min(depth, 4)
    assert sent_hashes(tmp_path) == hashes  # nothing was signed anew
    assert_each_send_is_on_the_chain(anvil, tmp_path)
    with open_chain(tmp_path, anvil_spec(anvil.address), read_only=True):
        pass


@pytest.mark.parametrize("depth", range(1, 7))
def test_reorganisation_while_waiting_for_confirmations_is_outlasted(anvil, tmp_path, depth):
    anvil.mine(8)
    with open_chain(tmp_path, anvil_spec(anvil.address, confirmations=7)) as chain:
        with anvil.mining():
            purse = tell_the_story(chain)
        before = anvil.head()
        with ThreadPoolExecutor(1) as pool:
            operator = chain.account("operator")
            sending = pool.submit(chain.send, "again", operator, purse, encode("settle"), gas=GAS)
            try:
                while anvil.head() == before and not sending.done():
                    pass  # until the bytes have a block
                anvil.mine(depth - 1)
                lost = anvil.block_hash(before + 1)
                anvil.reorganise(depth)
                # Not "one settlement is left": the bytes may have been sent again by now.
                assert anvil.block_hash(before + 1) != lost
            finally:  # also a failed test lets its thread end
                with anvil.mining():
                    wait([sending])
        assert sending.result().succeeded
        assert settlements(chain, purse) == 2
        assert anvil.head() - chain.receipt("again").block_number + 1 >= 7
    assert_each_send_is_on_the_chain(anvil, tmp_path)


def test_block_that_goes_while_a_later_send_waits_is_noticed_with_it(anvil, tmp_path):
    """The later one, mined again, must not vouch for an earlier one that nobody looked at."""
    with open_chain(tmp_path, anvil_spec(anvil.address, confirmations=2)) as chain:
        with anvil.mining():
            purse = deploy(chain)
            party = chain.account("party/0")
            first = chain.send("deposit/0", party, purse, encode("deposit"), value_wei=70, gas=GAS)
        operator = chain.account("operator")
        before = anvil.head()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(chain.send, "settle", operator, purse, encode("settle"), gas=GAS)
            try:
                while anvil.head() == before and not sending.done():
                    pass
                anvil.reorganise(anvil.head() - first.block_number + 1)
            finally:
                with anvil.mining():
                    wait([sending])
        assert sending.result().succeeded
        assert settlements(chain, purse) == 1
        assert chain.balance(purse) == 70
    assert_each_send_is_on_the_chain(anvil, tmp_path)


def test_everything_at_once_still_ends_with_one_settlement(anvil, tmp_path):
    """Blocks come and go, replies are lost, the process is started again and again."""
    anvil.mine(8)
    with (
        faulty_proxy(anvil.address, lost=0.3, seed=7) as proxy,
        anvil.storms(deepest=2, seed=7),
    ):
        for _ in range(3):
            with open_chain(tmp_path, anvil_spec(proxy.address, confirmations=4)) as chain:
                purse = tell_the_story(chain)
    with open_chain(tmp_path, anvil_spec(anvil.address)) as chain:
        assert settlements(chain, purse) == 1
        assert chain.balance(purse) == 140
    assert_each_send_is_on_the_chain(anvil, tmp_path)


def sent_hashes(folder: Path) -> list[str]:
    entries = read_journal(folder / JOURNAL_NAME).entries
    return [entry["hash"] for entry in entries if entry.kind == "send"]


def assert_each_send_is_on_the_chain(anvil, folder: Path) -> None:
    for transaction_hash in sent_hashes(folder):
        receipt = anvil.ask("eth_getTransactionReceipt", f"0x{transaction_hash}")
        assert receipt is not None
        assert receipt["status"] == "0x1"
