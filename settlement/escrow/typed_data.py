"""What a party signs to agree to a settlement: EIP-712 typed data, the same as the contract's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settlement.money.terms import SettlementPlan

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["NO_TABLE", "settlement_typed_data", "sign_plan"]

NO_TABLE = bytes(32)
"""Table hash of a plan whose signers agree on the transfers alone."""


def settlement_typed_data(plan: SettlementPlan, table_hash: bytes = NO_TABLE) -> dict[str, Any]:
    """EIP-712 typed data of a plan, as ``eth_signTypedData_v4`` takes it.

    Binds chain, contract, round, terms, value table and transfers: a signature fits nothing else.
    """
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Settlement": [
                {"name": "round_id", "type": "uint256"},
                {"name": "terms_hash", "type": "bytes32"},
                {"name": "table_hash", "type": "bytes32"},
                {"name": "plan_id", "type": "bytes32"},
            ],
        },
        "primaryType": "Settlement",
        "domain": {
            "name": "fairround escrow",
            "version": "1",
            "chainId": plan.round.chain_id,
            "verifyingContract": plan.round.escrow,
        },
        "message": {
            "round_id": plan.round.round_id,
            "terms_hash": plan.round.terms_hash,
            "table_hash": table_hash,
            "plan_id": plan.plan_id,
        },
    }


def sign_plan(plan: SettlementPlan, account: LocalAccount, table_hash: bytes = NO_TABLE) -> bytes:
    """One party's signature of a plan: 65 bytes, r, s and v."""
    signed = account.sign_typed_data(full_message=settlement_typed_data(plan, table_hash))
    return bytes(signed.signature)
