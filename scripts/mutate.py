#!/usr/bin/env python3
"""Change the contracts one small thing at a time; the tests must notice.

    scripts/mutate.py [--count 100] [--seed 1] [--only ledger] [--report FILE]

A mutant swaps an operator, moves a number by one, or drops a statement. It counts if it compiles
to other code; it is killed if a test in tests/contracts fails. Survivors are printed; those with
a reason are in tests/contracts/survivors.md. Exits 1 if more than 2 % survive. Where pyrevm is
installed the tests run on it, and a mutant takes some ten seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("Escrow", "assets", "consent", "fairness", "ledger", "refusals", "rounds", "signatures")
FIRST_TESTS = {
    "ledger": ["settle", "settle_chunk", "deposit", "settle_large"],
    "fairness": ["settle_by_proof", "attacks"],
    "assets": ["tokens", "deposit", "withdraw", "pay_out"],
    "consent": ["settle", "settle_large", "settle_chunk", "revoke"],
    "rounds": ["close", "settle", "open_round", "deposit", "settle_by_proof"],
    "refusals": ["close"],
    "signatures": ["signatures", "settle"],
    "Escrow": ["open_round", "deposit", "close", "withdraw", "pay_out"],
}
ALL_TESTS = [
    "open_round", "deposit", "close", "settle", "settle_large", "settle_chunk", "revoke",
    "settle_by_proof", "withdraw", "pay_out", "signatures", "tokens", "attacks", "invariants",
]  # fmt: skip
SWAPS = [
    (" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "),
    (" != ", " == "), (" + ", " - "), (" - ", " + "), (" * ", " + "), (" // ", " * "),
    (" & ", " | "), (" | ", " & "), (" << ", " >> "), (" >> ", " << "), (" and ", " or "),
    (" or ", " and "), (" += ", " -= "), (" -= ", " += "), ("unsafe_add(", "unsafe_sub("),
    ("unsafe_sub(", "unsafe_add("), ("min(", "max("), ("max(", "min("), ("True", "False"),
    ("False", "True"),
]  # fmt: skip
NUMBER = re.compile(r"(?<![\w.\"])(\d+)(?![\w.\"])")
STATEMENT = re.compile(r"^ +(refusals\.|self\.|assets\.|ledger\.|rounds\.|log |if .*:$)")


@dataclass(frozen=True)
class Mutant:
    """One line of one source, before and after."""

    source: str
    line: int
    before: str
    after: str


def code_lines(text: str) -> list[int]:
    """Numbers of the lines inside functions, without docstrings and comments."""
    numbers, inside, quoted = [], False, False
    for number, line in enumerate(text.splitlines()):
        quotes = line.count('"""')
        if line.startswith("def "):
            inside = True
        elif line and not line.startswith((" ", ")")):
            inside = False
        elif inside and not quoted and not quotes and line.strip() and "#" not in line[:8]:
            numbers.append(number)
        quoted ^= quotes == 1
    return numbers


def mutants_of(source: str) -> list[Mutant]:
    """Every mutant of a source."""
    text = (ROOT / "contracts" / f"{source}.vy").read_text()
    lines, found = text.splitlines(), []
    for number in code_lines(text):
        line = lines[number]
        code = line.split('"escrow: ')[0]  # sentences stay
        rest = line[len(code) :]
        changed = []
        for old, new in SWAPS:
            for match in re.finditer(re.escape(old), code):
                changed.append(code[: match.start()] + new + code[match.end() :])
        for match in NUMBER.finditer(code):
            changed.append(code[: match.start()] + str(int(match[0]) + 1) + code[match.end() :])
        found += [Mutant(source, number, line, c + rest) for c in changed]
        if STATEMENT.match(line) and line.count("(") == line.count(")"):
            indent = line[: len(line) - len(line.lstrip())]
            dropped = f"{indent}if False:" if line.endswith(":") else f"{indent}pass"
            found.append(Mutant(source, number, line, dropped))
    return found


class Nursery:
    """A copy of what the tests need, where sources can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("contracts", "settlement", "ml", "tests", "pyproject.toml"):
            source = ROOT / name
            ignore = shutil.ignore_patterns("__pycache__", "*.npz")
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copy(source, folder / name)
        self.environment = os.environ | {
            "PYTHONPATH": str(folder),  # the copy, whatever is installed
            "FAIRROUND_CACHE": str(folder / "cache"),
            "FAIRROUND_INVARIANTS": "16x40",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.original = self.code()

    def code(self) -> str | None:
        """Code of the contract, or None if it does not compile."""
        command = (
            "from settlement.escrow.artifacts import artifact;print(artifact().bytecode.hex())"
        )
        done = self._run([sys.executable, "-W", "ignore", "-c", command])
        return done.stdout if done.returncode == 0 else None

    def failing(self, names: list[str]) -> str | None:
        """First test that fails, or None."""
        files = [f"tests/contracts/test_{name}.py" for name in names]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
        done = self._run(command)
        if done.returncode == 0:
            return None
        match = re.search(r"^(?:FAILED|ERROR) tests/contracts/(\S+)", done.stdout, re.MULTILINE)
        return match[1] if match else "the tests did not end"

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, cwd=self.folder, env=self.environment, text=True,
                capture_output=True, timeout=900, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", "")

    def fate(self, mutant: Mutant) -> str:
        """``invalid``, ``same code``, ``survived``, or the test that killed it."""
        path = self.folder / "contracts" / f"{mutant.source}.vy"
        text = path.read_text()
        lines = text.splitlines()
        lines[mutant.line] = mutant.after
        path.write_text("\n".join(lines) + "\n")
        try:
            code = self.code()
            if code is None:
                return "invalid"
            if code == self.original:
                return "same code"
            first = FIRST_TESTS[mutant.source]
            rest = [name for name in ALL_TESTS if name not in first]
            return self.failing(first) or self.failing(rest) or "survived"
        finally:
            path.write_text(text)


def main() -> int:
    """Make mutants and run the tests on each; 1 if too few are noticed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="mutants that compile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=SOURCES)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    sources = (options.only,) if options.only else SOURCES
    everything = [mutant for source in sources for mutant in mutants_of(source)]
    random.Random(options.seed).shuffle(everything)
    fates: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        nursery = Nursery(Path(folder))
        if nursery.original is None or (failing := nursery.failing(ALL_TESTS)):
            print(f"The contracts fail as they are: {failing}", file=sys.stderr)
            return 1
        for mutant in everything:
            if len(fates) == options.count:
                break
            begun = time.monotonic()
            fate = nursery.fate(mutant)
            if fate in ("invalid", "same code"):
                continue
            fates.append((mutant, fate))
            print(
                f"{len(fates):4} {mutant.source}.vy:{mutant.line + 1} {fate} "
                f"({time.monotonic() - begun:.0f} s)\n     - {mutant.before.strip()}\n"
                f"     + {mutant.after.strip()}",
                flush=True,
            )
            if options.report:
                rows = [{**asdict(one), "fate": what} for one, what in fates]
                options.report.write_text(json.dumps(rows, indent=2))
    killed = sum(fate != "survived" for _, fate in fates)
    share = killed / max(1, len(fates))
    print(f"{killed} of {len(fates)} mutants killed: {share:.1%}, seed {options.seed}")
    return 0 if share >= 0.98 else 1


if __name__ == "__main__":
    sys.exit(main())
