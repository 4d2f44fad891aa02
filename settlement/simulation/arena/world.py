"""The escrow and its twin side by side: every call goes to both, and both must agree.

One world lives as long as its process: the contract is deployed once. A round begins from a clean
state, and what it did is undone before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from settlement.chain.quick import CHAIN_ID, CallResult, PlainLog, QuickEvm, has_revm, quick_evm
from settlement.escrow.artifacts import artifact
from settlement.escrow.events import ETHER, Deposited, RoundState, Withdrawn
from settlement.escrow.twin import Call, EscrowTwin, Refusal
from settlement.escrow.typed_data import Consent
from settlement.money.terms import (
    MAX_SHOWN_TRANSFERS,
    RoundReference,
    SettlementPlan,
    Transfer,
)
from settlement.simulation.arena.accounts import Account, simulated
from settlement.simulation.arena.digests import digests_of
from settlement.simulation.arena.token import Token, TokenBooks
from settlement.simulation.arena.troubles import Troubles
from settlement.simulation.arena.words import Calls, Events, packed

__all__ = ["Disagreement", "Notes", "Tier", "World", "tier_name"]

Tier = Literal["auto", "pyrevm", "py-evm", "twin"]

START = 1_800_000_000
WEALTH_WEI = 2**96
"""What everybody has at the beginning of a round; deposits of 40 bits at 10**12 wei a unit fit."""

BASE_GAS, TOKEN_GAS, FLOOR_GAS = 21_000, 4, 10
"""Gas of any transaction, of each token of its data (a byte that is not zero has four), and the
least a token by the rules since Prague."""

SPARE_GAS = 200
"""Gas above that with which nothing of the escrow gets to its end."""

CREATOR = "0x" + "d0" * 20


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A point in which contract and twin differ, or a rule of the money is broken."""

    rule: str  # name of the property that is broken
    message: str


@dataclass(slots=True)
class Notes:
    """What one round leaves besides its state."""

    disagreements: list[Disagreement] = field(default_factory=list)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)  # step, sender, reason
    gas: list[tuple[str, str, int]] = field(default_factory=list)  # step, sender, gas
    steps: list[tuple[int, str, str, str | None]] = field(default_factory=list)
    """Every call: seconds since the beginning, step, sender, and the refusal if there was one."""

    @property
    def n_calls(self) -> int:
        """Calls that reached the contract, those of undone blocks among them."""
        return len(self.steps)


