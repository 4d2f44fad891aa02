"""EIP-712 digests, the same as a wallet's and much faster: types are hashed once a process."""

from __future__ import annotations

import functools
from typing import Any

from eth_utils.crypto import keccak

from settlement.escrow.typed_data import Consent
from settlement.money.terms import net_positions_of
from settlement.simulation.arena.words import encoder_of

__all__ = ["digest_of", "digests_of"]

Types = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def digests_of(consent: Consent) -> list[bytes]:
    """What each party signs, in party order. Where all sign the same it is made once."""
    first = consent.typed_data(0)
    if consent.primary_type != "LargeSettlement":
        return [digest_of(first)] * len(consent.parties)
    # All sign the same but for the last field, the signer's own net position.
    types = _frozen(first)
    start = b"\x19\x01" + _hash_of("EIP712Domain", first["domain"], types)
    fields = b"".join(_words_of("LargeSettlement", first["message"], types)[:-1])
    nets = net_positions_of(consent.plan.transfers, len(consent.parties))
    last = encoder_of("int256")
    return [
        bytes(keccak(start + keccak(fields + last(position.amount_units)))) for position in nets
    ]


def digest_of(typed_data: dict[str, Any]) -> bytes:
    """Digest of typed data whose records hold plain values and lists of records of such."""
    frozen = _frozen(typed_data)
    domain = _hash_of("EIP712Domain", typed_data["domain"], frozen)
    message = _hash_of(typed_data["primaryType"], typed_data["message"], frozen)
    return bytes(keccak(b"\x19\x01" + domain + message))


def _frozen(typed_data: dict[str, Any]) -> Types:
    """The types as something that can be looked up."""
    return tuple(
        sorted(
            (name, tuple((field["name"], field["type"]) for field in fields))
            for name, fields in typed_data["types"].items()
        )
    )


def _hash_of(name: str, record: dict[str, Any], types: Types) -> bytes:
    return bytes(keccak(b"".join(_words_of(name, record, types))))


def _words_of(name: str, record: dict[str, Any], types: Types) -> list[bytes]:
    """The hash of a record's type, and its fields in 32 bytes each."""
    fields = dict(types)[name]
    words = [_type_hash(name, types)]
    for field, kind in fields:
        value = record[field]
        if kind.endswith("[]"):
            items = [_hash_of(kind[:-2], item, types) for item in value]
            words.append(keccak(b"".join(items)))
        elif kind == "string":
            words.append(keccak(text=value))
        else:
            words.append(encoder_of(kind)(value))
    return words


@functools.cache
def _type_hash(name: str, types: Types) -> bytes:
    known = dict(types)
    inner = sorted({k[:-2] for _, k in known[name] if k.endswith("[]")})
    text = "".join(
        f"{one}({','.join(f'{kind} {field}' for field, kind in known[one])})"
        for one in (name, *inner)
    )
    return bytes(keccak(text=text))
