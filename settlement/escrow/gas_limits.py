"""Most gas of each transaction to the escrow, with room for amounts and tokens of any kind.

What is not used costs nothing, but the account must hold it. Measured figures are in
``tests/contracts/gas.json``.
"""

from __future__ import annotations

from settlement.posting.format import MAX_EXACT_PARTIES

__all__ = [
    "CALL",
    "DEPLOYMENT",
    "TRANSACTION",
    "challenge",
    "opening",
    "posting",
    "registering",
    "settlement",
    "signatures",
]

TRANSACTION = 2**24
"""No transaction may have more (EIP-7825)."""
DEPLOYMENT = 8_000_000
CALL = 300_000
"""Of what one party does for itself, a token's own gas included."""

PARTY = 60_000  # a fresh slot, calldata and its log
SIGNATURE = 15_000
TRANSFER = 1_500
SLOT = 22_500  # four parties none of whom had anything before


def opening(n_parties: int) -> int:
    """Of opening a round with its first parties."""
    return 600_000 + PARTY * n_parties


def registering(n_parties: int) -> int:
    """Of registering further parties."""
    return 200_000 + PARTY * n_parties


def signatures(n_signatures: int) -> int:
    """Of bringing signatures."""
    return 200_000 + SIGNATURE * n_signatures


def settlement(n_parties: int, n_transfers: int) -> int:
    """Of carrying out a plan at once, every slot empty."""
    n_slots = min(2 * n_transfers, -(-n_parties // 4))
    return 400_000 + TRANSFER * n_transfers + SLOT * n_slots


def posting(n_parties: int) -> int:
    """Of a proposal; flows are n times n."""
    return 400_000 + 500 * n_parties * n_parties


def challenge(n_parties: int) -> int:
    """Of a challenge: flows of up to 8 parties are recomputed from all coalitions."""
    if n_parties <= MAX_EXACT_PARTIES:
        return 400_000 + 400 * n_parties * n_parties * (1 << n_parties)
    return 400_000 + 2_000 * n_parties * n_parties
