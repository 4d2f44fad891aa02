"""Letting the escrow take a token: by a signature where the token knows permits, else approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector as selector

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.errors import SettlementError
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import ETHER
from settlement.escrow.signing import sign_typed_data
from settlement.round.words import QUESTION_GAS

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["NoToken", "check_token", "lock", "permit_to_sign"]

COLLECTIBLE = bytes.fromhex("80ac58cd")  # ERC-721, in the numbering of ERC-165

TOKEN_REFUSED = "escrow: token refused deposit"
FIRST_VERSION = "1"
"""Of the domain of a token that names none, as most do."""


class NoToken(SettlementError):
    """The asset of a round is no ERC-20 token."""


def check_token(chain: Chain, asset: str) -> None:
    """Refuse collectibles (ERC-721) as the asset of a round; ether and anything else passes.

    They take in a deposit by the same call as a token, whose amount is then the number of one, and
    know no call by which the escrow could ever give it back.

    Raises
    ------
    NoToken
    """
    if asset == ETHER:
        return
    data = selector("supportsInterface(bytes4)") + encode(["bytes4"], [COLLECTIBLE])
    try:
        answer = chain.call(asset, data, gas=QUESTION_GAS)
    except Reverted:
        return
    if int.from_bytes(answer[:32], "big") == 1:
        raise NoToken(
            f"The asset {asset} is a collection of single pieces (ERC-721); the escrow could take "
            f"one in and never give it back. Expected an ERC-20 token. Deposit nothing."
        )


def lock(
    escrow: EscrowClient,
    round_id: int,
    party: int,
    account: LocalAccount,
    units: int,
    agreement: bytes,
    *,
    payout: str,
    last: bool,
) -> None:
    """Deposit base units: one transaction in ether or with a permit (ERC-2612), two with approval.

    ``account`` may be one without a key, of which only the address is known: it approves.
    """
    terms = escrow.terms(round_id)
    if terms.asset != ETHER:
        amount_wei, deadline = units * terms.unit_scale, terms.funding_deadline
        typed_data = None
        if hasattr(account, "sign_typed_data"):
            place = (terms.asset, account.address, escrow.address)
            typed_data = permit_to_sign(escrow.chain, *place, amount_wei, deadline)
        if typed_data is not None:
            signature = sign_typed_data(account, typed_data)
            try:
                escrow.deposit_with_permit(
                    *(round_id, party, account, units, agreement),
                    deadline=deadline,
                    signature=(signature[64], signature[:32], signature[32:64]),
                    payout=payout,
                    last=last,
                )
                return
            except Reverted as error:  # before anything was sent; permits differ among tokens
                if error.reason != TOKEN_REFUSED:
                    raise
        escrow.approve(round_id, party, account, units)
    escrow.deposit(round_id, party, account, units, agreement, payout=payout, last=last)


def permit_to_sign(
    chain: Chain, token: str, owner: str, spender: str, amount_wei: int, deadline: int
) -> dict[str, Any] | None:
    """A permit as typed data (EIP-712); None if the token has none, or another's domain.

    The domain names this token on this chain, whatever the token says of itself: a signature can
    be of no use at another one.
    """
    from eth_account.messages import encode_typed_data

    name = _text(_ask(chain, token, "name()"))
    nonce = _ask(chain, token, "nonces(address)", owner)
    if name is None or len(nonce) != 32:
        return None
    version = _text(_ask(chain, token, "version()"))
    domain = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
    permit = [("owner", "address"), ("spender", "address"), ("value", "uint256")]
    typed_data: dict[str, Any] = {
        "types": {
            "EIP712Domain": _fields([*domain, ("verifyingContract", "address")]),
            "Permit": _fields([*permit, ("nonce", "uint256"), ("deadline", "uint256")]),
        },
        "primaryType": "Permit",
        "domain": {
            "name": name,
            "version": FIRST_VERSION if version is None else version,
            "chainId": chain.chain_id,
            "verifyingContract": token,
        },
        "message": {
            "owner": owner,
            "spender": spender,
            "value": amount_wei,
            "nonce": int.from_bytes(nonce, "big"),
            "deadline": deadline,
        },
    }
    ours = encode_typed_data(full_message=typed_data).header
    return typed_data if _ask(chain, token, "DOMAIN_SEPARATOR()") == ours else None


def _fields(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def _ask(chain: Chain, token: str, function: str, *owner: str) -> bytes:
    """The token's answer; nothing if it has no such function."""
    try:
        data = selector(function) + encode(["address"] * len(owner), owner)
        return chain.call(token, data, gas=QUESTION_GAS)
    except Reverted:
        return b""


def _text(answer: bytes) -> str | None:
    try:
        return str(decode(["string"], answer)[0])
    except Exception:  # whatever a token of any make answers is no trouble of ours
        return None
