"""What the README asks a stranger to type works, and prints what the README says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def first_block():
    """Lines of the block that a stranger pastes."""
    return re.search(r"```bash\n(.*?)```", README, re.DOTALL)[1].splitlines()


def test_the_console_blocks_of_the_readme_print_what_they_say():
    assert README.count("```console\n") >= 2
    script = [sys.executable, str(ROOT / "scripts" / "upkeep" / "update_readme.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_block_installs_and_then_runs_what_the_console_block_shows():
    """So that the test above, which needs no installation, covers the block's commands."""
    assert README.index("```bash") < README.index("```console")
    install, commands = first_block()[:3], first_block()[3:]
    assert install == [
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install --quiet -c constraints.txt .",
    ]
    console = re.search(r"```console\n(.*?)```", README, re.DOTALL)[1]
    assert commands == re.findall(r"^\$ (.*)$", console, re.MULTILINE)


@pytest.mark.slow
def test_a_stranger_can_paste_the_first_block_into_an_empty_shell(tmp_path):
    """In a copy of the tracked files, with nothing of this environment but the way to programs."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    home = Path(sys.base_prefix) / "bin"
    kept = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    kept |= {name: os.environ[name] for name in ("PIP_INDEX_URL", "HOME") if name in os.environ}
    done = subprocess.run(
        ["bash", "-e"],
        input="\n".join(first_block()),
        cwd=tmp_path,
        env=kept | {"PATH": f"{home}:/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    if "No matching distribution" in done.stderr or "Temporary failure" in done.stderr:
        pytest.skip("no package registry can be reached from here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a         0.2000    200,000  0.7500" in done.stdout
    assert done.stdout.endswith("ok    report\n")


@pytest.mark.parametrize("word", ["lambda", "nu", "base unit", "exchange rate"])
def test_words_of_the_first_screen_are_explained_before_they_are_shown(word):
    first = re.search(rf"\b{word}", README).start()
    shown = README.index("```console")
    assert first < shown, f"{word} appears without an explanation"
