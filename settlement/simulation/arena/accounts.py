"""Keys of simulated people: worthless by design, the same in every process."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from eth_keys.datatypes import PrivateKey

__all__ = ["Account", "simulated"]

Signer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with a key."""

    name: str
    address: str
    sign: Signer = field(repr=False, compare=False)
    """Signature of a digest: r, s and v, 65 bytes."""


@functools.lru_cache(maxsize=100_000)
def simulated(name: str) -> Account:
    """The account of a name."""
    secret = hashlib.sha256(f"fairround simulation {name}".encode()).digest()
    address: str = PrivateKey(secret).public_key.to_checksum_address()
    return Account(name, address, _signer(secret))


def _signer(secret: bytes) -> Signer:
    try:
        from coincurve import PrivateKey as FastKey  # the extra `fast`
    except ImportError:
        slow = PrivateKey(secret)

        def sign_slowly(digest: bytes) -> bytes:
            made = slow.sign_msg_hash(digest).to_bytes()
            return bytes(made[:64] + bytes([27 + made[64]]))

        return sign_slowly
    fast = FastKey(secret)

    def sign(digest: bytes) -> bytes:
        made = fast.sign_recoverable(digest, hasher=None)
        return bytes(made[:64] + bytes([27 + made[64]]))

    return sign
