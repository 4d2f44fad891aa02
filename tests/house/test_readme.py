"""The console blocks of the README print what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)


def steps(block):
    """Pairs of a command and the output that the README gives for it."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = step.partition("\n")
        yield command, output


def comparable(text):
    """Without what the chain's random seed decides: keys, hashes, gas of zero bytes."""
    text = re.sub(r"0x[0-9a-fA-F]{40}", "0x<address>", text)
    text = re.sub(r"gas: [\d,]+ to settle, [\d,]+ in all", "gas: <units>", text)
    return re.sub(r"\b[0-9a-f]{16}\.\.\.", "<hash>...", text)


@pytest.fixture
def shell(tmp_path):
    program = tmp_path / "bin" / "fairround"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m settlement "$@"\n')
    program.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    for name, content in re.findall(r"\$ cat (\S+)\n(.*?)\n(?=\$|```)", README, flags=re.DOTALL):
        (work / name).write_text(content + "\n")
    environment = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FAIRROUND_CACHE": str(tmp_path / "cache"),
    }
    assert shutil.which("fairround", path=environment["PATH"]) == str(program)

    def run(command):
        done = subprocess.run(
            command, shell=True, cwd=work, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_readme_has_console_blocks():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_console_block_prints_what_it_says(number, shell):
    for command, output in steps(BLOCKS[number]):
        assert comparable(shell(command)) == comparable(output), command
