"""What a party signs to agree to a settlement: EIP-712 typed data, the same as the contract's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from settlement.money.terms import (
    MAX_SHOWN_TRANSFERS,
    WHOLE_TRANSFERS,
    SettlementPlan,
    net_positions_of,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["Consent", "sign_plan"]

DOMAIN = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
COMMON = [
    ("round_id", "uint256"),
    ("agreement", "bytes32"),
    ("game_hash", "bytes32"),
    ("deposits_hash", "bytes32"),
    ("deadline", "uint256"),
    ("revocations", "uint256"),
]
BY_HASH = [("plan_id", "bytes32"), ("n_transfers", "uint256"), ("total_units", "uint256")]


@dataclass(frozen=True)
class Consent:
    """A plan and all that its signatures are bound to; every figure is the chain's.

    Parameters
    ----------
    plan : SettlementPlan
        What is agreed to; names chain, escrow, round and agreement.
    game_hash, deposits_hash : bytes
        What was agreed before the money, and all deposits.
    deadline : int
        The round's settlement deadline: until then the signatures can be used.
    revocations : int
        How often a party has revoked; one more, and they are worth nothing.
    asset : str
        The round's token, or the zero address for ether.
    unit_scale : int
        Wei of the asset a base unit.
    parties : tuple of str
        Addresses in party order.
    """

    plan: SettlementPlan
    game_hash: bytes
    deposits_hash: bytes
    deadline: int
    revocations: int
    asset: str
    unit_scale: int
    parties: tuple[str, ...]

    @property
    def primary_type(self) -> str:
        """``Settlement`` lists the transfers, ``LargeSettlement`` names the signer's net position,
        ``ChunkedSettlement`` the plan alone.
        """
        size = max(len(self.parties), len(self.plan.transfers))
        if size <= MAX_SHOWN_TRANSFERS:
            return "Settlement"
        return "LargeSettlement" if size <= WHOLE_TRANSFERS else "ChunkedSettlement"

    @cached_property
    def total_units(self) -> int:
        """Sum of all transfers in base units."""
        return sum(transfer.amount_units for transfer in self.plan.transfers)

    @cached_property
    def net_amounts(self) -> tuple[int, ...]:
        """Net position of each party in base units."""
        nets = net_positions_of(self.plan.transfers, len(self.parties))
        return tuple(net.amount_units for net in nets)

    def typed_data(self, party: int) -> dict[str, Any]:
        """EIP-712 typed data for one signer, as ``eth_signTypedData_v4`` takes it.

        Binds chain, contract, round, agreement, game, deposits, deadline and transfers: a
        signature fits nothing else. The same for all signers up to 64 parties and transfers.
        """
        plan, round_ = self.plan, self.plan.round
        fields, types = list(COMMON), {}
        message: dict[str, Any] = {
            "round_id": round_.round_id,
            "agreement": round_.agreement,
            "game_hash": self.game_hash,
            "deposits_hash": self.deposits_hash,
            "deadline": self.deadline,
            "revocations": self.revocations,
        }
        if self.primary_type == "Settlement":
            fields += [("asset", "address"), ("transfers", "Transfer[]")]
            types["Transfer"] = _fields(
                [("debtor", "address"), ("creditor", "address"), ("amount_wei", "uint256")]
            )
            message["asset"] = self.asset
            message["transfers"] = [
                {
                    "debtor": self.parties[transfer.debtor],
                    "creditor": self.parties[transfer.creditor],
                    "amount_wei": transfer.amount_units * self.unit_scale,
                }
                for transfer in plan.transfers
            ]
        else:
            fields += BY_HASH
            message["plan_id"] = plan.plan_id
            message["n_transfers"] = len(plan.transfers)
            message["total_units"] = self.total_units
            if self.primary_type == "LargeSettlement":
                fields.append(("own_net_units", "int256"))
                message["own_net_units"] = self.net_amounts[party]
        return {
            "types": {
                "EIP712Domain": _fields([*DOMAIN, ("verifyingContract", "address")]),
                self.primary_type: _fields(fields),
                **types,
            },
            "primaryType": self.primary_type,
            "domain": {
                "name": "fairround escrow",
                "version": "2",
                "chainId": round_.chain_id,
                "verifyingContract": round_.escrow,
            },
            "message": message,
        }


def sign_plan(consent: Consent, party: int, account: LocalAccount) -> bytes:
    """One party's signature of a plan: 65 bytes, r, s and v."""
    signed = account.sign_typed_data(full_message=consent.typed_data(party))
    return bytes(signed.signature)


def _fields(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]
