"""One round, step by step: who enters, what is sent, what everybody has afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from settlement.config.reading import OPERATOR
from settlement.escrow.events import ETHER, RoundState
from settlement.simulation.arena.accounts import Account, simulated
from settlement.simulation.arena.troubles import Troubles
from settlement.simulation.arena.words import packed
from settlement.simulation.arena.world import START, World
from settlement.simulation.behaviours.behaviour import (
    Draft,
    Entry,
    Figures,
    OperatorBehaviour,
    OutsiderBehaviour,
    PartyBehaviour,
    Proposal,
    Seat,
)
from settlement.simulation.games.pieces import PieceGame
from settlement.simulation.play.plans import PlayedGame
from settlement.simulation.play.rewards import Cleared, Prospects, clear
from settlement.simulation.tables.scenario import RoundRules

__all__ = ["Cast", "Member", "PartyResult", "RoundResult", "Seated", "people_of", "play"]


@dataclass(frozen=True, slots=True)
class Member:
    """A party as it enters one round."""

    name: str
    kind: str  # the name of its table
    behaviour: PartyBehaviour
    pieces: int
    private_rate: float
    wallet_units: int
    last: tuple[Entry, ...]  # how it entered the last round
    cap: float | None = None  # wants no model above this value


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody in one round, and the rules that they play by."""

    members: tuple[Member, ...]
    operator: OperatorBehaviour
    outsiders: tuple[OutsiderBehaviour, ...]
    game: PieceGame
    rules: RoundRules
    gas_price_wei: int | None  # None: gas does not count

    def with_behaviour(self, party: int, behaviour: PartyBehaviour) -> Cast:
        """The same with one member that behaves otherwise."""
        members = list(self.members)
        members[party] = replace(members[party], behaviour=behaviour)
        return replace(self, members=tuple(members))


@dataclass(frozen=True, slots=True)
class Seated:
    """One account of a round and whose it is."""

    party: int
    entry: Entry
    account: Account


@dataclass(frozen=True, slots=True)
class PartyResult:
    """What a round left a party with."""

    entries: tuple[Entry, ...]
    deposit_units: int
    own_value: float
    model_value: float
    payoff_units: int
    gas_units: float
    utility: float
    utility_alone: float


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round left."""

    seats: tuple[Seated, ...]
    figures: Figures  # the game that the terms name
    game_is_true: bool
    settled: bool
    settled_by: str | None
    deposits_units: tuple[int, ...]
    nets_units: tuple[int, ...]
    withdrawn_units: tuple[int, ...]
    left_units: tuple[int, ...]
    transfers: tuple[Any, ...]
    cleared: Cleared
    parties: tuple[PartyResult, ...]


def play(
    world: World,
    cast: Cast,
    rng: np.random.Generator,
    troubles: Troubles | None = None,
    period: int = 0,
) -> RoundResult:
    """Carry one round out; what went wrong on the way stands in the world's notes."""
    round_ = _Round(world, cast, rng, period)
    round_.enter()
    world.reset(people_of(cast, len(round_.seats)), troubles, cast.rules.asset)
    round_.open()
    round_.fund()
    round_.settle()
    round_.take_out()
    return round_.result()


def people_of(cast: Cast, n_accounts: int) -> list[str]:
    """Names of everybody who may send something in a round."""
    outsiders = [f"outsider {k}" for k in range(len(cast.outsiders))]
    return [OPERATOR, *outsiders, *(f"account {k}" for k in range(n_accounts))]


