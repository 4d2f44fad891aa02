"""Compile the escrow and write what ships beside its sources, so that no user has to compile it.

    python scripts/upkeep/compile_contracts.py    # contracts/compiled/Escrow.json

A test compiles it again and compares. Run it after every change of a contract.
"""

from __future__ import annotations

from pathlib import Path

from settlement.escrow.artifacts import ESCROW, SHIPPED, compiled_text

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def main() -> None:
    """Write the file."""
    folder = CONTRACTS / SHIPPED
    folder.mkdir(exist_ok=True)
    (folder / f"{ESCROW}.json").write_text(compiled_text(), "utf-8")


if __name__ == "__main__":
    main()
