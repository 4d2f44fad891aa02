#!/usr/bin/env python3
"""Gas of a settlement beside what others cost, measured in one run on the in-process chain.

    scripts/bench/gas.py [--sizes 5 50 200 1000] [--json] [--snapshot]

The figures are whole ways, a party: what a round needs from locked deposit to money in a wallet.
For the escrow that is the transaction that settles, by proof or by signatures (budgets enforced,
every transfer carried out and logged), and a pay-out to everybody. ``--snapshot`` measures the
escrow alone and prints what tests/contracts/gas.json keeps.
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
from settlement.escrow.deployment import DEPLOYER, DEPLOYER_CODE
from settlement.escrow.events import RoundTerms
from settlement.escrow.interface import Interface
from settlement.escrow.typed_data import sign_plan
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan
from settlement.posting.check import prove
from settlement.posting.format import MAX_POSTED_PARTIES, Game, flow_scale

DEPOSIT_UNITS = 10**6
RATE = 10**6
GAS = 16_700_000
SIZES_BY_PROOF = (3, 5, 8, 12, 20, 50, 64)
SPLITS_PUBLISHED = {5: (104_520, 77_155), 50: (160_511, 373_034), 200: (349_571, 1_363_372)}
"""What 0xSplits says of its first version (its documentation, appendix "Gas Estimates"): gas to
create a split of n recipients and to distribute ether to them, all of whom it knows already. Not
measured here, and their withdrawals come on top: nothing is in a wallet yet."""
GOALS_WHOLE_WAY = {5: (42_000, 45_000), 50: (32_000, 55_000), 200: (30_000, None)}


def start(n_parties: int) -> Chain:
    """A fresh chain with one account a party; the same one every time."""
    names = ("operator", *(f"party/{k}" for k in range(n_parties)))
    codes = {DEPLOYER: DEPLOYER_CODE}  # the escrow's deployment is measured, too
    spec = ChainSpec(
        accounts=names, genesis_timestamp=1_700_000_000, seed=b"\x2a" * 32, codes=codes
    )
    return open_chain(None, spec)


def open_and_fund(
    chain: Chain, n_parties: int, deposits: list[int], game_hash: bytes, *, by_proof: bool
) -> tuple[EscrowClient, int]:
    """A round in ether in which everybody has deposited, named its address, and closed."""
    client = EscrowClient.deploy(chain, chain.account("operator"))
    parties = [chain.account(f"party/{k}") for k in range(n_parties)]
    round_id = client.open_round(
        chain.account("operator"),
        RoundTerms(
            terms_hash=bytes(range(32)),
            game_hash=game_hash,
            unit_scale=10**9,
            exchange_rate=RATE,
            funding_deadline=chain.started_at + 10**6,
            settlement_deadline=chain.started_at + 10**7,
            n_parties=n_parties,
            by_proof=by_proof,
        ),
        [party.address for party in parties],
    )
    agreement = client.agreement(round_id)
    for k, (party, units) in enumerate(zip(parties, deposits, strict=True)):
        client.deposit(round_id, k, party, units, agreement, payout=party.address, last=True)
    return client, round_id


def random_positions(n_parties: int) -> list[NetPosition]:
    """Net positions that sum to zero: the even parties pay up to their deposits to the odd ones."""
    generator = random.Random(n_parties)
    nets = [-generator.randrange(1, DEPOSIT_UNITS) * (1 - k % 2) for k in range(n_parties)]
    total, shares = -sum(nets), [generator.random() * (k % 2) for k in range(n_parties)]
    for k, share in enumerate(shares):
        nets[k] += int(total * share / sum(shares))
    nets[1] -= sum(nets)
    return [NetPosition(party, net) for party, net in enumerate(nets)]


def pay_everybody(client: EscrowClient, chain: Chain, round_id: int, n_parties: int) -> int:
    """Gas of paying everybody out, each of whom has something to get."""
    if not all(client.claim(round_id, k) for k in range(n_parties)):
        raise RuntimeError("Somebody has nothing to get; the figure would flatter.")
    paid = client.pay_out(round_id, chain.account("operator"))
    if left := client.figures(round_id).total_units:
        raise RuntimeError(f"{left} units were not paid out.")
    return sum(receipt.gas_used for receipt in paid)


def measure_signatures(n_parties: int) -> dict[str, Any]:
    """Gas of every step of one round in ether that all parties sign."""
    with start(n_parties) as chain:
        operator = chain.account("operator")
        deposits = [DEPOSIT_UNITS] * n_parties
        client, round_id = open_and_fund(
            chain, n_parties, deposits, bytes(range(32)), by_proof=False
        )
        plan = SettlementPlan(
            client.reference(round_id), net_transfers(random_positions(n_parties))
        )
        consent = client.consent(plan, deposits)
        signers = [chain.account(f"party/{k}") for k in range(n_parties)]
        signatures = [sign_plan(consent, k, party) for k, party in enumerate(signers)]
        client.settle(consent, operator, signatures)
        gas = {label: chain.receipt(label).gas_used for label in chain.labels()}
        opening = sum(used for label, used in gas.items() if label.startswith(("open", "register")))
        settling = sum(
            used for label, used in gas.items() if label.startswith(("settle", "endorse"))
        )
        return {
            "n_parties": n_parties,
            "n_transfers": len(plan.transfers),
            "deploy": gas["deploy"],
            "open_a_party": opening // n_parties,
            "deposit_into_a_fresh_slot": gas[f"deposit/{round_id}/0"],
            "deposit_into_a_used_slot": gas[f"deposit/{round_id}/1"],
            "settle": settling,
            "pay_out": pay_everybody(client, chain, round_id, n_parties),
        }


def random_flows(n_parties: int) -> Game:
    """A game whose figures fill their fields as trained scores do; half the parties are short."""
    generator = random.Random(n_parties)
    scale = flow_scale(n_parties)
    grand = scale * 10**15
    rows = []
    for i in range(n_parties):
        share = generator.uniform(0.5, 0.95)
        weights = [0 if i == j else generator.random() for j in range(n_parties)]
        row = [int(grand * share * w / sum(weights)) for w in weights]
        row[(i + 1) % n_parties] += (grand - sum(row)) % scale
        rows.append(tuple(row))
    return Game(tuple(rows), tuple((grand - sum(row)) // scale for row in rows))


def measure_proof(n_parties: int) -> dict[str, Any]:
    """Gas of settling one round in ether by proof."""
    with start(n_parties) as chain:
        operator = chain.account("operator")
        game = random_flows(n_parties)
        generator = random.Random(n_parties)
        deposits = [generator.randrange(1, RATE // 4) for _ in range(n_parties)]
        client, round_id = open_and_fund(chain, n_parties, deposits, game.hash, by_proof=True)
        proof = prove(game, deposits, RATE)
        positions = [NetPosition(k, net) for k, net in enumerate(proof.net_amounts)]
        plan = SettlementPlan(client.reference(round_id), net_transfers(positions))
        client.settle_by_proof(plan, operator, proof)
        return {
            "n_parties": n_parties,
            "n_transfers": len(plan.transfers),
            "settle": chain.receipt(f"settle/{round_id}").gas_used,
        }


def measure_withdrawal() -> int:
    """Gas of one party that takes its claim out by itself; the same whatever the round's size."""
    with start(3) as chain:
        client, round_id = open_and_fund(chain, 3, [5, 5, 5], bytes(32), by_proof=False)
        chain.advance_to(chain.started_at + 10**7 + 1)
        party = chain.account("party/1")
        return client.withdraw(round_id, 1, party, party.address).gas_used


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
    """One row of the table: gas a party, from locked deposit to money in a wallet."""
    signed, claims = measure_signatures(n_parties), measure_claims(n_parties)
    proved = measure_proof(n_parties) if n_parties <= MAX_POSTED_PARTIES else None
    goals = GOALS_WHOLE_WAY.get(n_parties, (None, None))
    netted = signed["n_transfers"] * token["transfer_from"]
    return {
        **signed,
        "by_signatures": (signed["settle"] + signed["pay_out"]) / n_parties,
        "goal_by_signatures": goals[0],
        "by_proof": proved and (proved["settle"] + signed["pay_out"]) / n_parties,
        "goal_by_proof": goals[1],
        "transfer_from_per_flow": (n_parties - 1) * token["transfer_from"],
        "transfer_from_netted": netted / n_parties,
        "merkle": claims["commit"] / n_parties + claims["claim"],
        "splits_published": sum(SPLITS_PUBLISHED.get(n_parties, ())) / n_parties or None,
    }


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 50, 200, 1_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--snapshot", action="store_true")
    options = parser.parse_args()
    if options.snapshot:
        by_proof = [measure_proof(n) for n in SIZES_BY_PROOF]
        by_signatures = [measure_signatures(n) for n in options.sizes]
        snapshot = {
            "withdraw": measure_withdrawal(),
            "by_signatures": by_signatures,
            "by_proof": by_proof,
        }
        print(json.dumps(snapshot, indent=2))
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
    print("gas a party, locked deposit to wallet; what stands right of the goals proves nothing")
    print("              signatures    goal   proof    goal  per flow  netted   Merkle  0xSplits*")
    for row in result["rows"]:
        print(
            f"n = {row['n_parties']:<10}{row['by_signatures']:10.0f}"
            f"{row['goal_by_signatures'] or '-':>8}{_or_none(row['by_proof'])}"
            f"{row['goal_by_proof'] or '-':>8}{row['transfer_from_per_flow']:10.0f}"
            f"{row['transfer_from_netted']:8.0f}{row['merkle']:9.0f}"
            f"  {_or_none(row['splits_published'])}"
        )
    print("* as published: create and distribute, without the withdrawals to wallets")
    print(", ".join(f"{name} {number}" for name, number in result["versions"].items()))
    return 0


def _or_none(figure: float | None) -> str:
    return "       -" if figure is None else f"{figure:8.0f}"


if __name__ == "__main__":
    sys.exit(main())
