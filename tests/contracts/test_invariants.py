"""Random histories of several rounds, against the twin call by call.

What must hold after every step: the escrow's balance is the sum of all claims and bonds; contract
and twin agree on every result and every refusal. And at the end of every history: after the
deadlines every party gets out by itself, and nothing is left.

``FAIRROUND_INVARIANTS=256x100`` runs that many histories of that many steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from settlement.escrow.events import RoundState
from settlement.escrow.twin import Refusal
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition
from settlement.posting.check import net_amounts, post_allocation
from tests.contracts.arena import BOND_WEI, Arena
from tests.contracts.optimistic import table_of
from tests.contracts.test_settle import RawPlan, raw
from tests.contracts.test_settle_chunk import linked

EXAMPLES, STEPS = map(int, os.environ.get("FAIRROUND_INVARIANTS", "50x50").split("x"))
MAX_ROUNDS = 3
UNITS = st.integers(0, 12) | st.sampled_from([2**62, 2**63 - 1, 2**63, 2**64])
SHARED: dict[str, Any] = {}


def arena_and_token() -> tuple[Arena, str]:
    """One escrow for all histories: rounds of different histories must not meet either."""
    if not SHARED:
        SHARED["arena"] = Arena()
        SHARED["token"] = SHARED["arena"].token(wei=2**80)
    return SHARED["arena"], SHARED["token"]


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.arena, self.token = arena_and_token()
        self.rounds: list[int] = []
        self.proposals: dict[int, tuple[bytes, bytes, bytes]] = {}
        self.chunks: dict[int, list[tuple[bytes, bytes]]] = {}
        self.arena.check_ledger(since=len(self.arena.twin.rounds))

    def attempt(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> bool:
        try:
            action(*arguments, **options)
        except Refusal:
            return False
        return True

    def found(self, round_id: int) -> Any:
        return self.arena.twin.rounds[round_id]

    @precondition(lambda self: len(self.rounds) < MAX_ROUNDS)
    @rule(
        n=st.integers(2, 9), token=st.booleans(), bond=st.booleans(), scale=st.sampled_from([1, 3])
    )
    def open(self, n: int, token: bool, bond: bool, scale: int) -> None:
        changes = {"asset": self.token} if token else {}
        self.rounds.append(
            self.arena.open(n, bond_wei=BOND_WEI if bond else 0, unit_scale=scale, **changes)
        )

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), units=UNITS)
    def deposit(self, data: Any, units: int) -> None:
        round_id, account = self.draw(data)
        terms = self.found(round_id).terms
        ether = terms.asset.endswith("0" * 40)
        value_wei = min(units * terms.unit_scale, 2**70) if ether else 0
        agreement = self.arena.agreement(round_id)
        self.attempt(
            self.arena.act, account, "deposit", round_id, agreement, units, value_wei=value_wei
        )

    def draw(self, data: Any) -> tuple[int, Any]:
        arena = self.arena
        round_id = data.draw(st.sampled_from(self.rounds))
        inside = st.integers(0, self.found(round_id).terms.n_parties - 1)
        return round_id, arena.parties[data.draw(inside | st.integers(0, 8))]

    def random_transfers(self, data: Any, round_id: int) -> bytes:
        """Mostly plans that could be carried out, sometimes any bytes."""
        deposits = self.found(round_id).claims
        transfers = []
        for debtor, deposit in enumerate(deposits):
            if deposit and data.draw(st.booleans()):
                creditor = data.draw(st.integers(0, len(deposits) - 1))
                amount = data.draw(st.integers(1, deposit) | st.just(deposit + 1))
                transfers.append((debtor, creditor, min(amount, 2**64 - 1)))
        return raw(*transfers)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), name=st.sampled_from(["settle", "settle", "settle_large"]))
    def sign_and_settle(self, data: Any, name: str) -> None:
        round_id, _ = self.draw(data)
        packed = self.random_transfers(data, round_id)
        plan = RawPlan(self.arena.client.reference(round_id), packed)
        if self.attempt(self.arena.endorse, plan) and data.draw(st.booleans()):
            self.attempt(self.arena.act, self.arena.outsider, name, round_id, packed)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data())
    def sign_chunks(self, data: Any) -> None:
        round_id, _ = self.draw(data)
        chunks = [
            self.random_transfers(data, round_id) for _ in range(data.draw(st.integers(1, 3)))
        ]
        reference = self.arena.client.reference(round_id)
        links = linked(reference.key, chunks)
        plan = RawPlan(reference, b"")
        plan.plan_id = links[0]
        if self.attempt(self.arena.endorse, plan):
            self.chunks[round_id] = list(zip(chunks, links[1:], strict=True))

    @precondition(lambda self: self.chunks)
    @rule(data=st.data())
    def send_a_chunk(self, data: Any) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.chunks)))
        chunks = self.chunks[round_id]
        chunk, link = (
            chunks[0] if data.draw(st.integers(0, 3)) else data.draw(st.sampled_from(chunks))
        )
        sent = self.attempt(
            self.arena.act, self.arena.outsider, "settle_chunk", round_id, chunk, link
        )
        if sent and len(chunks) > 1:
            chunks.pop(0)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), honest=st.booleans())
    def commit_and_propose(self, data: Any, honest: bool) -> None:
        round_id, _ = self.draw(data)
        found = self.found(round_id)
        n, deposits = found.terms.n_parties, list(found.claims)
        if found.state is not RoundState.FUNDING or sum(deposits) > 2**50:
            return
        values = table_of([party + 1 for party in range(n)], n)
        if n <= 8:
            posting = post_allocation(deposits, found.terms.exchange_rate, values=values)
        else:
            flows = [[0 if i == j else (i + 1) / 100 for j in range(n)] for i in range(n)]
            posting = post_allocation(
                deposits, found.terms.exchange_rate, flows=flows, grand_value=1
            )
        nets = net_amounts(posting, found.terms.exchange_rate)
        if not honest:
            nets[0], nets[1] = nets[0] + 1, nets[1] - 1
        positions = [NetPosition(party, net) for party, net in enumerate(nets)]
        packed = b"".join(t.encode() for t in net_transfers(positions))
        proposal = packed, posting.encode(), posting.encode_table()
        if not self.attempt(
            self.arena.act, self.arena.operator, "commit_table", round_id, posting.table_hash
        ):
            return
        value_wei = found.terms.bond_wei
        if self.attempt(
            self.arena.act, self.arena.operator, "propose", round_id, *proposal, value_wei=value_wei
        ):
            self.proposals[round_id] = proposal

    @precondition(lambda self: self.proposals)
    @rule(data=st.data(), by_operator=st.booleans())
    def challenge(self, data: Any, by_operator: bool) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.proposals)))
        account = self.arena.operator if by_operator else self.arena.outsider
        proposal = self.proposals[round_id]
        self.attempt(self.arena.act, account, "challenge", round_id, *proposal, value_wei=BOND_WEI)

    @precondition(lambda self: self.proposals)
    @rule(data=st.data())
    def finalise(self, data: Any) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.proposals)))
        packed = self.proposals[round_id][0]
        self.attempt(self.arena.act, self.arena.outsider, "settle", round_id, packed)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), to_outsider=st.booleans())
    def withdraw(self, data: Any, to_outsider: bool) -> None:
        round_id, account = self.draw(data)
        recipient = self.arena.outsider if to_outsider else account
        self.attempt(self.arena.act, account, "withdraw", round_id, recipient.address)

    @precondition(lambda self: self.proposals)
    @rule(data=st.data())
    def reclaim_bond(self, data: Any) -> None:
        round_id = data.draw(st.sampled_from(self.rounds))
        self.attempt(self.arena.act, self.arena.outsider, "reclaim_bond", round_id)

    @rule(by_operator=st.booleans())
    def withdraw_bond(self, by_operator: bool) -> None:
        account = self.arena.operator if by_operator else self.arena.outsider
        self.attempt(self.arena.act, account, "withdraw_bond", account.address)

    @precondition(lambda self: self.rounds)
    @rule(
        data=st.data(), late=st.integers(-2, 2), which=st.sampled_from(["funding", "window", "end"])
    )
    def let_time_pass(self, data: Any, late: int, which: str) -> None:
        found = self.found(data.draw(st.sampled_from(self.rounds)))
        moment = {
            "funding": found.terms.funding_deadline,
            "window": found.window_end,
            "end": found.terms.settlement_deadline,
        }[which]
        if which == "end" and late < 1:
            return  # keep histories from ending all at once
        if moment + late > self.arena.chain.timestamp():
            self.arena.chain.advance_to(moment + late)

    @invariant()
    def balance_is_what_is_owed(self) -> None:
        arena = self.arena
        assert arena.chain.balance(arena.client.address) == arena.twin.balance_wei
        held = arena.twin.tokens[self.token].balance_of(arena.client.address)
        assert arena.token_balance(self.token, arena.client.address) == held
        for asset, owed in arena.twin.held.items():
            assert arena.client._read("held", asset) == owed

    def teardown(self) -> None:
        """Everybody gets out alone, and nothing stays."""
        arena = self.arena
        for round_id in self.rounds:
            arena.expire(round_id)
        for round_id in self.rounds:
            found = self.found(round_id)
            assert sum(found.claims) == arena.client._read("total_units", round_id)
            for party, units in enumerate(found.claims):
                if units:
                    assert arena.withdraw(round_id, party) == units
            if found.state is RoundState.PROPOSED:
                arena.act(arena.outsider, "reclaim_bond", round_id)
        for account in (arena.operator, arena.outsider):
            if arena.twin.bonds.get(account.address):
                arena.act(account, "withdraw_bond", account.address)
        assert arena.chain.balance(arena.client.address) == 0
        assert arena.token_balance(self.token, arena.client.address) == 0


def test_contract_and_twin_agree_on_random_histories():
    arena_and_token()  # py-evm raises the recursion limit when it starts, hypothesis minds
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
