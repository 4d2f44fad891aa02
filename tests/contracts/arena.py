"""The contract and its twin side by side: every call goes to both, and both must agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.chain.opening import open_chain
from settlement.chain.records import TransactionReceipt
from settlement.chain.spec import ChainSpec
from settlement.escrow.artifacts import artifact
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import ETHER, EscrowEvent, RoundTerms, event_of
from settlement.escrow.interface import Interface
from settlement.escrow.twin import Call, EscrowTwin, Refusal
from settlement.escrow.typed_data import NO_TABLE, sign_plan
from settlement.money.terms import SettlementPlan, Transfer

TERMS_HASH = bytes.fromhex("11" * 32)
TABLE_HASH = bytes.fromhex("22" * 32)
GAS = 16_000_000
FUNDING_S, SETTLEMENT_S, WINDOW_S = 1_000, 10_000, 100
BOND_WEI = 7 * 10**15
RATE = 10**6


@dataclass(frozen=True)
class TokenTwin:
    """A token as the twin sees it: the one on the chain, asked before and after."""

    balances: dict[str, int]
    escrow: str
    allowances: dict[str, int]

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

    def __init__(self, n_accounts: int = 9) -> None:
        names = ("operator", "outsider", *(f"party/{k}" for k in range(n_accounts)))
        self.chain: Chain = open_chain(None, ChainSpec(accounts=names, genesis_timestamp=10**9))
        self.operator = self.chain.account("operator")
        self.outsider = self.chain.account("outsider")
        self.parties = [self.chain.account(f"party/{k}") for k in range(n_accounts)]
        self.client = EscrowClient.deploy(self.chain, self.operator)
        self.twin = EscrowTwin(self.chain.chain_id, self.client.address)
        self.token_abi = Interface(artifact("mocks/Token").abi)
        self._count = 0

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
        method, options = name, {}
        if name == "settle_large":
            method, options = "settle", {"most": 1024}
        try:
            getattr(self.twin, method)(call, *(arguments if twin is None else twin), **options)
        except Refusal as refusal:
            expected = refusal
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
        """Balances, claims and states agree, and the escrow holds exactly what it owes."""
        assert self.chain.balance(self.client.address) == self.twin.balance_wei
        owed = sum(self.twin.bonds.values())
        for round_id, found in self.twin.rounds.items():
            if round_id > since:
                assert self.client.state(round_id) == found.state
            for party, units in enumerate(found.claims if round_id > since else ()):
                assert self.client.claim(round_id, party) == units, (round_id, party)
            if found.terms.asset == ETHER:
                owed += sum(found.claims) * found.terms.unit_scale
                if found.state == 4:
                    owed += found.terms.bond_wei
        assert owed == self.twin.balance_wei

    # Rounds in common states

    def terms(self, n_parties: int = 3, **changes: Any) -> RoundTerms:
        now = self.chain.timestamp()
        terms = RoundTerms(
            terms_hash=TERMS_HASH,
            asset=ETHER,
            unit_scale=1_000,
            exchange_rate=RATE,
            bond_wei=BOND_WEI,
            funding_deadline=now + FUNDING_S,
            settlement_deadline=now + SETTLEMENT_S,
            challenge_window=WINDOW_S,
            caps_hash=bytes(32),
            n_parties=n_parties,
        )
        return replace(terms, **changes)

    def open(self, n_parties: int = 3, **changes: Any) -> int:
        terms = self.terms(n_parties, **changes)
        parties = [account.address for account in self.parties[:n_parties]]
        self.act(self.operator, "open_round", terms, parties)
        return len(self.twin.rounds)

    def agreement(self, round_id: int) -> bytes:
        """What a deposit must name; nothing for a round that is not there."""
        found = self.twin.rounds.get(round_id)
        return found.terms.agreement(found.operator, tuple(found.seats)) if found else bytes(32)

    def fund(self, round_id: int, units: Sequence[int]) -> None:
        terms, agreement = self.twin.rounds[round_id].terms, self.agreement(round_id)
        for account, amount in zip(self.parties, units, strict=False):
            if amount:
                value_wei = amount * terms.unit_scale if terms.asset == ETHER else 0
                self.act(account, "deposit", round_id, agreement, amount, value_wei=value_wei)

    def funded(self, *units: int, **changes: Any) -> int:
        round_id = self.open(len(units), **changes)
        self.fund(round_id, units)
        return round_id

    def plan(self, round_id: int, *transfers: tuple[int, int, int]) -> SettlementPlan:
        reference = self.client.reference(round_id)
        return SettlementPlan(reference, tuple(Transfer(*transfer) for transfer in transfers))

    def endorse(self, plan: SettlementPlan, table_hash: bytes = NO_TABLE) -> list[EscrowEvent]:
        round_id = plan.round.round_id
        signers = self.parties[: self.twin.rounds[round_id].terms.n_parties]
        signatures = b"".join(sign_plan(plan, signer, table_hash) for signer in signers)
        addresses = [signer.address for signer in signers]
        common = (round_id, table_hash, plan.plan_id)
        return self.act(self.outsider, "endorse", *common, signatures, twin=(*common, addresses))

    def settled(self, *units: int, transfers: Sequence[tuple[int, int, int]]) -> int:
        round_id = self.funded(*units)
        plan = self.plan(round_id, *transfers)
        self.endorse(plan)
        self.act(self.outsider, "settle", round_id, plan.encode())
        return round_id

    def pass_funding(self, round_id: int) -> None:
        self.chain.advance_to(self.twin.rounds[round_id].terms.funding_deadline + 1)

    def expire(self, round_id: int) -> None:
        self.chain.advance_to(self.twin.rounds[round_id].terms.settlement_deadline + 1)

    def withdraw(self, round_id: int, party: int, recipient: str | None = None) -> int:
        account = self.parties[party]
        (event,) = self.act(account, "withdraw", round_id, recipient or account.address)
        return event.units

    # Other contracts

    def deploy(self, name: str, *arguments: int) -> str:
        data = artifact(name).bytecode + b"".join(a.to_bytes(32, "big") for a in arguments)
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


def _plain(argument: Any) -> Any:
    return astuple(argument) if isinstance(argument, RoundTerms) else argument
