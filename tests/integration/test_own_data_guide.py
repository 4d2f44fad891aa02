"""The README's section about a user's own data, followed to the letter: nothing else is known."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.test_own_data import ORDERS, PARTIES, patients

ROOT = Path(__file__).resolve().parents[2]


def commands_of(heading):
    """The bash block of a section, as it stands."""
    section = (ROOT / "README.md").read_text().split(f"### {heading}\n")[1].split("\n### ")[0]
    (block,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return block


def test_three_clinics_come_from_their_csv_files_to_a_settled_round_by_the_readme(
    fairround, tmp_path
):
    """Their columns stand in three different orders; nobody edits a file."""
    work = tmp_path / "work"
    for seed, (name, order) in enumerate(zip(PARTIES, ORDERS, strict=True)):
        patients(work / f"{name}.csv", seed, order)
    patients(work / "validation.csv", 9, ORDERS[1])
    patients(work / "new-patients.csv", 4, ("sugar", "pressure", "age"), rows=5)
    program = tmp_path / "bin" / "fairround"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m settlement "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shutil.which("bash"), "-e"],
        input=commands_of("Your own data"),
        cwd=work,
        env=fairround.environment | {"PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 columns: age, pressure, sugar" in done.stdout
    assert "network mlp and score accuracy fit the data" in done.stdout
    assert "settled by proof in block" in done.stdout
    assert "ok    settlement" in done.stdout
    predictions = done.stdout.splitlines()[-5:]
    assert all(re.fullmatch(r"[01]  \d\.\d{3}", line) for line in predictions)
