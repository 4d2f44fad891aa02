"""However a command ends, its workers and the programs that measure for it end too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import json, subprocess, sys, time
from pathlib import Path

subprocess.Popen(["sleep", "1000"])
for line in sys.stdin:
    members = json.loads(line)["members"]
    if members != ["a"]:
        Path("asleep-" + "".join(members)).touch()
        while not Path("wrong").exists() or members != ["b"]:
            time.sleep(0.05)
        print("hello", flush=True)
    print('{"score": 0.2}', flush=True)
"""

ROUND = """
[round]
name = "ends"
[external]
command = ["python3", "measure.py"]
timeout_s = 1000
retries = 0
[engine]
kind = "%s"
%s
[[party]]
name = "a"
[[party]]
name = "b"
[[party]]
name = "c"
"""

ALLOWED = ("--allow-command", "python3 measure.py")
N_ASLEEP = {"local": 1, "processes": 2}


@pytest.fixture(params=["local", "processes"])
def running(request, fairround, tmp_path):
    """A command that has one answer and waits for others, in a folder where only it works."""
    folder = tmp_path / "round"
    folder.mkdir()
    (folder / "measure.py").write_text(PROGRAM)
    workers = "workers = 2" if request.param == "processes" else ""
    (folder / "round.toml").write_text(ROUND % (request.param, workers))
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "settlement", "train", ".", *ALLOWED],
            cwd=folder,
            env=fairround.environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    process.folder = folder
    answers = folder / "answers.jsonl"
    try:
        n_asleep = N_ASLEEP[request.param]
        assert soon(lambda: len(list(folder.glob("asleep-*"))) == n_asleep and answers.exists())
        assert len(left_in(folder)) >= 1 + 2 * n_asleep
        yield process
    finally:
        for pid in left_in(folder):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def soon(condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def left_in(folder):
    """Processes that work in the folder, by pid."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").readlink() == folder:
                words = (place / "cmdline").read_bytes().split(b"\0")
                found[int(place.name)] = b" ".join(words).decode()
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def all_end(folder):
    return soon(lambda: not left_in(folder), within_s=15)


def wrong_answer(running):
    (running.folder / "wrong").touch()


WAYS = {
    "error": (wrong_answer, 1),
    # A terminal's Ctrl-C reaches the command and its workers.
    "ctrl-c": (lambda running: os.killpg(running.pid, signal.SIGINT), 130),
    "sigterm": (lambda running: os.kill(running.pid, signal.SIGTERM), 143),
    "kill -9": (lambda running: os.kill(running.pid, signal.SIGKILL), -signal.SIGKILL),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_runs_on_when_a_command_has_ended(running, way):
    end, code = WAYS[way]
    end(running)
    assert running.wait(timeout=30) == code
    assert all_end(running.folder), left_in(running.folder)
    told = (running.folder / "errors").read_text()
    assert "Traceback" not in told
    if code > 128:
        assert told.endswith("interrupted; run the same command again to go on\n")
    assert (running.folder / "answers.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("running", ["processes"], indirect=True)
def test_the_program_of_a_killed_worker_ends_and_its_question_is_asked_again(running):
    def programs():
        found = left_in(running.folder).items()
        return {pid for pid, words in found if words.split()[1:] == ["measure.py"]}

    before = programs()
    for path in running.folder.glob("asleep-*"):
        path.unlink()
    stat = Path(f"/proc/{min(before)}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert soon(lambda: len(list(running.folder.glob("asleep-*"))) == 2)
    assert soon(lambda: not before & programs(), within_s=15)
    assert running.poll() is None
    sleeps = [words for words in left_in(running.folder).values() if words.startswith("sleep")]
    assert len(sleeps) == 2
