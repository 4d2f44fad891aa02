"""The benchmark script runs, and says what it could not measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "bench" / "game.py"


def test_the_script_prints_json_with_machine_and_rows():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--json", "--only", "clearing", "--repeats", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    report = json.loads(done.stdout)
    assert {"processor", "cores", "python", "numpy"} <= set(report["machine"])
    rows = {row["what"]: row for row in report["rows"]}
    faster = rows["LP over clearing, n = 200, no budgets"]
    assert faster["figure"] > 1
    assert faster["largest_difference"] < 1e-6
    assert "dense, n = 1000, no budgets, certified" in rows
