"""Run the console blocks of README.md and write what they print back into it.

    python scripts/upkeep/update_readme.py            # rewrite the outputs
    python scripts/upkeep/update_readme.py --check    # exit 1 if one of them is no longer true

What the chain's random seed decides may differ: addresses, hashes, and gas by less than 1 %,
since a zero byte costs less.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GAS = re.compile(r"gas: ([\d,]+) to settle, ([\d,]+) in all")
BLOCK = re.compile(r"```console\n(.*?)```", flags=re.DOTALL)


def steps(block: str) -> list[tuple[str, str]]:
    """Pairs of a command and the output that stands below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def comparable(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"0x[0-9a-fA-F]{40}", "0x<address>", text)
    text = GAS.sub("gas: <units>", text)
    return re.sub(r"\b[0-9a-f]{16}\.\.\.", "<hash>...", text)


def gas_agrees(found: str, written: str) -> bool:
    """Whether every gas figure is within 1 % of the one that is written."""
    pairs = zip(GAS.findall(found), GAS.findall(written), strict=False)
    figures = [
        (int(a.replace(",", "")), int(b.replace(",", "")))
        for p in pairs
        for a, b in zip(*p, strict=True)
    ]
    return all(abs(a - b) <= b / 100 for a, b in figures)


def rewritten(readme: str, folder: Path) -> str:
    """The README with the outputs that its commands print now, run in an empty folder."""
    program = folder / "bin" / "fairround"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m settlement "$@"\n')
    program.chmod(0o755)
    work = folder / "work"
    work.mkdir()
    environment = os.environ | {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FAIRROUND_CACHE": str(folder / "cache"),
    }

    def run(match: re.Match[str]) -> str:
        lines = []
        for command, output in steps(match[1]):
            if shown := re.fullmatch(r"cat (\S+)", command):
                (work / shown[1]).write_text(output)  # a file that the reader is asked to make
            done = subprocess.run(
                command, shell=True, cwd=work, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(f"`{command}` ended with exit code {done.returncode}:\n{done.stderr}")
            lines.append(f"$ {command}\n{done.stdout}")
        return f"```console\n{''.join(lines)}```"

    return BLOCK.sub(run, readme)


def main() -> int:
    """Rewrite the README, or say whether it would change."""
    before = README.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        after = rewritten(before, Path(folder))
    if "--check" not in sys.argv[1:]:
        README.write_text(after, "utf-8")
        return 0
    if not gas_agrees(after, before):
        print(
            f"README.md says gas:  {GAS.findall(before)}\nit is:               {GAS.findall(after)}"
        )
        return 1
    before, after = comparable(before), comparable(after)
    for old, new in zip(before.splitlines(), after.splitlines(), strict=False):
        if old != new:
            print(f"README.md says:  {old}\nit prints:       {new}\nRun this script.")
            return 1
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
