#!/usr/bin/env python3
"""Install what the tests of the page need beside Python: Debian's Chromium, and axe-core from npm.

Chromium needs root and apt; axe-core, which looks for faults of accessibility, goes into `.tools/`.
Without them those tests skip and say so; nothing else needs either.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / ".tools" / "axe"
AXE_VERSION = "4.14.1"  # the one that the tests were run with


def main() -> int:
    """Install what is missing; 1 if one of the two could not be installed."""
    trouble = 0
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        if os.geteuid() == 0 and shutil.which("apt-get"):
            packages = ["chromium", "fonts-dejavu-core", "fonts-noto-color-emoji"]
            command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
            quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            trouble |= subprocess.call(["apt-get", "update", "-qq"], env=quiet)
            trouble |= subprocess.call(command, env=quiet)
        else:
            print("No Chromium: install your system's package of that name.", file=sys.stderr)
            trouble = 1
    if not (AXE / "node_modules" / "axe-core" / "axe.min.js").is_file():
        if shutil.which("npm"):
            AXE.mkdir(parents=True, exist_ok=True)
            wanted = f"axe-core@{AXE_VERSION}"
            trouble |= subprocess.call(
                ["npm", "install", "--no-save", "--silent", "--prefix", str(AXE), wanted]
            )
        else:
            print("No npm: axe-core cannot be installed.", file=sys.stderr)
            trouble = 1
    return int(bool(trouble))


if __name__ == "__main__":
    sys.exit(main())
