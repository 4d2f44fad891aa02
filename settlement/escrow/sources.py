"""What explorers need to show that a deployed escrow is compiled from these sources."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

from settlement.escrow.artifacts import ESCROW, VYPER_VERSION, artifact
from settlement.escrow.deployment import DEPLOYER, SALT

__all__ = ["deployment_facts", "standard_json"]


def deployment_facts(chain_id: int, address: str) -> dict[str, Any]:
    """Where the escrow is and how its address follows from its code."""
    from eth_utils.crypto import keccak

    made = artifact()
    return {
        "contract": ESCROW,
        "chain_id": chain_id,
        "address": address,
        "deployer": DEPLOYER,
        "salt": f"0x{SALT.hex()}",
        "creation_code_keccak256": f"0x{keccak(made.bytecode).hex()}",
        "runtime_code_keccak256": f"0x{keccak(made.runtime).hex()}",
        "constructor_arguments": "0x",
        "compiler": f"vyper {VYPER_VERSION}",
        "evm_version": "prague",
    }


def standard_json() -> dict[str, Any]:
    """The compiler's standard JSON input: every source that the escrow is made of, and settings."""
    with as_file(files("contracts")) as folder:
        texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.vy"))}
    main = f"contracts/{ESCROW}.vy"
    return {
        "language": "Vyper",
        "sources": {f"contracts/{name}": {"content": text} for name, text in texts.items()},
        "settings": {
            "search_paths": [".", "contracts"],
            "outputSelection": {main: ["abi", "evm.bytecode", "evm.deployedBytecode"]},
        },
        "compiler_version": VYPER_VERSION,
    }
