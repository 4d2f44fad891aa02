#!/usr/bin/env python3
"""Fetch the JavaScript modules that the page of a round draws with, and their licences, from npm.

    scripts/upkeep/vendor_page_modules.py            # write settlement/report/page/vendor/
    scripts/upkeep/vendor_page_modules.py --check    # exit 1 if npm has others

To take a newer version, change it below, run this, look at a page, and run the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "settlement" / "report" / "page" / "vendor"
PACKAGES = {
    # In the order in which a page loads them: each uses only those before it.
    "d3-array": "3.2.5",
    "d3-path": "3.1.1",
    "d3-shape": "3.2.1",
    "d3-chord": "3.0.2",
    "d3-sankey": "0.12.3",
}


def fetched() -> dict[str, bytes]:
    """Name and content of every file of the folder, as npm has it."""
    files: dict[str, bytes] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, version in PACKAGES.items():
            command = ["npm", "pack", f"{name}@{version}", "--silent"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            packed = (Path(folder) / done.stdout.split()[-1]).read_bytes()
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:

                def read(path: str, archive: tarfile.TarFile = archive) -> bytes:
                    member = archive.extractfile(f"package/{path}")
                    if member is None:
                        sys.exit(f"{path} is not a file of the package.")
                    return member.read()

                code, licence = read(f"dist/{name}.min.js"), read("LICENSE")
                kind = json.loads(read("package.json"))["license"]
            files[f"{name}.min.js"] = code
            files[f"{name}.LICENSE"] = licence
            row = {"package": name, "version": version, "licence": kind}
            row["sha256"] = hashlib.sha256(code).hexdigest()
            row["licence_sha256"] = hashlib.sha256(licence).hexdigest()
            rows.append(row)
    files["vendor.json"] = (json.dumps(rows, indent=1) + "\n").encode()
    return files


def main() -> int:
    """Write the files, or compare them with those of npm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    files = fetched()
    if check:
        there = {path.name: path.read_bytes() for path in VENDOR.iterdir()}
        for name in sorted(files.keys() | there.keys()):
            if files.get(name) != there.get(name):
                print(f"{name} differs from npm's")
        return int(files != there)
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (VENDOR / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
