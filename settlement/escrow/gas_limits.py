"""Most gas of each transaction to the escrow, with room for amounts and tokens of any kind.

What is not used costs nothing, but the account must hold it. Measured figures are in
``tests/contracts/gas.json``.
"""

from __future__ import annotations

__all__ = [
    "CALL",
    "DEPLOYMENT",
    "TRANSACTION",
    "opening",
    "pay_out",
    "proof",
    "registering",
    "settlement",
    "signatures",
]

TRANSACTION = 2**24
"""No transaction may have more (EIP-7825)."""
DEPLOYMENT = 8_000_000
CALL = 350_000
"""Of what one party does for itself, a token's own gas included."""

PARTY = 60_000  # a fresh slot, calldata and its log
SIGNATURE = 15_000
WALLET = 450_000  # what a wallet that is a contract may use to look at a signature
TRANSFER = 2_500
SLOT = 22_500  # four parties none of whom had anything before
PUSH_ETHER, PUSH_TOKEN = 90_000, 320_000


def opening(n_parties: int) -> int:
    """Of opening a round with its first parties."""
    return 600_000 + PARTY * n_parties


def registering(n_parties: int) -> int:
    """Of registering further parties."""
    return 200_000 + PARTY * n_parties


def signatures(n_signatures: int, n_wallets: int) -> int:
    """Of bringing signatures, so many of them of contract wallets."""
    return 200_000 + SIGNATURE * n_signatures + WALLET * n_wallets


def settlement(n_parties: int, n_transfers: int) -> int:
    """Of carrying out a plan at once, every slot empty; signatures come on top."""
    n_slots = min(2 * n_transfers, -(-n_parties // 4))
    return 400_000 + TRANSFER * n_transfers + SLOT * n_slots


def proof(n_parties: int) -> int:
    """Of settling by proof; flows are n times n."""
    return 400_000 + 30_000 * n_parties + 600 * n_parties * n_parties


def pay_out(n_parties: int, *, ether: bool) -> int:
    """Of paying parties out, each of whom burns what it may."""
    return 100_000 + (PUSH_ETHER if ether else PUSH_TOKEN) * n_parties
