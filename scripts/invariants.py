#!/usr/bin/env python3
"""Random histories of the escrow against its twin, longer than the test suite's.

    scripts/invariants.py [--examples 256] [--steps 100] [--seed N]

On pyrevm where it is installed; `FAIRROUND_EVM=py-evm` asks for the other. The seed is printed; the
same seed gives the same histories. A failing history is shrunk and printed as the calls that lead
to it.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the histories; exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    print(f"{options.examples} histories of {options.steps} steps, seed {options.seed}", flush=True)
    environment = os.environ | {"FAIRROUND_INVARIANTS": f"{options.examples}x{options.steps}"}
    command = [
        sys.executable, "-m", "pytest", "-q", "-s", f"--hypothesis-seed={options.seed}",
        "--hypothesis-show-statistics", "tests/contracts/test_invariants.py",
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
