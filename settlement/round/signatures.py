"""Signatures of a round's plan, one file a party, until the settlement takes them to the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml.files import write_atomically
from settlement.chain.errors import SignatureError, UnknownAccount
from settlement.escrow.signing import check_signature, sign_typed_data
from settlement.store.folder import RoundFolder, dump_json

if TYPE_CHECKING:
    from settlement.chain.chain import Chain

__all__ = ["collect_signatures", "read_signature", "write_signature"]

FOLDER = "signatures"


def write_signature(folder: RoundFolder, party: int, plan_id: bytes, signature: bytes) -> str:
    """Keep a party's signature; its file's name below the round's folder."""
    name = f"{FOLDER}/{party}.json"
    document = {"party": party, "plan_id": plan_id.hex(), "signature": signature.hex()}
    write_atomically(folder.path / name, dump_json(document))
    return name


def read_signature(
    folder: RoundFolder, party: int, typed_data: Mapping[str, Any], address: str
) -> bytes | None:
    """A party's signature, checked against the plan and the party's address; None if not given.

    Raises
    ------
    SignatureError
        If the file is not a signature of this plan by this party.
    """
    name = f"{FOLDER}/{party}.json"
    try:
        raw = (folder.path / name).read_bytes()
    except FileNotFoundError:
        return None
    try:
        signature = bytes.fromhex(json.loads(raw)["signature"])
        check_signature(typed_data, signature, address)
    except (ValueError, KeyError, TypeError):
        raise SignatureError(f"{name} is not a signature file; sign again.") from None
    except SignatureError as error:
        raise SignatureError(f"{name}: {error} Sign again.") from None
    return signature


def collect_signatures(
    folder: RoundFolder,
    chain: Chain,
    typed_data: Mapping[str, Any],
    addresses: list[str],
    accounts: list[str],
) -> list[bytes | None]:
    """Every party's signature in party order: from its file, or made where its key is at hand.

    Parameters
    ----------
    addresses, accounts
        Of the parties, in order: addresses as the escrow knows them, names in the key ring.

    Returns
    -------
    list
        None for a party that has not signed and whose key is not at hand.
    """
    signatures: list[bytes | None] = []
    for party, (address, name) in enumerate(zip(addresses, accounts, strict=True)):
        signature = read_signature(folder, party, typed_data, address)
        if signature is None:
            try:
                signature = sign_typed_data(chain.account(name), typed_data)
            except UnknownAccount:
                signature = None
        signatures.append(signature)
    return signatures
