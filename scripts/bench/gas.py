#!/usr/bin/env python3
"""Gas of a settlement beside what others cost, measured in one run on the in-process chain.

    scripts/bench/gas.py [--sizes 5 50 200 1000] [--json] [--snapshot]

The settlement's figure is the whole transaction that settles: budgets enforced, every transfer
carried out and logged, slots funded. Signatures (which come before it) are counted apart.
``--snapshot`` measures the escrow alone and prints what tests/contracts/gas.json keeps.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from settlement.chain.chain import Chain
from settlement.chain.opening import open_chain
from settlement.chain.spec import ChainSpec
from settlement.escrow.artifacts import artifact
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundTerms
from settlement.escrow.interface import Interface
from settlement.escrow.typed_data import sign_plan
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import net_amounts, post_allocation

DEPOSIT_UNITS = 10**6
GAS = 16_000_000
GOALS = {5: 80_000 / 5, 50: 3_000, 200: 2_400, 1_000: 2_200}


def start(n_parties: int) -> Chain:
    """A fresh chain with one account a party; the same one every time."""
    names = ("operator", *(f"party/{k}" for k in range(n_parties)))
    spec = ChainSpec(accounts=names, genesis_timestamp=1_700_000_000, seed=b"\x2a" * 32)
    return open_chain(None, spec)


def random_positions(n_parties: int) -> list[NetPosition]:
    """Net positions that sum to zero: the even parties pay up to their deposits to the odd ones."""
    generator = random.Random(n_parties)
    nets = [-generator.randrange(1, DEPOSIT_UNITS) * (1 - k % 2) for k in range(n_parties)]
    total, shares = -sum(nets), [generator.random() * (k % 2) for k in range(n_parties)]
    for k, share in enumerate(shares):
        nets[k] += int(total * share / sum(shares))
    nets[1] -= sum(nets)
    return [NetPosition(party, net) for party, net in enumerate(nets)]


def measure_escrow(n_parties: int) -> dict[str, Any]:
    """Gas of every step of one round in ether that all parties sign."""
    with start(n_parties) as chain:
        operator = chain.account("operator")
        parties = [chain.account(f"party/{k}") for k in range(n_parties)]
        client = EscrowClient.deploy(chain, operator)
        round_id = client.open_round(
            operator,
            RoundTerms(
                terms_hash=bytes(range(32)),
                unit_scale=10**9,
                funding_deadline=chain.started_at + 10**6,
                settlement_deadline=chain.started_at + 10**7,
                n_parties=len(parties),
            ),
            [party.address for party in parties],
        )
        for k, party in enumerate(parties):
            client.deposit(round_id, k, party, DEPOSIT_UNITS, client.agreement(round_id))
        plan = SettlementPlan(
            client.reference(round_id), net_transfers(random_positions(n_parties))
        )
        endorsed = client.endorse(plan, operator, [sign_plan(plan, party) for party in parties])
        client.carry_out(plan, operator)
        withdrawn = client.withdraw(round_id, 1, parties[1], parties[1].address)
        gas = {label: chain.receipt(label).gas_used for label in chain.labels()}
        opening = sum(used for label, used in gas.items() if label.startswith(("open", "register")))
        return {
            "n_parties": n_parties,
            "n_transfers": len(plan.transfers),
            "deploy": gas["deploy"],
            "deploy_judge": gas["deploy/judge"],
            "open_a_party": opening // n_parties,
            "deposit_into_a_fresh_slot": gas[f"deposit/{round_id}/0"],
            "deposit_into_a_used_slot": gas[f"deposit/{round_id}/1"],
            "signatures": sum(receipt.gas_used for receipt in endorsed),
            "settle": gas[f"settle/{round_id}"],
            "withdraw": withdrawn.gas_used,
        }


def measure_optimistic(n_parties: int) -> dict[str, int]:
    """Gas of the optimistic way, and of a challenge that recomputes everything."""
    with start(n_parties) as chain:
        operator = chain.account("operator")
        parties = [chain.account(f"party/{k}") for k in range(n_parties)]
        client = EscrowClient.deploy(chain, operator)
        ends = chain.started_at + 1_000
        round_id = client.open_round(
            operator,
            RoundTerms(
                terms_hash=bytes(range(32)),
                unit_scale=10**9,
                funding_deadline=ends,
                settlement_deadline=ends + 10_000,
                exchange_rate=10**6,
                bond_wei=10**16,
                challenge_window=100,
                n_parties=len(parties),
            ),
            [party.address for party in parties],
        )
        deposits = [(DEPOSIT_UNITS // 8) * (k % 2) for k in range(n_parties)]
        for k, units in enumerate(deposits):
            if units:
                client.deposit(round_id, k, parties[k], units, client.agreement(round_id))
        shares = [k + 1 for k in range(n_parties)]
        if n_parties <= 8:
            values = [
                (sum(s for k, s in enumerate(shares) if c >> k & 1) / sum(shares)) ** 0.5
                for c in range(1 << n_parties)
            ]
            posting = post_allocation(deposits, 10**6, values=values)
        else:
            flows = [
                [0 if i == j else shares[j] / sum(shares) / 2 for j in range(n_parties)]
                for i in range(n_parties)
            ]
            posting = post_allocation(deposits, 10**6, flows=flows, grand_value=1)
        nets = net_amounts(posting, 10**6)
        positions = [NetPosition(k, net) for k, net in enumerate(nets)]
        plan = SettlementPlan(client.reference(round_id), net_transfers(positions))
        chain.advance_to(ends + 1)
        committed = client.commit_table(round_id, operator, posting.table_hash)
        proposed = client.propose(plan, operator, posting)
        challenged = client.challenge(round_id, parties[0])
        chain.advance_to(chain.timestamp() + 101)
        client.carry_out(plan, operator)
        return {
            "n_parties": n_parties,
            "commit_table": committed.gas_used,
            "propose": proposed.gas_used,
            "challenge": challenged.gas_used,
            "settle": chain.receipt(f"settle/{round_id}").gas_used,
        }


def measure_token() -> dict[str, int]:
    """Gas of one ERC-20 transferFrom and one transfer between accounts that hold the token."""
    with start(3) as chain:
        operator, *others = (chain.account(name) for name in ("operator", "party/0", "party/1"))
        abi = Interface(artifact("mocks/Token").abi)
        creation = artifact("mocks/Token").bytecode + bytes(32)
        token = chain.send("token", operator, None, creation, gas=GAS).contract_address
        for account in (operator, *others):
            data = abi.encode("mint", account.address, 10**9)
            chain.send(f"mint/{account.address}", operator, token, data, gas=GAS)
        approve = abi.encode("approve", operator.address, 10**9)
        chain.send("approve", others[0], token, approve, gas=GAS)
        pull = abi.encode("transferFrom", others[0].address, others[1].address, 1_000)
        push = abi.encode("transfer", others[1].address, 1_000)
        return {
            "transfer_from": chain.send("pull", operator, token, pull, gas=GAS).gas_used,
            "transfer": chain.send("push", operator, token, push, gas=GAS).gas_used,
        }


def measure_claims(n_parties: int) -> dict[str, int]:
    """Gas of committing a Merkle root, and of the middle party's claim."""
    with start(n_parties) as chain:
        operator = chain.account("operator")
        accounts = [chain.account(f"party/{k}") for k in range(n_parties)]
        creation = artifact("mocks/MerkleClaims").bytecode
        claims = chain.send("claims", operator, None, creation, gas=GAS).contract_address
        leaves = [
            keccak(encode(["uint256", "address", "uint256"], [k, account.address, 10**9]))
            for k, account in enumerate(accounts)
        ]
        root, proof = merkle(leaves, n_parties // 2)
        abi = Interface(artifact("mocks/MerkleClaims").abi)
        value_wei = 10**9 * n_parties
        data = abi.encode("commit", root)
        committed = chain.send("commit", operator, claims, data, value_wei=value_wei, gas=GAS)
        account = accounts[n_parties // 2]
        claim = abi.encode("claim", n_parties // 2, 10**9, proof)
        claimed = chain.send("claim", account, claims, claim, gas=GAS)
        return {"commit": committed.gas_used, "claim": claimed.gas_used}


def merkle(level: list[bytes], place: int) -> tuple[bytes, list[bytes]]:
    """Root of sorted pairs, and the proof of one leaf; a node without sibling moves up."""
    proof = []
    while len(level) > 1:
        if place ^ 1 < len(level):
            proof.append(level[place ^ 1])
        pairs = [level[k : k + 2] for k in range(0, len(level), 2)]
        level = [keccak(b"".join(sorted(pair))) if len(pair) == 2 else pair[0] for pair in pairs]
        place //= 2
    return level[0], proof


def compare(n_parties: int, token: dict[str, int]) -> dict[str, Any]:
    """One row of the table: gas a party."""
    escrow, claims = measure_escrow(n_parties), measure_claims(n_parties)
    netted = escrow["n_transfers"] * token["transfer_from"]
    return {
        **escrow,
        "settle_a_party": escrow["settle"] / n_parties,
        "goal_a_party": GOALS.get(n_parties),
        "signatures_a_party": escrow["signatures"] / n_parties,
        "transfer_from_per_flow_a_party": (n_parties - 1) * token["transfer_from"],
        "transfer_from_netted_a_party": netted / n_parties,
        "merkle_a_party": claims["commit"] / n_parties + claims["claim"],
    }


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 50, 200, 1_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--snapshot", action="store_true")
    options = parser.parse_args()
    if options.snapshot:
        optimistic = [measure_optimistic(n) for n in (3, 8, 32)]
        rounds = [measure_escrow(n) for n in options.sizes]
        print(json.dumps({"rounds": rounds, "optimistic": optimistic}, indent=2))
        return 0
    token = measure_token()
    result = {
        "versions": {name: version(name) for name in ("vyper", "py-evm", "web3", "eth-tester")},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "amounts": f"random, up to {DEPOSIT_UNITS} units: 3 bytes of calldata are not zero",
        "token": token,
        "rows": [compare(n, token) for n in options.sizes],
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    print("gas a party      settle   goal  signatures  per flow  netted  Merkle claims")
    for row in result["rows"]:
        print(
            f"n = {row['n_parties']:<10} {row['settle_a_party']:8.0f} "
            f"{row['goal_a_party'] or 0:6.0f} "
            f"{row['signatures_a_party']:10.0f} {row['transfer_from_per_flow_a_party']:10.0f} "
            f"{row['transfer_from_netted_a_party']:7.0f} {row['merkle_a_party']:8.0f}"
        )
    print(", ".join(f"{name} {number}" for name, number in result["versions"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
