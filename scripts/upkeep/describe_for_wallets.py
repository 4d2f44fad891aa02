"""Descriptions by which a wallet shows what is signed (ERC-7730), from the ABI and the typed data.

    python scripts/upkeep/describe_for_wallets.py    # contracts/wallets/*.json
    erc7730 lint --v2 contracts/wallets              # against the standard's own models

A test writes them again and compares; another lints them where `erc7730` is on the path, or named
by FAIRROUND_ERC7730. It wants Python 3.12 and is no dependency: `pip install erc7730` in an
environment of its own, and run that test after every change of the contract's surface. Intents
have at most 30 signs and labels 20, for small screens.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from settlement.escrow.artifacts import artifact
from settlement.escrow.deployment import escrow_address
from settlement.escrow.events import ETHER
from settlement.escrow.typed_data import Consent
from settlement.money.terms import RoundReference, SettlementPlan, Transfer

FOLDER = Path(__file__).resolve().parents[2] / "contracts" / "wallets"
SCHEMA = (
    "https://raw.githubusercontent.com/LedgerHQ/clear-signing-erc7730-registry/master/specs/"
    "erc7730-v2.schema.json"
)
SEPOLIA = 11155111
"""The one public chain that is named: the contract is not audited and holds no real money."""

TIME = {"format": "date", "params": {"encoding": "timestamp"}}
ADDRESS = {"format": "addressName", "params": {"types": ["wallet", "eoa", "contract"]}}
AMOUNT = {
    "format": "tokenAmount",
    "params": {"tokenPath": "asset", "nativeCurrencyAddress": [ETHER]},
}
RAW = {"format": "raw"}

FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "round_id": ("Round", RAW),
    "party": ("Your seat", RAW),
    "agreement": ("Agreement", RAW),
    "game_hash": ("Game", RAW),
    "deposits_hash": ("All deposits", RAW),
    "units": ("Base units you lock", RAW),
    "payout": ("Paid out later to", ADDRESS),
    "recipient": ("Paid to", ADDRESS),
    "last": ("You deposit no more", RAW),
    "deadline": ("Good until", TIME),
    "revocations": ("Revocations so far", RAW),
    "asset": ("Asset", ADDRESS),
    "transfers.[].debtor": ("Payer", ADDRESS),
    "transfers.[].creditor": ("Payee", ADDRESS),
    "transfers.[].amount_wei": ("Amount", AMOUNT),
    "plan_id": ("Plan", RAW),
    "n_transfers": ("Transfers", RAW),
    "total_units": ("Base units in all", RAW),
    "own_net_units": ("Units you receive", RAW),
    "v": ("Permit, v", RAW),
    "r": ("Permit, r", RAW),
    "s": ("Permit, s", RAW),
}
CALLS = {
    "deposit": "Lock deposit, agree to game",
    "deposit_with_permit": "Lock tokens, agree to game",
    "close": "Deposit no more",
    "revoke": "Take back all signatures",
    "withdraw": "Take your claim out",
}
PLANS = {
    "Settlement": "Agree to these transfers",
    "LargeSettlement": "Agree to a plan of transfers",
    "ChunkedSettlement": "Agree to a plan of transfers",
}
METADATA = {"owner": "fairround", "contractName": "Escrow"}


def main() -> int:
    """Write both files, or say whether they are as they would be written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if they differ")
    check = parser.parse_args().check
    differ = False
    for name, described in (("calldata-Escrow", calls()), ("eip712-Escrow", plans())):
        path, text = FOLDER / f"{name}.json", json.dumps(described, indent=2) + "\n"
        if check:
            differ |= not path.exists() or path.read_text("utf-8") != text
        else:
            path.write_text(text, "utf-8")
    return int(differ)


def calls() -> dict[str, Any]:
    """What a party calls."""
    formats = {}
    for entry in artifact().abi:
        if entry["type"] != "function" or entry["name"] not in CALLS:
            continue
        inputs = entry["inputs"]
        fields = [_field(item["name"]) for item in inputs]
        if entry["name"] == "deposit":
            fields.insert(0, {"path": "@.value", "label": "Ether you lock", "format": "amount"})
        formats[_encoded(entry["name"], inputs)] = {
            "intent": CALLS[entry["name"]],
            "fields": fields,
        }
    return _described({"contract": {"deployments": _deployments()}}, formats)


def plans() -> dict[str, Any]:
    """What a party signs, in each of its three sizes."""
    formats = {}
    for n_transfers in (1, 65, 1_025):
        data = _sample(n_transfers).typed_data(0)
        kind, types = data["primaryType"], data["types"]
        inner = sorted(set(types) - {"EIP712Domain", kind})
        encoded = "".join(_encoded(name, types[name]) for name in (kind, *inner))
        paths = []
        for field in types[kind]:
            nested = types.get(field["type"].removesuffix("[]"))
            paths += (
                [f"{field['name']}.[].{f['name']}" for f in nested] if nested else [field["name"]]
            )
        formats[encoded] = {"intent": PLANS[kind], "fields": [_field(path) for path in paths]}
    domain = data["domain"]
    context = {
        "eip712": {
            "domain": {"name": domain["name"], "version": domain["version"]},
            "deployments": _deployments(),
        }
    }
    return _described(context, formats)


def _sample(n_transfers: int) -> Consent:
    place = RoundReference(SEPOLIA, escrow_address(), 1, bytes(32), 2)
    plan = SettlementPlan(place, (Transfer(0, 1, 1),) * n_transfers)
    return Consent(plan, bytes(32), bytes(32), 0, 0, ETHER, 1, (ETHER, ETHER))


def _encoded(name: str, fields: list[dict[str, str]]) -> str:
    return f"{name}({','.join('{type} {name}'.format(**field) for field in fields)})"


def _field(path: str) -> dict[str, Any]:
    label, shown = FIELDS[path]
    return {"path": path, "label": label, **shown}


def _deployments() -> list[dict[str, Any]]:
    return [{"chainId": SEPOLIA, "address": escrow_address()}]


def _described(context: dict[str, Any], formats: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "context": context,
        "metadata": METADATA,
        "display": {"formats": formats},
    }


if __name__ == "__main__":
    raise SystemExit(main())