class World:
    """One escrow on one EVM and its twin in plain Python, or the twin alone.

    Parameters
    ----------
    tier : {"auto", "pyrevm", "py-evm", "twin"}
        Which EVM; "twin" has none, and then nothing is compared.
    """

    def __init__(self, tier: Tier = "auto") -> None:
        contract = artifact()
        self._calls = Calls(contract.abi)
        self._events = Events(contract.abi)
        self._evm: QuickEvm | None = None
        self.escrow = "0x" + "e5" * 20
        self._clean: Any = None
        if tier != "twin":
            self._evm = quick_evm(tier, timestamp=START)
            self.escrow = self._evm.deploy(CREATOR, contract.bytecode)
        self.tier = self._evm.name if self._evm else "twin"
        self._funded: set[tuple[str, str]] = set()  # address and asset
        self._token: Token | None = None
        self.reset()

    @property
    def chain_id(self) -> int:
        """Chain id of the EVM; the twin alone has the same."""
        return CHAIN_ID

    # Beginning and end of a round

    def reset(
        self,
        names: Sequence[str] = (),
        troubles: Troubles | None = None,
        asset: Literal["ether", "token"] = "ether",
    ) -> None:
        """A clean state with these people in it, all equally rich; the clock starts anew."""
        self.now = START
        self.troubles = troubles
        self.notes = Notes()
        self.people = [simulated(name) for name in names]
        self.asset = ETHER if asset == "ether" else Token.ADDRESS
        books = TokenBooks(self.escrow, {p.address: WEALTH_WEI for p in self.people})
        self.twin = EscrowTwin(CHAIN_ID, self.escrow, {Token.ADDRESS: books})
        self._paid_wei: dict[str, int] = {}
        self._signed: tuple[Any, list[bytes]] = (None, [])
        if self._evm is None:
            return
        if self._clean is not None:
            self._evm.restore(self._clean)
        for person in self.people:
            if (person.address, self.asset) not in self._funded:
                self._make_rich(self._evm, person)
        self._clean = self._evm.snapshot()

    def _make_rich(self, evm: QuickEvm, person: Account) -> None:
        """In what the round is in; in a token with leave for the escrow to take it."""
        self._funded.add((person.address, self.asset))
        if self.asset == ETHER:
            evm.set_balance(person.address, WEALTH_WEI)
            return
        if self._token is None:
            self._token = Token(evm)
        self._token.make_rich(person.address, self.escrow, WEALTH_WEI)

    def _held_by_twin(self) -> int:
        twin = self.twin
        return twin.balance_wei if self.asset == ETHER else twin.held.get(self.asset, 0)

    def _balance(self, evm: QuickEvm, address: str) -> int:
        """What an address has of the round's asset, in wei."""
        if self._token is None or self.asset == ETHER:
            return evm.balance(address)
        return self._token.balance(address)

    def finish(self, round_id: int) -> None:
        """Compare every balance, and check that no unit was made or lost."""
        twin_wei = self._held_by_twin()
        if twin_wei < 0:
            self.note("no_overdraft", f"the twin's escrow holds {twin_wei} wei")
        total = sum(self._paid_wei.values()) + twin_wei
        if total:
            self.note("conservation", f"{total} wei too many in the twin's world")
        if self._evm is None:
            return
        held = self._balance(self._evm, self.escrow)
        if held != twin_wei:
            self.note("twin_equals_evm", f"the escrow holds {held} wei, the twin {twin_wei}")
        in_all = held
        for person in self.people:
            balance = self._balance(self._evm, person.address)
            in_all += balance - WEALTH_WEI
            expected = WEALTH_WEI + self._paid_wei.get(person.address, 0)
            if balance != expected:
                self.note(
                    "twin_equals_evm",
                    f"{person.name} has {balance - WEALTH_WEI:+} wei, the twin says "
                    f"{expected - WEALTH_WEI:+}",
                )
        if in_all:
            self.note("conservation", f"{in_all} wei too many on the EVM")
        for party, units in enumerate(self.claims(round_id)):
            answer = self._evm.read(self.escrow, self._calls.encode("claim", round_id, party))
            found = int.from_bytes(answer, "big")
            if found != units:
                self.note("twin_equals_evm", f"claim of {party}: {found}, the twin says {units}")

    def note(self, rule: str, message: str) -> None:
        """Keep that a property does not hold."""
        self.notes.disagreements.append(Disagreement(rule, message))

    # Asking

    def claims(self, round_id: int) -> list[int]:
        """Base units that every account has in the escrow."""
        found = self.twin.rounds.get(round_id)
        return list(found.claims) if found is not None else []

    def state(self, round_id: int) -> RoundState:
        """The state of a round; NONE if it was never opened."""
        found = self.twin.rounds.get(round_id)
        return RoundState.NONE if found is None else found.state

    def digests(self, round_id: int, transfers: Sequence[Transfer]) -> list[bytes]:
        """What every party has to sign for a plan, in party order; the same for all if it is small.

        Made once for all signers and again only if a deposit or a revocation came between. The
        twin alone checks no signature, so there any name of the plan and its moment does.
        """
        found = self.twin.rounds[round_id]
        moment = (round_id, tuple(transfers), found.revocations, found.deposits_hash)
        if self._signed[0] != moment:
            if self._evm is None:
                name = str(moment).encode()
                self._signed = (moment, [name] * found.n_parties)
            else:
                self._signed = (moment, digests_of(self._consent(round_id, transfers)))
        return self._signed[1]

    def sign(self, signers: Sequence[Account], digests: Sequence[bytes]) -> list[bytes]:
        """Everybody's signature; nothing where nobody will look at it."""
        if self._evm is None:
            return [b""] * len(signers)
        return [signer.sign(digest) for signer, digest in zip(signers, digests, strict=True)]

    def _consent(self, round_id: int, transfers: Sequence[Transfer]) -> Consent:
        found = self.twin.rounds[round_id]
        reference = RoundReference(
            self.chain_id, self.escrow, round_id, found.link, found.n_parties
        )
        return Consent(
            plan=SettlementPlan(reference, tuple(transfers)),
            game_hash=found.terms.game_hash,
            deposits_hash=found.deposits_hash,
            deadline=found.terms.settlement_deadline,
            revocations=found.revocations,
            asset=found.terms.asset,
            unit_scale=found.terms.unit_scale,
            parties=tuple(found.parties),
        )

    # The clock

    def pass_time_until(self, timestamp: int) -> None:
        """Nothing happens until then."""
        self.now = max(self.now, timestamp - 1)

    def pass_time_until_funded(self, round_id: int) -> None:
        """Until deposits are over: now if all have closed, else at the deadline."""
        found = self.twin.rounds.get(round_id)
        if found is not None and not found.funding_has_ended(self.now):
            self.pass_time_until(found.terms.funding_deadline + 1)

    # Sending

    def send(
        self,
        step: str,
        sender: Account,
        name: str,
        *arguments: Any,
        value_wei: int = 0,
        twin: Sequence[Any] | None = None,
        at: int | None = None,
    ) -> str | None:
        """One transaction to both; the sentence of the refusal, or None.

        Parameters
        ----------
        twin : sequence, optional
            Arguments for the twin, where they are not the contract's.
        at : int, optional
            When it arrives, if that is not as soon as it can.
        """
        troubles = self.troubles
        self.now = max(at or 0, self.now + (troubles.waits_s() if troubles else 1))
        data = self._calls.encode(name, *arguments) if self._evm is not None else b""
        if troubles and troubles.send_reverts():
            self._run_out_of_gas(sender, data, value_wei)
        for_twin = arguments if twin is None else twin

        def attempt() -> str | None:
            return self._attempt(step, sender, name, for_twin, data, value_wei)

        if troubles and troubles.is_reorganised():
            before = self._remember()
            attempt()
            self._forget(before)
            self.now += 1
        reason = attempt()
        if troubles and troubles.reply_is_lost() and name != "deposit":
            # A deposit that is sent again is the same transaction, which counts once.
            self.now += 1
            attempt()
        return reason

    def settle_signed(
        self,
        sender: Account,
        round_id: int,
        transfers: Sequence[Transfer],
        signatures: Sequence[bytes],
        signers: Sequence[Account],
        digests: Sequence[bytes],
        at: int | None = None,
    ) -> str | None:
        """Bring a plan with signatures, made by these signers over these digests.

        To the twin a signature of anything but what must be signed now is nobody's.
        """
        whole = max(len(signers), len(transfers))
        name = "settle" if whole <= MAX_SHOWN_TRANSFERS else "settle_large"
        expected = self.digests(round_id, transfers)
        recovered = [
            who.address if signed == wanted else None
            for who, signed, wanted in zip(signers, digests, expected, strict=True)
        ]
        plan = packed(transfers)
        return self.send(
            "settle",
            sender,
            name,
            round_id,
            plan,
            b"".join(signatures),
            twin=(round_id, plan, recovered),
            at=at,
        )

    def _attempt(
        self,
        step: str,
        sender: Account,
        name: str,
        arguments: Sequence[Any],
        data: bytes,
        value_wei: int,
    ) -> str | None:
        twin = self.twin
        n_events, before_wei = len(twin.events), self._held_by_twin()
        call = Call(sender.address, self.now, value_wei)
        expected: str | None = None
        try:
            getattr(twin, name)(call, *arguments)
        except Refusal as refusal:
            expected = refusal.reason
        self.notes.steps.append((self.now - START, step, sender.name, expected))
        events = twin.events[n_events:]
        self._keep_books(sender, events, self._held_by_twin() - before_wei, expected)
        if self._evm is not None:
            self._evm.set_time(self.now)
            answer = self._evm.call(sender.address, self.escrow, data, value_wei)
            self._compare(step, expected, events, answer)
            if answer.gas_used is not None:
                self.notes.gas.append((step, sender.name, answer.gas_used))
        if expected is not None:
            self.notes.refusals.append((step, sender.name, expected))
        return expected

    def _keep_books(
        self, sender: Account, events: Sequence[Any], moved_wei: int, reason: str | None
    ) -> None:
        """What everybody must have outside of the escrow, by the twin's events."""
        if reason is not None:
            if moved_wei or events:
                self.note("conservation", f"a refused call moved {moved_wei} wei in the twin")
            return
        paid = self._paid_wei
        for event in events:
            if isinstance(event, Deposited | Withdrawn):
                wei = event.units * self.twin.rounds[event.round_id].terms.unit_scale
                if isinstance(event, Withdrawn):
                    paid[event.recipient] = paid.get(event.recipient, 0) + wei
                else:
                    paid[sender.address] = paid.get(sender.address, 0) - wei

    def _compare(
        self, step: str, expected: str | None, events: Sequence[Any], answer: CallResult
    ) -> None:
        if answer.reason != expected:
            self.note(
                "twin_equals_evm",
                f"{step}: the contract says {answer.reason or 'yes'}, the twin {expected or 'yes'}",
            )
            return
        logs = tuple(self._events.log(self.escrow, event) for event in events)
        if logs != answer.logs:
            self.note(
                "twin_equals_evm",
                f"{step}: the contract logs {_in_words(answer.logs)}, the twin "
                f"{_in_words(logs)} ({', '.join(map(str, events))})",
            )

    def _run_out_of_gas(self, sender: Account, data: bytes, value_wei: int) -> None:
        """A try with hardly more gas than its data cost."""
        if self._evm is None:
            return
        self._evm.set_time(self.now)
        zeros = data.count(0)
        # py-evm's rules ask for a floor under the gas of long calls; with less it would not start.
        per_token = FLOOR_GAS if self._evm.name == "py-evm" else TOKEN_GAS
        gas = BASE_GAS + per_token * (4 * len(data) - 3 * zeros) + SPARE_GAS
        before = self._evm.balance(self.escrow), self._evm.balance(sender.address)
        answer = self._evm.call(sender.address, self.escrow, data, value_wei, gas=gas)
        after = self._evm.balance(self.escrow), self._evm.balance(sender.address)
        if before != after or (answer.succeeded and answer.logs):
            self.note("conservation", f"a call without gas moved {after[0] - before[0]} wei")

    def _remember(self) -> Callable[[], None]:
        """How to undo what comes next, in both."""
        twin, paid = deepcopy(self.twin), dict(self._paid_wei)
        kept = len(self.notes.refusals), len(self.notes.gas)
        evm = self._evm
        mark = evm.snapshot() if evm is not None else None

        def undo() -> None:
            self.twin, self._paid_wei = twin, paid
            del self.notes.refusals[kept[0] :]
            del self.notes.gas[kept[1] :]
            if evm is not None:
                evm.restore(mark)

        return undo

    @staticmethod
    def _forget(undo: Callable[[], None]) -> None:
        undo()


def tier_name(tier: Tier) -> str:
    """The EVM behind a tier on this machine."""
    return ("pyrevm" if has_revm() else "py-evm") if tier == "auto" else tier


def _in_words(logs: Sequence[PlainLog]) -> str:
    return f"{len(logs)} events" if logs else "nothing"
