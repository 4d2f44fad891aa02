#!/usr/bin/env python3
"""Install anvil, a local Ethereum node, into `.tools/` for the tests that need a real one.

Needs npm. Without it the tests of the JSON-RPC provider skip and say so; nothing else does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
ANVIL = TOOLS / "node_modules" / ".bin" / "anvil"
PACKAGE = "@foundry-rs/anvil"
VERSION = "1.7.1"  # the one that the tests were run with


def installed_version() -> str | None:
    """Version of the anvil in `.tools`, or None if there is none that runs."""
    if not ANVIL.exists():
        return None
    done = subprocess.run([str(ANVIL), "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[2].partition("-")[0] if done.returncode == 0 and len(words) > 2 else None


def main() -> int:
    """Exit code: 0 if anvil is there, 1 if it cannot be had."""
    if installed_version() == VERSION:
        return 0
    npm = shutil.which("npm")
    if npm is None:
        print(
            "npm is not installed, so anvil is not either: the tests of the JSON-RPC provider "
            "will skip. Install node, or point FAIRROUND_ANVIL at an anvil.",
            file=sys.stderr,
        )
        return 1
    TOOLS.mkdir(exist_ok=True)
    command = [npm, "install", "--prefix", str(TOOLS), "--no-save", "--no-fund", "--no-audit"]
    code = subprocess.call([*command, f"{PACKAGE}@{VERSION}"], stdout=sys.stderr)
    found = installed_version()
    if code or found != VERSION:
        print(f"npm ended with {code}; found anvil {found}, expected {VERSION}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
