"""Folders, streams and files as rough callers leave them: one line each, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VERBS = ("run", "open", "train", "allocate", "reward", "settle", "report", "show", "verify")
PARTY_VERBS = ("sign", "withdraw", "revoke", "close")


@pytest.mark.parametrize("verb", [*VERBS, *PARTY_VERBS])
def test_a_folder_without_a_round_is_named_by_every_verb(fairround, tmp_path, verb):
    folder = tmp_path / "no round"
    options = ("--party", "a") if verb in PARTY_VERBS else ()
    message = fairround(verb, folder, *options, code=1)
    assert message.startswith(f"error: {folder} has no round.toml; write one with `fairround init")
    assert f"'{folder}'" in message  # the folder's space is quoted in the command to run
    assert not folder.exists()


def test_list_names_a_bad_round_beside_good_ones(fairround, tmp_path):
    fairround("init", tmp_path / "good")
    fairround("init", tmp_path / "bad")
    (tmp_path / "bad" / "report").mkdir()
    (tmp_path / "bad" / "report" / "seal.json").write_text("{}")
    listed = {row["folder"]: row for row in json.loads(fairround("list", tmp_path, "--json"))}
    assert listed[str(tmp_path / "good")]["name"] == "three parties"
    assert "report/seal.json" in listed[str(tmp_path / "bad")]["trouble"]
    assert "bad  unreadable: report/seal.json" in fairround("list", tmp_path)


def test_a_stage_that_cannot_be_written_is_named(fairround, tmp_path):
    fairround("init", tmp_path)
    (tmp_path / ".lock").mkdir()  # any file where the machine says no, also to root
    message = fairround("run", tmp_path, code=1)
    assert message.splitlines() == [f"error: {tmp_path / '.lock'}: Is a directory"]


@pytest.mark.parametrize("option", [("--compare",), ("--monotone", "keep")])
def test_a_round_takes_no_options_of_the_calculator(fairround, tmp_path, option):
    assert "No such option" in fairround("allocate", tmp_path, *option, code=2)


def test_numbers_out_of_range_are_wrong_usage(fairround, tmp_path):
    assert "--seed" in fairround("estimate", "--seed", "-1", code=2)
    assert "--retrain" in fairround("verify", tmp_path, "--retrain", "-1", code=2)


CLOSED = """
import sys
from settlement.cli.main import _prepare_streams

_prepare_streams()
with open(sys.argv[1]) as file:
    sys.exit(0 if file.fileno() > 2 and sys.stdin.read() == "" else 3)
"""


def in_a_shell(command):
    return subprocess.run(
        ["sh", "-c", command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_number_of_a_closed_stream(tmp_path, closed):
    program, file = tmp_path / "program.py", tmp_path / "file"
    program.write_text(CLOSED)
    file.touch()
    assert in_a_shell(f"{sys.executable} {program} {file} {closed}").returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path):
    done = in_a_shell(f"{sys.executable} -m settlement init {tmp_path}/round > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: No space left on device\n"


def test_no_file_of_others_rings_or_paints_the_terminal(fairround, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder)
    path = folder / "round.toml"
    evil = "three \\u0007\\u001b]0;title parties"  # as TOML writes a bell and a window's title
    path.write_text(path.read_text().replace('three parties"', f'{evil}"', 1))
    printed = fairround("list", tmp_path) + fairround("show", folder)
    printed += fairround("check", folder, code=1)
    assert "title parties" in printed
    assert all(sign.isprintable() or sign == "\n" for sign in printed)
