"""The gas limit of each transaction to the escrow, with room for any amounts and tokens.

Unused gas costs nothing, but the sending account must hold ether for all of it. What the
transactions really use is measured in ``tests/contracts/gas.json``.
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
    "whole_settlement",
]

TRANSACTION = 2**24
"""No transaction may have more (EIP-7825)."""
DEPLOYMENT = 8_000_000
CALL = 350_000
"""Gas limit of what one party does for itself, the token's own gas included."""

PARTY = 60_000  # one new storage slot, its calldata and its log
SIGNATURE = 15_000
WALLET = 450_000  # what a contract wallet may use to check a signature
TRANSFER = 2_500
SLOT = 22_500  # one slot holds four parties; this is its cost if it was empty
PUSH_ETHER, PUSH_TOKEN = 90_000, 320_000

WHOLE = 1024  # parties and transfers that are settled in one transaction
CHUNK = 256  # transfers of a plan in chunks that come in one
SIGNATURE_BATCH, PAY_OUT_BATCH = 200, 100  # parties of one transaction


def opening(n_parties: int) -> int:
    """Gas limit for opening a round with its first parties."""
    return 600_000 + PARTY * n_parties


def registering(n_parties: int) -> int:
    """Gas limit for registering further parties."""
    return 200_000 + PARTY * n_parties


def signatures(n_signatures: int, n_wallets: int) -> int:
    """Gas limit for bringing signatures; ``n_wallets`` of them come from contract wallets."""
    return 200_000 + SIGNATURE * n_signatures + WALLET * n_wallets


def settlement(n_parties: int, n_transfers: int) -> int:
    """Gas limit for carrying out a plan in one call, without the signatures.

    Assumes the worst case: every storage slot that a transfer writes was empty before.
    """
    n_slots = min(2 * n_transfers, -(-n_parties // 4))
    return 400_000 + TRANSFER * n_transfers + SLOT * n_slots


def proof(n_parties: int) -> int:
    """Gas limit for settling by proof, whose flows are n times n numbers."""
    return 400_000 + 30_000 * n_parties + 600 * n_parties * n_parties


def pay_out(n_parties: int, *, ether: bool) -> int:
    """Gas limit for paying parties out, if each receiver burns all the gas that it is given."""
    return 100_000 + (PUSH_ETHER if ether else PUSH_TOKEN) * n_parties


def whole_settlement(n_parties: int, n_transfers: int, *, by_proof: bool, ether: bool) -> int:
    """Most gas of all transactions that settle a round and pay everybody out.

    By signatures each of them may be a wallet's.
    """
    if by_proof:
        limits = [proof(n_parties)]
    elif max(n_parties, n_transfers) <= WHOLE:
        limits = [settlement(n_parties, n_transfers) + signatures(n_parties, n_parties)]
    else:
        limits = [signatures(SIGNATURE_BATCH, SIGNATURE_BATCH)] * -(-n_parties // SIGNATURE_BATCH)
        limits += [TRANSACTION] * max(1, -(-n_transfers // CHUNK))
    for first in range(0, n_parties, PAY_OUT_BATCH):
        limits.append(pay_out(min(PAY_OUT_BATCH, n_parties - first), ether=ether))
    return sum(min(limit, TRANSACTION) for limit in limits)
