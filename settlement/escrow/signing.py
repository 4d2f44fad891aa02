"""Signing with open eyes: typed data (EIP-712) in words, and signatures that are checked.

What a wallet signs is a hash. A person agrees to words. This module makes the words out of exactly
the data that is hashed, every field of it, and refuses data of which it could not show all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from settlement.chain.errors import SignatureError
from settlement.chain.reverts import WORD_BYTES
from settlement.escrow.typed_data import Consent
from settlement.money.terms import net_positions_of

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = [
    "check_signature",
    "pack_signatures",
    "plan_in_words",
    "sign_typed_data",
    "signer_of",
    "typed_data_in_words",
]

DOMAIN_TYPE = "EIP712Domain"
SIGNATURE_BYTES = 65
MAX_WALLET_BYTES = 2048
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def typed_data_in_words(typed_data: Mapping[str, Any]) -> str:
    """All that a signature of this data covers, one field a line.

    Raises
    ------
    SignatureError
        If a value is not declared in the types, or declared and missing: what is shown and what is
        signed would differ.

    Examples
    --------
    >>> print(
    ...     typed_data_in_words(
    ...         {
    ...             "types": {
    ...                 "EIP712Domain": [{"name": "chainId", "type": "uint256"}],
    ...                 "Settlement": [{"name": "round_id", "type": "uint256"}],
    ...             },
    ...             "primaryType": "Settlement",
    ...             "domain": {"chainId": 31337},
    ...             "message": {"round_id": 1},
    ...         }
    ...     )
    ... )
    Sign "Settlement"
      for chainId: 31337
      round_id: 1
    """
    types = typed_data["types"]
    primary = typed_data["primaryType"]
    lines = [f'Sign "{primary}"']
    lines += _fields_in_words(types, DOMAIN_TYPE, typed_data["domain"], "  for ")
    lines += _fields_in_words(types, primary, typed_data["message"], "  ")
    return "\n".join(lines)


def plan_in_words(consent: Consent, party_names: Sequence[str], signer: int) -> str:
    """A settlement plan in words, and the typed data that is signed for it.

    The typed data is made here out of the plan, so that both are the same thing.

    Parameters
    ----------
    party_names : sequence of str
        Names in party order; every party of the round.
    signer : int
        The party who signs: what the plan means for it comes first.
    """
    plan = consent.plan
    amounts = [net.amount_units for net in net_positions_of(plan.transfers, len(party_names))]
    verb = "receive" if amounts[signer] >= 0 else "pay"
    lines = [
        f"Settlement of round {plan.round.round_id} in escrow {plan.round.escrow} "
        f"on chain {plan.round.chain_id}.",
        f'You, "{party_names[signer]}", {verb} {abs(amounts[signer])} base units net.',
    ]
    lines += [
        f'  "{party_names[transfer.debtor]}" pays "{party_names[transfer.creditor]}" '
        f"{transfer.amount_units} base units."
        for transfer in plan.transfers
    ] or ["  Nobody pays anybody anything."]
    return "\n".join([*lines, "", typed_data_in_words(consent.typed_data(signer))])


def pack_signatures(signatures: Sequence[bytes]) -> bytes:
    """Signatures in party order as the contract reads them, see contracts/signatures.vy.

    65 bytes (r, s, v) each; what a wallet that is a contract has signed may be up to 2,048 bytes
    of any kind, and lies behind them.

    Raises
    ------
    SignatureError
        If one is longer.
    """
    records, tail = [], b""
    start = -(-SIGNATURE_BYTES * len(signatures) // WORD_BYTES) * WORD_BYTES
    for party, signature in enumerate(signatures):
        if len(signature) > MAX_WALLET_BYTES:
            raise SignatureError(
                f"Signature of party {party} has {len(signature)} bytes; expected at most "
                f"{MAX_WALLET_BYTES}."
            )
        if len(signature) == SIGNATURE_BYTES and signature[-1]:
            records.append(signature)
            continue
        place = start + len(tail)
        records.append(place.to_bytes(32, "big") + len(signature).to_bytes(32, "big") + b"\0")
        tail += signature + bytes(-len(signature) % WORD_BYTES)
    packed = b"".join(records)
    return packed + bytes(start - len(packed)) + tail if tail else packed


def sign_typed_data(account: LocalAccount, typed_data: Mapping[str, Any]) -> bytes:
    """65 bytes: r, s and v. Checked against the account before they are handed out."""
    signed = account.sign_typed_data(full_message=dict(typed_data))
    signature = bytes(signed.signature)
    check_signature(typed_data, signature, account.address)
    return signature


def signer_of(typed_data: Mapping[str, Any], signature: bytes) -> str:
    """Address of whoever signed this data.

    Raises
    ------
    SignatureError
        If these bytes are no signature of anybody, or the malleable twin of one.
    """
    from eth_account import Account
    from eth_account.messages import encode_typed_data

    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(
            f"Signature has {len(signature)} bytes; expected {SIGNATURE_BYTES}: r, s and v."
        )
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        raise SignatureError("Signature has an s above half the order; contracts refuse it.")
    try:
        signer = Account.recover_message(
            encode_typed_data(full_message=dict(typed_data)), signature=signature
        )
    except Exception as error:  # eth_keys and eth_utils raise their own, of no common root
        raise SignatureError(f"Not a signature of this data ({error}).") from error
    return str(signer)


def check_signature(typed_data: Mapping[str, Any], signature: bytes, address: str) -> None:
    """Refuse a signature that is not this address's signature of this data."""
    signer = signer_of(typed_data, signature)
    if signer.lower() != address.lower():
        raise SignatureError(
            f"Signature is of {signer}; expected {address}. It is of another account, or of "
            "another plan, round, contract or chain."
        )


def _fields_in_words(
    types: Mapping[str, Any], name: str, values: Mapping[str, Any], indent: str
) -> list[str]:
    if name not in types:
        raise SignatureError(f'Typed data does not declare "{name}"; nothing was signed.')
    declared = {field["name"]: field["type"] for field in types[name]}
    if set(declared) != set(values):
        odd = sorted(set(declared) ^ set(values))
        raise SignatureError(
            f'Fields {", ".join(odd)} of "{name}" are not both declared and given; nothing was '
            "signed."
        )
    lines = []
    for field, kind in declared.items():
        lines += _value_in_words(types, field, kind, values[field], indent)
    return lines


def _value_in_words(
    types: Mapping[str, Any], field: str, kind: str, value: Any, indent: str
) -> list[str]:
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        lines = [f"{indent}{field}: {len(value)} items"]
        for number, item in enumerate(value):
            lines += _value_in_words(types, f"[{number}]", inner, item, indent + "  ")
        return lines
    if kind in types:
        return [f"{indent}{field}:", *_fields_in_words(types, kind, value, indent + "  ")]
    return [f"{indent}{field}: {_plain(value)}"]


def _plain(value: Any) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
