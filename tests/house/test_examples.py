"""The scripts in scripts/examples run, and print what they are about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {path.name for path in (ROOT / "scripts" / "examples").glob("*.py")}

PRINTED = {
    "calculator.py": "a      0.7500  -0.2000  0.8000",
    "own_data.py": "net_position_units",
    "own_scheme.py": "balance",
}


def test_every_example_is_run():
    assert set(PRINTED) == SCRIPTS


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_an_example_runs_from_any_folder(name, tmp_path):
    own = {key: value for key, value in os.environ.items() if not key.startswith("FAIRROUND_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "examples" / name), str(tmp_path / "folder")],
        cwd=tmp_path,
        env=own
        | {"PYTHONPATH": str(ROOT), "FAIRROUND_CACHE": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert PRINTED[name] in done.stdout
