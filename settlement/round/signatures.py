"""Signatures of a round's plan, one file a party, until the settlement takes them to the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from ml.files import write_atomically
from ml.reading import UnreadableFile, read_json
from settlement.chain.errors import Reverted, SignatureError, UnknownAccount
from settlement.config.reading import party_account
from settlement.escrow.client import EscrowClient
from settlement.escrow.signing import MAX_WALLET_BYTES, check_signature, sign_typed_data
from settlement.escrow.typed_data import Consent
from settlement.store.folder import RoundFolder, dump_json

if TYPE_CHECKING:
    from settlement.chain.chain import Chain

__all__ = ["checked_signature", "collect_signatures", "signature_path", "write_signature"]

SIGNATURES_FOLDER = "signatures"
VALID = bytes.fromhex("1626ba7e")  # isValidSignature(bytes32,bytes), and its answer for yes


def signature_path(party: int) -> str:
    """Name of a party's signature file below the round's folder."""
    return f"{SIGNATURES_FOLDER}/{party}.json"


def write_signature(folder: RoundFolder, party: int, plan_id: bytes, signature: bytes) -> str:
    """Keep a party's signature; its file's name below the round's folder."""
    name = signature_path(party)
    document = {"party": party, "plan_id": plan_id.hex(), "signature": signature.hex()}
    write_atomically(folder.path / name, dump_json(document))
    return name


def checked_signature(escrow: EscrowClient, consent: Consent, party: int, given: str) -> bytes:
    """A signature in hexadecimal, if it is this party's of this plan: a key's, or a wallet's.

    Raises
    ------
    SignatureError
    """
    try:
        signature = bytes.fromhex(given.removeprefix("0x"))
    except ValueError:
        raise SignatureError("The signature is no hexadecimal text; copy it again.") from None
    if not 1 <= len(signature) <= MAX_WALLET_BYTES:
        raise SignatureError(
            f"The signature has {len(signature)} bytes; expected 1 to {MAX_WALLET_BYTES}."
        )
    typed_data, address = consent.typed_data(party), consent.parties[party]
    try:
        check_signature(typed_data, signature, address)
    except SignatureError:
        if not _wallet_accepts(escrow.chain, address, typed_data, signature):
            raise
    return signature


def _wallet_accepts(
    chain: Chain, address: str, typed_data: Mapping[str, Any], signature: bytes
) -> bool:
    """Whether an account with code takes these bytes as its signature now (ERC-1271).

    What counts is what it answers in the call that settles; this is to say so early.
    """
    from eth_account.messages import encode_typed_data

    if not chain.code(address):
        return False
    message = encode_typed_data(full_message=dict(typed_data))
    digest = keccak(b"\x19" + message.version + message.header + message.body)
    try:
        answer = chain.call(address, VALID + encode(["bytes32", "bytes"], [digest, signature]))
    except Reverted:
        return False
    return answer[:4] == VALID


def _read_signature(
    folder: RoundFolder, escrow: EscrowClient, consent: Consent, party: int
) -> bytes | None:
    """A party's signature from its file; None if it has not given one.

    Raises
    ------
    SignatureError
        If the file is not a signature of this plan, as it is now, by this party.
    """
    name = signature_path(party)
    path = folder.path / name
    if not path.exists():
        return None
    try:
        return checked_signature(escrow, consent, party, read_json(path)["signature"])
    except (UnreadableFile, ValueError, KeyError, TypeError, AttributeError):
        raise SignatureError(f"{name} is not a signature file; sign again.") from None
    except SignatureError as error:
        raise SignatureError(f"{name}: {error} Sign again.") from None


def collect_signatures(
    folder: RoundFolder, chain: Chain, escrow: EscrowClient, consent: Consent, names: Sequence[str]
) -> list[bytes | None]:
    """Every party's signature in party order: from its file, or made where its key is at hand.

    Returns
    -------
    list
        None for a party that has not signed and whose key is not at hand.
    """
    signatures: list[bytes | None] = []
    for party in range(len(names)):
        signature = _read_signature(folder, escrow, consent, party)
        if signature is None:
            try:
                account = chain.account(party_account(party))
                signature = sign_typed_data(account, consent.typed_data(party))
            except UnknownAccount:
                signature = None
        signatures.append(signature)
    return signatures
