"""kill -9 of real processes: whoever comes after finishes the round with one settlement."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from settlement.chain import open_chain, read_journal
from settlement.chain.journal import JOURNAL_NAME
from tests.settlement.chain.crash_driver import SPEC, assert_every_write_was_met
from tests.settlement.chain.purse import assert_story_happened_once, tell_the_story

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashed")
    return folder, run("-m", "tests.settlement.chain.crash_driver", str(folder), "purse")


def test_round_killed_at_any_moment_of_any_write_ends_with_one_settlement(crashed):
    _, done = crashed
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["broken"] is None, (result, done.stderr)
    assert_every_write_was_met(result["killed"], least=9)
    assert "dropped an unfinished line" in done.stderr


def test_rounds_killed_at_different_moments_end_alike(crashed, tmp_path):
    folder, _ = crashed
    with open_chain(tmp_path, SPEC) as chain:
        tell_the_story(chain)
        undisturbed = chain.journal.digest
    paths = list(folder.glob(f"*/{JOURNAL_NAME}"))
    assert len(paths) >= 30
    assert {read_journal(path).digest for path in paths} == {undisturbed}


def test_settlement_of_the_escrow_killed_anywhere_is_carried_out_once(
    tmp_path, monkeypatch, compiled_contracts
):
    monkeypatch.setenv("FAIRROUND_CACHE", str(compiled_contracts))
    done = run("-m", "tests.settlement.chain.crash_driver", str(tmp_path), "escrow")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["broken"] is None, (result, done.stderr)
    assert_every_write_was_met(result["killed"], least=6)


def test_new_process_finishes_what_a_killed_one_sent(tmp_path):
    """Nothing shared but the folder: a fresh interpreter, killed after the bytes were written."""
    code = (
        "import sys; from pathlib import Path; from settlement.chain import open_chain\n"
        "from tests.settlement.chain import crash_driver as driver, purse\n"
        "driver.die_at('after', 8)\n"  # the settlement is on the disk, its receipt is not
        "with open_chain(Path(sys.argv[1]), driver.SPEC) as chain: purse.tell_the_story(chain)\n"
    )
    done = run("-c", code, str(tmp_path))
    assert done.returncode == -9, done.stderr
    last = read_journal(tmp_path / JOURNAL_NAME).entries[-1]
    assert (last.kind, last["label"]) == ("send", "settle")
    with open_chain(tmp_path) as chain:
        purse = tell_the_story(chain)
        assert_story_happened_once(chain, purse, chain.journal)
