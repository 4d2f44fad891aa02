#!/usr/bin/env python3
"""Prove the packed ledger for three parties and two transfers, for all deposits and amounts.

    scripts/halmos.py [--halmos PROGRAM] [--way settle|chunks] [--debtors 0 1]

Runs halmos, a symbolic EVM, on what vyper makes of tests/contracts/LedgerProof.vy: one function for
each choice of debtors and creditors, a party that does not exist among them. Optional: halmos is
no dependency; `pip install halmos==0.3.3` into an environment of its own, and name its program
here or have it on PATH. halmos reads what forge builds; no forge is needed, for the build is
written in its place. Exits 1 if something is not proved.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROOF = ROOT / "tests" / "contracts" / "LedgerProof.vy"
INDICES = range(4)  # three parties, and one that is none
WAYS = {"settle": False, "chunks": True}


def case(way: str, debtors: tuple[int, int], creditors: tuple[int, int]) -> str:
    """Source of one check; its name says which."""
    (a, c), (b, d) = debtors, creditors
    name = f"check_{way}_{a}_pays_{b}_and_{c}_pays_{d}"
    numbers = ", ".join(f"{number}: uint256" for number in ("d0", "d1", "d2", "a0", "a1"))
    return (
        f"\n\n@external\ndef {name}({numbers}):\n"
        f"    self._plan([d0, d1, d2], [{a}, {c}], [{b}, {d}], [a0, a1], {WAYS[way]})\n"
    )


def compiled(source: Path) -> dict[str, Any]:
    """What vyper makes of the proof and the ledger."""
    from vyper.cli.vyper_compile import compile_files

    formats = ["abi", "bytecode", "bytecode_runtime", "method_identifiers"]
    folders = [str(ROOT / "contracts"), str(source.parent)]
    (output,) = compile_files([str(source)], output_formats=formats, paths=folders).values()
    return dict(output)


def write_build(folder: Path, output: dict[str, Any]) -> None:
    """The build folder that halmos reads, and a forge that has nothing to do."""
    selectors = output["method_identifiers"].items()
    node = {"nodeType": "ContractDefinition", "name": "LedgerProof", "contractKind": "contract"}
    build = {
        "abi": output["abi"],
        "ast": {"nodeType": "SourceUnit", "absolutePath": "LedgerProof.vy", "nodes": [node]},
        "bytecode": {"object": output["bytecode"], "linkReferences": {}},
        "deployedBytecode": {"object": output["bytecode_runtime"], "linkReferences": {}},
        "id": 0,
        "metadata": {"compiler": {"version": "vyper"}},
        "methodIdentifiers": {name: selector[2:].zfill(8) for name, selector in selectors},
    }
    place = folder / "out" / "LedgerProof.sol"
    place.mkdir(parents=True)
    (place / "LedgerProof.json").write_text(json.dumps(build))
    forge = folder / "forge"
    forge.write_text("#!/bin/sh\n")
    forge.chmod(0o755)


def main() -> int:
    """Prove every group; 1 if one is not proved."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--halmos", default=shutil.which("halmos"), help="the program")
    parser.add_argument("--way", choices=sorted(WAYS), help="one way only; both by default")
    parser.add_argument("--debtors", type=int, nargs=2, choices=INDICES, help="one choice only")
    options = parser.parse_args()
    if options.halmos is None:
        print(
            "halmos is not on PATH. Install it into an environment of its own (pip install "
            "halmos==0.3.3) and name its program with --halmos.",
            file=sys.stderr,
        )
        return 1
    pairs = list(itertools.product(INDICES, repeat=2))
    chosen = [tuple(options.debtors)] if options.debtors else pairs
    ways = [options.way] if options.way else sorted(WAYS)
    # One contract for each choice of debtors: all cases together exceed a contract's size, and
    # halmos once showed a counterexample there that holds neither on an EVM nor when asked again.
    codes = [prove(options.halmos, *one, pairs) for one in itertools.product(ways, chosen)]
    print(f"{len(codes) - sum(map(bool, codes))} of {len(codes)} groups of checks proved")
    return int(any(codes))


def prove(halmos: str, way: str, debtors: tuple[int, int], creditors: list[tuple[int, int]]) -> int:
    """Run the checks of one choice of debtors; the program's exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "LedgerProof.vy"
        cases = "".join(case(way, debtors, pair) for pair in creditors)
        source.write_text(PROOF.read_text() + cases)
        write_build(folder, compiled(source))
        command = [
            *(halmos, "--root", name, "--contract", "LedgerProof", "--no-status"),
            # Vyper hashes slot and key the other way round than Solidity; 64 loops is all it has.
            *("--storage-layout", "generic", "--loop", "64", "--solver-timeout-assertion", "60000"),
        ]
        path = f"{name}{os.pathsep}{os.environ.get('PATH', '')}"
        return subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
