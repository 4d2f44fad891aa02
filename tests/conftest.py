"""What several test rooms share: the command as a real process, a cache of their own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from tests.settlement.chain.anvil import find_anvil

# How long an example takes says how busy the machine is, nothing of the code.
hypothesis.settings.register_profile("without a clock", deadline=None)
hypothesis.settings.load_profile("without a clock")

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Fairround:
    """Runs the command line in processes of its own."""

    environment: dict[str, str]

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "settlement", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments, code=0, timeout_s=600):
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=timeout_s)
        assert process.returncode == code, output + errors
        return output if code == 0 else output + errors


@pytest.fixture(scope="session")
def anvil_program():
    program = find_anvil()
    if program is None:
        pytest.skip("anvil is not installed; scripts/install_anvil.py puts it into .tools")
    return program


@pytest.fixture(scope="session")
def compiled_contracts(tmp_path_factory):
    """A cache that holds the compiled contracts and nothing else; made once a session."""
    from settlement.escrow.artifacts import artifact

    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRROUND_CACHE", str(folder))
        artifact()
    return folder


@pytest.fixture
def fairround(tmp_path, compiled_contracts):
    """The command line with an empty cache of finished trainings, and settings of nobody."""
    cache = tmp_path / "cache"
    shutil.copytree(compiled_contracts, cache)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("FAIRROUND_")
    } | {"FAIRROUND_CACHE": str(cache), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Fairround(own | {"COLUMNS": "100"})
