"""Random histories of several rounds, against the twin call by call.

What must hold after every step: the escrow's balance is the sum of all claims; contract and twin
agree on every result and every refusal. And at the end of every history: after the deadlines every
party gets out by itself or is paid out, and nothing is left.

``FAIRROUND_INVARIANTS=256x100`` runs that many histories of that many steps.
"""

from __future__ import annotations

import os
import random
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

from settlement.escrow.events import ETHER, NOBODY, RoundState
from settlement.escrow.twin import Refusal
from settlement.posting.check import net_amounts, prove
from settlement.posting.format import Game
from tests.contracts.arena import Arena, packed_nets, raw
from tests.contracts.test_settle import RawPlan
from tests.contracts.test_settle_chunk import bring, chunked, note, signatures_of
from tests.settlement.posting.games import KINDS, random_game

EXAMPLES, STEPS = map(int, os.environ.get("FAIRROUND_INVARIANTS", "25x40").split("x"))
MAX_ROUNDS = 3
UNITS = st.integers(0, 12) | st.sampled_from([10**6, 2**62, 2**63 - 1, 2**63])
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
        self.games: dict[int, Game] = {}
        self.chunks: dict[int, list[tuple[bytes, bytes]]] = {}
        self.old: dict[int, tuple[Any, list[bytes]]] = {}
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
        n=st.integers(2, 9),
        token=st.booleans(),
        by_proof=st.booleans(),
        quorum=st.sampled_from([0, 0, 1, 20]),
        scale=st.sampled_from([1, 3]),
        seed=st.integers(0, 2**32),
        kind=st.sampled_from(KINDS),
    )
    def open(
        self, n: int, token: bool, by_proof: bool, quorum: int, scale: int, seed: int, kind: str
    ) -> None:
        changes: dict[str, Any] = {"asset": self.token} if token else {}
        game = None
        if by_proof:
            game = random_game(n, random.Random(seed), kind, capped=seed % 3 == 0)
            changes |= {"by_proof": True, "game_hash": game.hash}
        round_id = self.arena.open(n, unit_scale=scale, quorum_units=quorum, **changes)
        self.rounds.append(round_id)
        if game is not None:
            self.games[round_id] = game

    def draw(self, data: Any) -> tuple[int, int, Any]:
        """A round, a seat of it mostly, and mostly whose it is."""
        arena = self.arena
        round_id = data.draw(st.sampled_from(self.rounds))
        inside = st.integers(0, self.found(round_id).terms.n_parties - 1)
        party = data.draw(inside | st.integers(0, 8))
        return (
            round_id,
            party,
            arena.parties[data.draw(st.just(party) | st.just(party) | st.integers(0, 8))],
        )

    def payout(self, data: Any, account: Any) -> str:
        places = [NOBODY, account.address, self.arena.outsider.address]
        return str(data.draw(st.sampled_from(places)))

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), units=UNITS, last=st.booleans())
    def deposit(self, data: Any, units: int, last: bool) -> None:
        round_id, party, account = self.draw(data)
        terms = self.found(round_id).terms
        value_wei = min(units * terms.unit_scale, 2**70) if terms.asset == ETHER else 0
        payout = self.payout(data, account)
        self.attempt(
            self.arena.deposit,
            *(round_id, party, units, payout, last),
            account=account,
            value_wei=value_wei,
        )

    @precondition(lambda self: self.rounds)
    @rule(data=st.data())
    def close(self, data: Any) -> None:
        round_id, party, account = self.draw(data)
        self.attempt(self.arena.close, round_id, party, self.payout(data, account), account=account)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), own=st.booleans())
    def all_fund_and_close(self, data: Any, own: bool) -> None:
        """What a usual round does: some deposits, mostly of a size that binds, and an end."""
        round_id = data.draw(st.sampled_from(self.rounds))
        found = self.found(round_id)
        scale = found.terms.unit_scale if found.terms.asset == ETHER else 0
        amounts = st.sampled_from([0, 0, 7, 10**3, 10**5])
        for party, account in enumerate(self.arena.parties[: found.n_parties]):
            units = data.draw(amounts)
            payout = account.address if own else self.payout(data, account)
            action = (self.arena.deposit, round_id, party, units, payout, True)
            if not units:
                action = (self.arena.close, round_id, party, payout)
            options = {"value_wei": units * scale} if units else {}
            self.attempt(*action, **options)

    def end_funding(self, round_id: int, hurry: bool) -> None:
        """Let the rest of the parties close, so that most plans come when they may."""
        found = self.found(round_id)
        for party in range(found.n_parties if hurry else 0):
            if party not in found.closed:
                self.attempt(self.arena.close, round_id, party)

    @precondition(lambda self: self.games)
    @rule(data=st.data(), lie=st.sampled_from([0, 0, 0, 1, 2, 3]), hurry=st.booleans())
    def settle_by_proof(self, data: Any, lie: int, hurry: bool) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.games)))
        self.end_funding(round_id, hurry)
        found, game = self.found(round_id), self.games[round_id]
        rate = found.terms.exchange_rate
        proof = prove(game, found.claims, rate)
        nets, factors = list(proof.net_amounts), list(proof.factors)
        if lie == 1:
            nets[0], nets[1] = nets[0] + 1, nets[1] - 1
        elif lie == 2:
            factors[0] = data.draw(st.integers(0, 2**72))
        elif lie == 3:
            factors = [data.draw(st.integers(0, factor)) for factor in factors]
            nets = net_amounts(game, factors, rate)
        if max(map(abs, nets)) >= 2**63:
            return
        packed = packed_nets(nets)
        passed = self.attempt(
            self.arena.settle_by_proof, round_id, proof, transfers=packed, factors=factors
        )
        # What settles is always the money of the proof, whatever was handed over.
        if passed:
            assert nets == list(proof.net_amounts)

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
    @rule(data=st.data(), late=st.booleans(), hurry=st.booleans())
    def sign_and_settle(self, data: Any, late: bool, hurry: bool) -> None:
        """All sign a plan; it is brought now, or later, when somebody may have revoked."""
        round_id = data.draw(st.sampled_from(self.rounds))
        self.end_funding(round_id, hurry)
        packed = self.random_transfers(data, round_id)
        plan = RawPlan(self.arena.reference(round_id), packed)
        try:
            plan = self.arena.plan(round_id, *[(t[0], t[1], t[2]) for t in _unpacked(packed)])
        except Exception:  # no plan that Python would make: nobody signs it
            self.attempt(self.arena.settle, plan, signatures=[bytes(65)] * 9, twin=[None] * 9)
            return
        consent = self.arena.consent(plan)
        signatures = self.arena.signatures(consent)
        if late:
            self.old[round_id] = (consent, signatures)
        else:
            self.attempt(self.arena.settle, plan, signatures=signatures)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def bring_what_was_signed_before(self, data: Any) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.old)))
        consent, signatures = self.old[round_id]
        valid = self.arena.consent(consent.plan) == consent
        twin = list(consent.parties) if valid else [None] * len(consent.parties)
        self.attempt(self.arena.settle, consent.plan, signatures=signatures, twin=twin)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        round_id, party, account = self.draw(data)
        self.attempt(self.arena.act, account, "revoke", round_id, party)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), lie=st.sampled_from([0, 0, 0, 1]), hurry=st.booleans())
    def sign_chunks(self, data: Any, lie: int, hurry: bool) -> None:
        round_id = data.draw(st.sampled_from(self.rounds))
        self.end_funding(round_id, hurry)
        n_chunks = data.draw(st.integers(1, 3))
        chunks = [self.random_transfers(data, round_id) for _ in range(n_chunks)]
        plan, links = chunked(self.arena, round_id, chunks)
        if lie:
            plan, _ = chunked(self.arena, round_id, chunks, n_transfers=plan.n_transfers + 1)
        signatures = signatures_of(self.arena, plan)
        addresses = list(self.found(round_id).parties)
        if self.attempt(bring, self.arena, plan, signatures, addresses):
            self.chunks[round_id] = list(zip(chunks, links[1:], strict=True))

    @precondition(lambda self: self.chunks)
    @rule(data=st.data())
    def send_a_chunk(self, data: Any) -> None:
        round_id = data.draw(st.sampled_from(sorted(self.chunks)))
        chunks = self.chunks[round_id]
        chunk, link = (
            chunks[0] if data.draw(st.integers(0, 3)) else data.draw(st.sampled_from(chunks))
        )
        sent = self.attempt(note, self.arena, round_id, chunk, link)
        if sent and len(chunks) > 1:
            chunks.pop(0)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), to_outsider=st.booleans())
    def withdraw(self, data: Any, to_outsider: bool) -> None:
        round_id, party, account = self.draw(data)
        recipient = self.arena.outsider if to_outsider else account
        self.attempt(self.arena.act, account, "withdraw", round_id, party, recipient.address)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), refuses=st.booleans())
    def pay_out(self, data: Any, refuses: bool) -> None:
        round_id = data.draw(st.sampled_from(self.rounds))
        parties = data.draw(st.lists(st.integers(0, 9), max_size=6))
        self.attempt(self.arena.act, self.arena.operator, "pay_out", round_id, parties)

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), late=st.integers(-2, 2), end=st.booleans())
    def let_time_pass(self, data: Any, late: int, end: bool) -> None:
        terms = self.found(data.draw(st.sampled_from(self.rounds))).terms
        if end and late < 1:
            return  # keep histories from ending all at once
        moment = terms.settlement_deadline if end else terms.funding_deadline
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
        """Everybody gets out, and nothing stays."""
        arena = self.arena
        if self.rounds:
            arena.check_ledger(since=self.rounds[0] - 1)
        for round_id in self.rounds:
            if self.found(round_id).state < RoundState.SETTLED:
                arena.expire(round_id)
        for round_id in self.rounds:
            found = self.found(round_id)
            arena.act(arena.outsider, "pay_out", round_id, list(range(found.n_parties)))
            for party, units in enumerate(found.claims):
                if units:
                    assert found.payouts[party] == NOBODY
                    assert arena.withdraw(round_id, party) == units
        assert arena.chain.balance(arena.client.address) == 0
        assert arena.token_balance(self.token, arena.client.address) == 0


def _unpacked(packed: bytes) -> list[tuple[int, int, int]]:
    from settlement.escrow.twin_ledger import unpack

    return unpack(packed)


def test_contract_and_twin_agree_on_random_histories():
    arena_and_token()  # py-evm raises the recursion limit when it starts, hypothesis minds
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,  # the arena is shared, so a history of another day means nothing
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
