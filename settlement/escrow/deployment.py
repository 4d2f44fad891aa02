"""Where the escrow lives: an address that commits to its code and its empty storage.

Most chains have a contract at one known address that anybody may use to create another, by CREATE2:
at an address that is a hash of the code that creates it. The escrow's creation takes no arguments
and writes nothing, so whoever compiles the sources knows the address, and that nobody has prepared
its storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from settlement.errors import SettlementError
from settlement.escrow.artifacts import artifact

if TYPE_CHECKING:
    from settlement.chain.chain import Chain

__all__ = [
    "DEPLOYER",
    "DEPLOYER_CODE",
    "DeploymentError",
    "check_deployment",
    "creation_data",
    "escrow_address",
    "genesis_codes",
]

DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
DEPLOYER_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
SALT = bytes(32)


class DeploymentError(SettlementError):
    """No escrow where it must be, something else there, or nobody who could put it there."""


def escrow_address() -> str:
    """The address that this version's escrow has on every chain with the deployer."""
    creation = artifact().bytecode
    raw = keccak(b"\xff" + bytes.fromhex(DEPLOYER[2:]) + SALT + keccak(creation))[12:]
    return str(to_checksum_address(raw))


def creation_data() -> bytes:
    """What the deployer is sent to create the escrow."""
    return SALT + artifact().bytecode


def genesis_codes() -> Mapping[str, bytes]:
    """Contracts for the genesis of a chain of one's own: the deployer, and the escrow itself."""
    return {DEPLOYER: DEPLOYER_CODE, escrow_address(): artifact().runtime}


def check_deployment(chain: Chain, address: str) -> None:
    """Refuse an escrow that is not this version's, at the address that vouches for its storage.

    A contract that only answers like the escrow could keep every deposit; so could one with the
    right code whose creation wrote storage before. On a chain whose deployer has other code, and
    on one whose genesis somebody wrote for this purpose, the address vouches for nothing.

    Raises
    ------
    DeploymentError
    """
    expected = escrow_address()
    if address.lower() != expected.lower():
        raise DeploymentError(
            f"The escrow is said to be at {address}; this version's is at {expected} on every "
            "chain. Deposit nothing there."
        )
    for role, place, wanted in (
        ("the deployer", DEPLOYER, DEPLOYER_CODE),
        ("the escrow of this version of fairround", expected, artifact().runtime),
    ):
        code = chain.code(place)
        if code != wanted:
            raise DeploymentError(
                f"The contract at {place} is not {role}: its code has SHA-256 "
                f"{sha256(code).hexdigest()}; expected {sha256(wanted).hexdigest()}. Deposit "
                "nothing on this chain."
            )