class _Round:
    """The steps of a round in order."""

    def __init__(self, world: World, cast: Cast, rng: np.random.Generator, period: int) -> None:
        self.world = world
        self.cast = cast
        self.rng = rng
        self.period = period
        self.rules = cast.rules
        self.operator = simulated(OPERATOR)
        self.settled_by: str | None = None

    # Who enters, and with what

    def enter(self) -> None:
        """Every party chooses its accounts; groups choose together."""
        members = self.cast.members
        expected = [m.last or (Entry(m.pieces, m.wallet_units),) for m in members]
        prospects = Prospects(
            self.cast.game, expected, self.rules.exchange_rate, [m.cap for m in members]
        )
        self.choices: list[tuple[Entry, ...]] = [()] * len(members)
        teams: dict[str, list[int]] = {}
        for party, member in enumerate(members):
            team = member.behaviour.team
            teams.setdefault(f"party {party}" if team is None else f"team {team}", []).append(party)
        for parties in teams.values():
            seats = [self._seat(party, prospects) for party in parties]
            together = members[parties[0]].behaviour.enter_together(seats)
            for party, entries in zip(parties, together, strict=True):
                self.choices[party] = entries
        self.teams = [parties for parties in teams.values() if len(parties) > 1]
        self.seats = [
            Seated(party, entry, simulated(f"account {k}"))
            for k, (party, entry) in enumerate(
                (party, entry) for party, entries in enumerate(self.choices) for entry in entries
            )
        ]

        self.accounts_of: list[list[int]] = [[] for _ in members]
        for k, seat in enumerate(self.seats):
            self.accounts_of[seat.party].append(k)
        self.caps = [members[seat.party].cap for seat in self.seats]

    def _seat(self, party: int, prospects: Prospects) -> Seat:
        member = self.cast.members[party]
        return Seat(
            party=party,
            period=self.period,
            pieces=member.pieces,
            wallet_units=member.wallet_units,
            private_rate=member.private_rate,
            exchange_rate=self.rules.exchange_rate,
            rng=self.rng,
            last=member.last,
            prospect=lambda entries: prospects.utility(
                party, entries, member.pieces, member.private_rate
            ),
            grand_cost=lambda: prospects.grand_cost(party),
        )

    # Opening and funding

    def open(self) -> None:
        """The operator writes a game into the terms, true or not, and opens the round."""
        true = self.cast.game.figures([seat.entry.pieces for seat in self.seats])
        self.figures = self.cast.operator.game(true, self.rng)
        self.game_is_true = self.figures is true
        self.agreed = PlayedGame.of(
            self.figures, self.rules, START, asset=self.world.asset, caps=self.caps
        )
        addresses = [seat.account.address for seat in self.seats]
        self.world.send("open", self.operator, "open_round", self.agreed.terms, addresses)
        self.round_id = 1
        self.agreement = self.agreed.terms.agreement(
            self.world.chain_id, self.world.escrow, self.operator.address, addresses
        )

    def fund(self) -> None:
        """Everybody locks what it chooses to lock; the late ones come last."""
        terms = self.agreed.terms
        troubles = self.world.troubles
        late: list[tuple[int, int]] = []
        for k in range(len(self.seats)):
            by_s = troubles.misses_deadline_by_s() if troubles else None
            if by_s is None:
                self._fund(k, None)
            else:
                late.append((k, by_s))
        for k, by_s in sorted(late, key=lambda pair: pair[1]):
            self._fund(k, terms.funding_deadline + by_s)
        self.deposits_units = tuple(self.world.claims(self.round_id))
        self.cleared = clear(self.figures, self.deposits_units, self.rules.exchange_rate, self.caps)

    def _fund(self, k: int, at: int | None) -> None:
        seat = self.seats[k]
        behaviour = self.cast.members[seat.party].behaviour
        units = behaviour.funds(seat.entry, self.game_is_true)
        common = (self.round_id, k, self.agreement)
        payout = seat.account.address
        if units:
            self.world.send(
                "deposit",
                seat.account,
                "deposit",
                *common,
                units,
                payout,
                True,
                value_wei=0 if self.world.asset != ETHER else units * self.rules.unit_scale,
                at=at,
            )
        elif behaviour.closes(self.game_is_true):
            self.world.send("close", seat.account, "close", *common, payout, at=at)

    # Settling

    def settle(self) -> None:
        """Whoever is first brings a settlement; the rules decide whether it counts."""
        self.world.pass_time_until_funded(self.round_id)
        self.true_draft = self.agreed.draft(self.deposits_units, self.cleared)
        for k, outsider in enumerate(self.cast.outsiders):
            if outsider.settles_first():
                self._bring(f"outsider {k}", simulated(f"outsider {k}"), self.true_draft)
        draft = self.cast.operator.draft(self.true_draft, self.rng)
        if draft is not None:
            self._bring(OPERATOR, self.operator, draft)
        if self.misses_quorum:
            return  # an honest party knows that nothing can be settled
        for seat in self.seats:
            member = self.cast.members[seat.party]
            if self.settled_by is None and member.behaviour.settles(self.game_is_true):
                # One honest try is as good as another: the first that acts is enough.
                self._bring(member.name, seat.account, self.true_draft)
                break

    def _bring(self, name: str, sender: Account, draft: Draft) -> None:
        troubles = self.world.troubles
        by_s = troubles.misses_deadline_by_s() if troubles else None
        at = None if by_s is None else self.agreed.terms.settlement_deadline + by_s
        was_settled = self.is_settled
        if self.rules.settlement == "proof":
            assert draft.game is not None
            arguments = (packed(draft.transfers), draft.factors, draft.game.encode())
            self.world.send("settle", sender, "settle_by_proof", self.round_id, *arguments, at=at)
        else:
            self._bring_signed(sender, draft, at)
        if self.is_settled and not was_settled:
            self.settled_by = name
            self.settled_draft = draft

    @property
    def misses_quorum(self) -> bool:
        """Whether too little was locked, so that everything goes back at once."""
        return sum(self.deposits_units) < self.rules.quorum_units

    @property
    def is_settled(self) -> bool:
        """Whether a settlement took effect."""
        return self.world.state(self.round_id) >= RoundState.SETTLED

    def _bring_signed(self, sender: Account, draft: Draft, at: int | None) -> None:
        signers = self._signers(draft)
        if not all(signers) and draft is self.true_draft:
            return  # an honest sender does not send what is not signed
        digests = self.world.digests(self.round_id, draft.transfers)
        # A liar puts its own signature where one is missing.
        by = [
            seat.account if signs else sender
            for seat, signs in zip(self.seats, signers, strict=True)
        ]
        signatures = self.world.sign(by, digests)
        for k, seat in enumerate(self.seats):
            if signers[k] and self.cast.members[seat.party].behaviour.revokes():
                self.world.send("revoke", seat.account, "revoke", self.round_id, k)
        self.world.settle_signed(
            sender, self.round_id, draft.transfers, signatures, by, digests, at
        )

    def _signers(self, draft: Draft) -> list[bool]:
        """Which accounts sign; those of a group wait for everybody else."""
        is_right = self.game_is_true and draft.transfers == self.true_draft.transfers
        gains = self._gains(draft)
        team_of = {party: team for team in self.teams for party in team}
        signs: dict[int, bool] = {}
        n_signed = 0
        order = sorted(range(len(self.cast.members)), key=lambda party: party in team_of)
        for party in order:
            team = team_of.get(party, [party])
            n_of_others = n_signed - sum(signs.get(mate, False) for mate in team)
            proposal = Proposal(
                is_right=is_right,
                gain=gains[party],
                group_gain=sum(gains[p] for p in team),
                is_last=n_of_others == len(self.cast.members) - len(team),
            )
            behaviour = self.cast.members[party].behaviour
            signs[party] = behaviour.stays() and behaviour.signs(proposal)
            n_signed += signs[party]
        return [signs[seat.party] for seat in self.seats]

    def _gains(self, draft: Draft) -> list[float]:
        """What the settlement adds to the utility of each party, in base units."""
        nets = [0] * len(self.seats)
        for transfer in draft.transfers:
            if max(transfer.debtor, transfer.creditor) < len(nets):
                nets[transfer.debtor] -= transfer.amount_units
                nets[transfer.creditor] += transfer.amount_units
        gains = []
        for party, member in enumerate(self.cast.members):
            own = self.cast.game.value(member.pieces)
            accounts = self.accounts_of[party]
            model = max([own, *(float(self.cleared.model_values[k]) for k in accounts)])
            worth = member.private_rate * self.rules.exchange_rate * (model - own)
            gains.append(worth + sum(nets[k] for k in accounts))
        return gains

    # Ways out

    def take_out(self) -> None:
        """Who is there takes its money; anyone who is there has the others paid out."""
        if not self.is_settled and not self.misses_quorum:
            self.world.pass_time_until(self.agreed.terms.settlement_deadline + 1)
        before = self.world.claims(self.round_id)
        gone = []
        for k, seat in enumerate(self.seats):
            if not before[k]:
                continue
            if self.cast.members[seat.party].behaviour.stays():
                arguments = (self.round_id, k, seat.account.address)
                self.world.send("withdraw", seat.account, "withdraw", *arguments)
            else:
                gone.append(k)
        if gone:
            self.world.send("pay out", self.operator, "pay_out", self.round_id, gone)
        self.left_units = tuple(self.world.claims(self.round_id))
        self.claims_units = tuple(before)
        self.world.finish(self.round_id)

    # What is left

    def result(self) -> RoundResult:
        """Everything that the rows are made of."""
        settled = self.is_settled
        withdrawn = tuple(
            claim - left for claim, left in zip(self.claims_units, self.left_units, strict=True)
        )
        nets = tuple(
            claim - deposit
            for claim, deposit in zip(self.claims_units, self.deposits_units, strict=True)
        )
        self._check_overdraft(nets)
        return RoundResult(
            seats=tuple(self.seats),
            figures=self.figures,
            game_is_true=self.game_is_true,
            settled=settled,
            settled_by=self.settled_by,
            deposits_units=self.deposits_units,
            nets_units=nets,
            withdrawn_units=withdrawn,
            left_units=self.left_units,
            transfers=self.settled_draft.transfers if settled else (),
            cleared=self.cleared,
            parties=tuple(self._party(k, nets, settled) for k in range(len(self.cast.members))),
        )

    def _check_overdraft(self, nets: Sequence[int]) -> None:
        for k, (net, deposit) in enumerate(zip(nets, self.deposits_units, strict=True)):
            if net < -deposit:
                self.world.note("no_overdraft", f"account {k} pays {-net} of {deposit} base units")
        if sum(nets):
            self.world.note("conservation", f"net positions sum to {sum(nets)} base units")

    def _party(self, party: int, nets: Sequence[int], settled: bool) -> PartyResult:
        member = self.cast.members[party]
        rate = self.rules.exchange_rate
        own = self.cast.game.value(member.pieces)
        accounts = self.accounts_of[party]
        model = own
        if settled:
            model = max([own, *(float(self.cleared.model_values[k]) for k in accounts)])
        gas_units = self._gas_units({self.seats[k].account.name for k in accounts})
        payoff = sum(nets[k] for k in accounts)
        worth = member.private_rate * rate
        return PartyResult(
            entries=self.choices[party],
            deposit_units=sum(self.deposits_units[k] for k in accounts),
            own_value=own,
            model_value=model,
            payoff_units=payoff,
            gas_units=gas_units,
            utility=worth * model + payoff - gas_units,
            utility_alone=worth * own,
        )

    def _gas_units(self, names: set[str]) -> float:
        if self.cast.gas_price_wei is None:
            return 0.0
        gas = sum(used for _, sender, used in self.world.notes.gas if sender in names)
        return gas * self.cast.gas_price_wei / self.rules.unit_scale
