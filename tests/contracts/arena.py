"""The contract and its twin side by side: every call goes to both, and both must agree.

Where pyrevm is installed the contract runs on it. ``FAIRROUND_EVM=py-evm`` puts every arena on the
simulated chain, as tests of gas and of EIP-7702 do by themselves (``Arena(exact=True)``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.chain.opening import open_chain
from settlement.chain.quick import has_revm
from settlement.chain.records import TransactionReceipt
from settlement.chain.spec import ChainSpec
from settlement.escrow.artifacts import artifact
from settlement.escrow.client import EscrowClient
from settlement.escrow.deployment import genesis_codes
from settlement.escrow.events import ETHER, NOBODY, EscrowEvent, RoundTerms, event_of
from settlement.escrow.interface import Interface
from settlement.escrow.signing import pack_signatures
from settlement.escrow.twin import Call, EscrowTwin, Refusal
from settlement.escrow.typed_data import Consent, sign_plan
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, RoundReference, SettlementPlan, Transfer
from settlement.posting.check import Proof, prove
from settlement.posting.format import Game, game_of_values
from tests.contracts.quick_chain import QuickChain

TERMS_HASH = bytes.fromhex("11" * 32)
GAME_HASH = bytes.fromhex("22" * 32)
GAS = 16_000_000
FUNDING_S, SETTLEMENT_S = 1_000, 10_000
RATE = 10**6
THREE_PARTIES = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]


@dataclass(frozen=True)
class TokenTwin:
    """A token as the twin sees it: the one on the chain, asked before and after."""

    balances: dict[str, int]
    escrow: str
    allowances: dict[str, int]

    def state(self) -> tuple[dict[str, int], dict[str, int]]:
        return dict(self.balances), dict(self.allowances)

    def restore(self, state: tuple[dict[str, int], dict[str, int]]) -> None:
        for figures, earlier in zip((self.balances, self.allowances), state, strict=True):
            figures.clear()
            figures.update(earlier)

    def balance_of(self, owner: str) -> int:
        return self.balances.get(owner, 0)

    def transfer_from(self, sender: str, amount_wei: int) -> bool:
        if min(self.allowances.get(sender, 0), self.balance_of(sender)) < amount_wei:
            return False
        self.allowances[sender] -= amount_wei
        return self._move(sender, self.escrow, amount_wei)

    def transfer(self, recipient: str, amount_wei: int) -> bool:
        if self.balance_of(self.escrow) < amount_wei:
            return False
        return self._move(self.escrow, recipient, amount_wei)

    def _move(self, sender: str, recipient: str, amount_wei: int) -> bool:
        self.balances[sender] = self.balance_of(sender) - amount_wei
        self.balances[recipient] = self.balance_of(recipient) + amount_wei
        return True


class Arena:
    """One escrow, its twin, and accounts by role; parties are ``party/0`` and so on."""

    def __init__(self, n_accounts: int = 9, *, exact: bool = False) -> None:
        names = ("operator", "outsider", *(f"party/{k}" for k in range(n_accounts)))
        self.chain = _chain(names, exact=exact)
        self.operator = self.chain.account("operator")
        self.outsider = self.chain.account("outsider")
        self.parties = [self.chain.account(f"party/{k}") for k in range(n_accounts)]
        self.client = EscrowClient.at_home(self.chain)
        self.twin = EscrowTwin(self.chain.chain_id, self.client.address)
        self.token_abi = Interface(artifact("mocks/Token").abi)
        self._count = 0
        self._salt = 0

    # Calls to both

    def send(self, account: Any, to: str | None, data: bytes, value_wei: int = 0) -> Any:
        """One labelled transaction; a revert raises and sends nothing."""
        self._count += 1
        return self.chain.send(
            f"call/{self._count}", account, to, data, value_wei=value_wei, gas=GAS
        )

    def act(
        self, account: Any, name: str, *arguments: Any, value_wei: int = 0, twin: Any = None
    ) -> list[EscrowEvent]:
        """Call a function of contract and twin; return its events, or raise its refusal.

        ``twin`` replaces the arguments for the twin where they differ, as a tuple.
        """
        call = Call(account.address, self.chain.timestamp(), value_wei)
        n_events = len(self.twin.events)
        expected: Refusal | None = None
        before = [(token, token.state()) for token in self.twin.tokens.values()]
        try:
            getattr(self.twin, name)(call, *(arguments if twin is None else twin))
        except Refusal as refusal:
            expected = refusal
            for token, state in before:  # a revert undoes what tokens have done
                token.restore(state)
        data = self.client.interface.encode(name, *(_plain(a) for a in arguments))
        reason, receipt = self._send_or_reason(account, data, value_wei)
        if reason is not None:
            assert expected is not None, f"{name}: contract {reason!r}, twin accepts"
            assert reason == expected.reason, name
            assert len(self.twin.events) == n_events
            raise expected
        assert expected is None, f"{name}: twin {expected}, contract accepts"
        events = self.events_of(receipt)
        assert events == self.twin.events[n_events:], name
        self.last_receipt: TransactionReceipt = receipt
        return events

    def _send_or_reason(
        self, account: Any, data: bytes, value_wei: int
    ) -> tuple[str | None, TransactionReceipt | None]:
        try:
            return None, self.send(account, self.client.address, data, value_wei)
        except Reverted as reverted:
            return reverted.reason, None

    def events_of(self, receipt: TransactionReceipt) -> list[EscrowEvent]:
        decoded = (self.client.interface.decode_log(log) for log in receipt.logs)
        return [event_of(*found) for found in decoded if found]

    def check_ledger(self, since: int = 0) -> None:
        """Balances, claims, states and seats agree; the escrow holds exactly what it owes."""
        client = self.client
        assert self.chain.balance(client.address) == self.twin.balance_wei
        owed = 0
        for round_id, found in self.twin.rounds.items():
            if round_id > since:
                assert client.state(round_id) == found.state
                figures = client.figures(round_id)
                assert figures.n_closed == len(found.closed)
                assert figures.total_units == found.total_units == sum(found.claims)
                assert figures.revocations == found.revocations
                assert client._read("deposits_hash", round_id) == found.deposits_hash
                assert client.agreement(round_id) == found.link
                for party, units in enumerate(found.claims):
                    assert client.claim(round_id, party) == units, (round_id, party)
                    seat = client.seat(round_id, party)
                    assert seat.address == found.parties[party]
                    assert seat.closed == (party in found.closed)
                    assert (seat.payout or NOBODY) == found.payouts[party]
            if found.terms.asset == ETHER:
                owed += sum(found.claims) * found.terms.unit_scale
        assert owed == self.twin.balance_wei

    # Rounds in common states

    def terms(self, n_parties: int = 3, **changes: Any) -> RoundTerms:
        now = self.chain.timestamp()
        self._salt += 1  # one agreement is one round
        terms = RoundTerms(
            terms_hash=TERMS_HASH[:24] + self._salt.to_bytes(8, "big"),
            game_hash=GAME_HASH,
            asset=ETHER,
            unit_scale=1_000,
            exchange_rate=RATE,
            funding_deadline=now + FUNDING_S,
            settlement_deadline=now + SETTLEMENT_S,
            n_parties=n_parties,
            by_proof=False,
        )
        return replace(terms, **changes)

    def open(self, n_parties: int = 3, seats: Sequence[str] | None = None, **changes: Any) -> int:
        terms = self.terms(n_parties, **changes)
        parties = seats or [account.address for account in self.parties[:n_parties]]
        self.act(self.operator, "open_round", terms, list(parties))
        return len(self.twin.rounds)

    def agreement(self, round_id: int) -> bytes:
        """What a deposit must name; nothing for a round that is not there."""
        found = self.twin.rounds.get(round_id)
        return found.link if found else bytes(32)

    def deposit(
        self,
        round_id: int,
        party: int,
        units: int,
        payout: str = NOBODY,
        last: bool = False,
        *,
        account: Any = None,
        value_wei: int | None = None,
        agreement: bytes | None = None,
    ) -> list[EscrowEvent]:
        """Let a party deposit, with the right ether unless told otherwise."""
        found = self.twin.rounds.get(round_id)
        if value_wei is None:
            ether = found is not None and found.terms.asset == ETHER
            value_wei = units * found.terms.unit_scale if ether else 0
        named = self.agreement(round_id) if agreement is None else agreement
        return self.act(
            account or self.parties[party],
            "deposit",
            *(round_id, party, named, units, payout, last),
            value_wei=value_wei,
        )

    def close(self, round_id: int, party: int, payout: str = NOBODY, *, account: Any = None) -> Any:
        named = self.agreement(round_id)
        return self.act(account or self.parties[party], "close", round_id, party, named, payout)

    def fund(self, round_id: int, units: Sequence[int], payouts: bool = False) -> None:
        """Everybody deposits and closes: funding has ended."""
        for party, amount in enumerate(units):
            payout = self.parties[party].address if payouts else NOBODY
            if amount:
                self.deposit(round_id, party, amount, payout, True)
            else:
                self.close(round_id, party, payout)

    def funded(self, *units: int, payouts: bool = False, **changes: Any) -> int:
        round_id = self.open(len(units), **changes)
        self.fund(round_id, units, payouts)
        return round_id

    def reference(self, round_id: int) -> RoundReference:
        found = self.twin.rounds[round_id]
        return RoundReference(
            self.chain.chain_id, self.client.address, round_id, found.link, found.n_parties
        )

    def plan(self, round_id: int, *transfers: tuple[int, int, int]) -> SettlementPlan:
        chosen = tuple(Transfer(*transfer) for transfer in transfers)
        return SettlementPlan(self.reference(round_id), chosen)

    # By signatures

    def consent(self, plan: Any) -> Consent:
        """What the twin knows is what must be signed."""
        found = self.twin.rounds[plan.round.round_id]
        return Consent(
            plan=plan,
            game_hash=found.terms.game_hash,
            deposits_hash=found.deposits_hash,
            deadline=found.terms.settlement_deadline,
            revocations=found.revocations,
            asset=found.terms.asset,
            unit_scale=found.terms.unit_scale,
            parties=tuple(found.parties),
        )

    def signatures(self, consent: Consent, signers: Sequence[Any] | None = None) -> list[bytes]:
        chosen = self.parties[: len(consent.parties)] if signers is None else signers
        return [sign_plan(consent, party, account) for party, account in enumerate(chosen)]

    def settle(
        self,
        plan: Any,
        *,
        name: str = "settle",
        signatures: Sequence[bytes] | None = None,
        twin: Sequence[Any] | None = None,
        by: Any = None,
    ) -> list[EscrowEvent]:
        """Settle with everybody's signatures, or with those; ``twin``: whose they are."""
        round_id = plan.round.round_id
        if signatures is None:
            signatures = self.signatures(self.consent(plan))
        if twin is None:
            twin = self.twin.rounds[round_id].parties
        packed = plan.encode()
        return self.act(
            by or self.outsider,
            name,
            *(round_id, packed, pack_signatures(signatures)),
            twin=(round_id, packed, list(twin)),
        )

    def endorse(
        self,
        consent: Consent,
        signatures: Sequence[bytes] | None = None,
        twin: Sequence[Any] | None = None,
    ) -> list[EscrowEvent]:
        """Bring signatures of a plan in chunks."""
        if signatures is None:
            signatures = self.signatures(consent)
        if twin is None:
            twin = consent.parties
        plan = consent.plan
        common = (plan.round.round_id, plan.plan_id, len(plan.transfers), consent.total_units)
        return self.act(
            self.outsider,
            "endorse",
            *(*common, len(signatures), pack_signatures(signatures)),
            twin=(*common, list(twin)),
        )

    def settled(
        self, *units: int, transfers: Sequence[tuple[int, int, int]], **changes: Any
    ) -> int:
        round_id = self.funded(*units, **changes)
        self.settle(self.plan(round_id, *transfers))
        return round_id

    # By proof

    def provable(
        self, game: Game, units: Sequence[int], *, rate: int = RATE, **changes: Any
    ) -> tuple[int, Proof]:
        """A funded round of a game, and the proof of what it comes to."""
        changes = {"game_hash": game.hash, "exchange_rate": rate, "by_proof": True, **changes}
        round_id = self.funded(*units, **changes)
        return round_id, prove(game, units, rate)

    def three_parties(self, *units: int, **changes: Any) -> tuple[int, Proof]:
        """The running example; deposits of (200000, 0, 0) by default."""
        return self.provable(game_of_values(THREE_PARTIES), units or (200_000, 0, 0), **changes)

    def settle_by_proof(
        self,
        round_id: int,
        proof: Proof,
        *,
        transfers: bytes | None = None,
        factors: Sequence[int] | None = None,
        game: bytes | None = None,
        by: Any = None,
    ) -> list[EscrowEvent]:
        """Settle with a proof, any part of it replaced."""
        packed = packed_nets(proof.net_amounts) if transfers is None else transfers
        chosen = list(proof.factors if factors is None else factors)
        figures = proof.game.encode() if game is None else game
        account = by or self.outsider
        return self.act(account, "settle_by_proof", round_id, packed, chosen, figures)

    # Time and ways out

    def pass_funding(self, round_id: int) -> None:
        self.chain.advance_to(self.twin.rounds[round_id].terms.funding_deadline + 1)

    def expire(self, round_id: int) -> None:
        self.chain.advance_to(self.twin.rounds[round_id].terms.settlement_deadline + 1)

    def withdraw(self, round_id: int, party: int, recipient: str | None = None) -> int:
        account = self.parties[party]
        to = recipient or account.address
        (event,) = self.act(account, "withdraw", round_id, party, to)
        return event.units

    def claims(self, round_id: int) -> list[int]:
        n_parties = self.twin.rounds[round_id].n_parties
        return [self.client.claim(round_id, party) for party in range(n_parties)]

    # Other contracts

    def deploy(self, name: str, *arguments: int | str) -> str:
        words = (int(a, 16) if isinstance(a, str) else a for a in arguments)
        data = artifact(name).bytecode + b"".join(word.to_bytes(32, "big") for word in words)
        return self.send(self.outsider, None, data).contract_address

    def token(self, name: str = "mocks/Token", habit: int = 0, wei: int = 10**12) -> str:
        """A token of which every party has the same amount and lets the escrow take it."""
        address = self.deploy(name, habit)
        for account in self.parties:
            self.send(self.outsider, address, self.token_abi.encode("mint", account.address, wei))
            approve = self.token_abi.encode("approve", self.client.address, 2**255)
            self.send(account, address, approve)
        self.twin.tokens[address] = TokenTwin(
            {account.address: wei for account in self.parties},
            self.client.address,
            {account.address: 2**255 for account in self.parties},
        )
        return address

    def token_balance(self, token: str, owner: str) -> int:
        answer = self.chain.call(token, self.token_abi.encode("balanceOf", owner))
        return int(self.token_abi.decode("balanceOf", answer))


def _chain(names: tuple[str, ...], *, exact: bool) -> Chain:
    exact = exact or not has_revm() or os.environ.get("FAIRROUND_EVM") == "py-evm"
    if not exact:
        return QuickChain(names, genesis_codes(), 10**9)
    spec = ChainSpec(accounts=names, genesis_timestamp=10**9, codes=genesis_codes())
    return open_chain(None, spec)


def raw(*transfers: tuple[int, int, int]) -> bytes:
    """Packed transfers that `Transfer` itself might refuse to make."""
    return b"".join(
        debtor.to_bytes(2, "big") + creditor.to_bytes(2, "big") + amount.to_bytes(8, "big")
        for debtor, creditor, amount in transfers
    )


def packed_nets(nets: Sequence[int]) -> bytes:
    """Packed transfers that bring about net positions."""
    positions = [NetPosition(party, net) for party, net in enumerate(nets)]
    return b"".join(transfer.encode() for transfer in net_transfers(positions))


def _plain(argument: Any) -> Any:
    return astuple(argument) if isinstance(argument, RoundTerms) else argument
