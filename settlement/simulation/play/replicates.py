"""One replicate of a cell: its rounds in order, as rows. A pure function of the scenario."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from settlement.chain.spec import GWEI
from settlement.money.bridge import deposit_units
from settlement.simulation.arena.troubles import Troubles
from settlement.simulation.arena.world import Notes, World
from settlement.simulation.behaviours.behaviour import Entry, PartyBehaviour
from settlement.simulation.behaviours.parties.honest import Honest
from settlement.simulation.games.pieces import PieceGame
from settlement.simulation.games.sources import GameSource, game_source
from settlement.simulation.play.playing import Cast, Member, RoundResult, play
from settlement.simulation.results.database import TABLES, Rows
from settlement.simulation.tables.scenario import PartyTable, Scenario, drawn
from settlement.simulation.tables.sweeps import RoundKey, round_rng

__all__ = ["Cell", "Replicate", "replicate_rows"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell of a scenario, ready to be played."""

    number: int
    scenario: Scenario
    source: GameSource
    seats: Sequence[tuple[str, PartyTable]]
    hash: str

    @classmethod
    def of(cls, number: int, scenario: Scenario, folder: Path, scenario_hash: str) -> Cell:
        """A cell with its game; trains what has to be trained, once."""
        source = game_source(scenario, folder)
        return cls(number, scenario, source, scenario.seats(), scenario_hash)


@dataclass(slots=True)
class _State:
    """What a party carries from one round of a replicate to the next."""

    wallet_units: int
    last: tuple[Entry, ...] = ()


class Replicate:
    """The rounds of one replicate, one after the other."""

    def __init__(self, cell: Cell, number: int) -> None:
        self.cell = cell
        self.number = number
        self._game: PieceGame = cell.source.game(
            round_rng(cell.hash, RoundKey(cell.number, number, -1))
        )
        self._states: dict[str, _State] = {}

    def key(self, period: int) -> RoundKey:
        """Key of a round of this replicate."""
        return RoundKey(self.cell.number, self.number, period)

    def cast(self, period: int) -> Cast:
        """Who plays in a round, drawn from the round's own random numbers."""
        scenario, rules = self.cell.scenario, self.cell.scenario.round
        rng = round_rng(self.cell.hash, self.key(period))
        members = []
        for party, (name, table) in enumerate(self.cell.seats):
            behaviour = table.behaviour.drawn(rng)
            budget = drawn(table.budget, rng)
            cap = drawn(table.cap, rng)
            income, rate = float(drawn(table.income, rng)), float(drawn(table.private_rate, rng))
            if period < table.joins:
                continue
            fresh = self._units(None if budget is None else float(budget))
            state = self._states.setdefault(name, _State(fresh))
            earned = self._units(income)
            if table.carry:
                state.wallet_units += earned if period > table.joins else 0
                wallet = state.wallet_units
            else:
                wallet = fresh + earned * (period - table.joins)
            assert isinstance(behaviour, PartyBehaviour)
            members.append(
                Member(
                    name=name,
                    kind=table.name,
                    behaviour=behaviour,
                    pieces=self.cell.source.pieces_of(party),
                    private_rate=rate,
                    wallet_units=max(0, wallet),
                    last=state.last,
                    cap=None if cap is None else float(cap),
                )
            )
        operator: Any = scenario.operator.behaviour.drawn(rng)
        outsiders: Any = tuple(table.behaviour.drawn(rng) for table in scenario.outsider)
        price = int(scenario.chain.gas_price_gwei * GWEI) if scenario.chain.gas else None
        return Cast(tuple(members), operator, outsiders, self._game, rules, price)

    def _units(self, budget: float | None) -> int:
        rate = self.cell.scenario.round.exchange_rate
        if budget == 0.0:
            return 0  # nearly everybody has no income; skips the slow decimal
        # Nobody can owe more than v(N), which is one unit of value at most.
        return rate if budget is None else deposit_units(Decimal(repr(budget)), rate)

    def play(self, world: World, cast: Cast, period: int) -> RoundResult:
        """Carry a round out."""
        key = self.key(period)
        troubles = None
        if self.cell.scenario.chain.any:
            table = self.cell.scenario.chain
            rng = round_rng(self.cell.hash, key, 2)
            troubles = Troubles(table, rng, self.cell.scenario.round.funding_s)
        return play(world, cast, round_rng(self.cell.hash, key, 1), troubles, period)

    def carry_over(self, cast: Cast, result: RoundResult) -> None:
        """What the next round begins with."""
        for member, party in zip(cast.members, result.parties, strict=True):
            state = self._states[member.name]
            state.last = party.entries
            state.wallet_units += party.payoff_units - round(party.gas_units)


def replicate_rows(cell: Cell, number: int, world: World, last_period: int | None = None) -> Rows:
    """Play the rounds of a replicate, all or up to one; their rows."""
    rows: Rows = {table: [] for table in TABLES}
    replicate = Replicate(cell, number)
    n_rounds = cell.scenario.scenario.rounds if last_period is None else last_period + 1
    for period in range(n_rounds):
        cast = replicate.cast(period)
        result = replicate.play(world, cast, period)
        notes, troubles = world.notes, world.troubles
        gains = _gains(replicate, world, cast, result, period, notes)
        key = (cell.number, number, period)
        _add_rows(rows, key, cast, result, gains, notes, troubles)
        replicate.carry_over(cast, result)
    return rows


def _gains(
    replicate: Replicate, world: World, cast: Cast, result: RoundResult, period: int, notes: Notes
) -> list[tuple[float, int] | None]:
    """What each party that is not simply honest gains over being so, and its payoff if it were.

    All else is the same: the others' behaviours, the draws, the troubles.
    """
    gains: list[tuple[float, int] | None] = [None] * len(cast.members)
    if not replicate.cell.scenario.scenario.counterfactual:
        return gains
    for party, member in enumerate(cast.members):
        if isinstance(member.behaviour, Honest):
            continue
        team = member.behaviour.team
        honest = cast.with_behaviour(party, Honest())
        for other, mate in enumerate(cast.members):
            if team is not None and mate.behaviour.team == team:
                honest = honest.with_behaviour(other, Honest())
        otherwise = replicate.play(world, honest, period).parties[party]
        gains[party] = (result.parties[party].utility - otherwise.utility, otherwise.payoff_units)
        notes.disagreements += world.notes.disagreements
    return gains


def _add_rows(
    rows: Rows,
    key: tuple[int, int, int],
    cast: Cast,
    result: RoundResult,
    gains: Sequence[tuple[float, int] | None],
    notes: Notes,
    troubles: Troubles | None,
) -> None:
    gross = _gross_units(cast, result)
    rows["rounds"].append(
        (
            *key,
            len(result.seats),
            cast.rules.settlement,
            cast.operator.name,
            getattr(cast.operator, "about", None),
            float(result.figures.grand_value),
            int(result.settled),
            result.settled_by,
            sum(result.deposits_units),
            len(result.transfers),
            gross,
            sum(max(net, 0) for net in result.nets_units),
            sum(result.left_units),
            notes.n_calls,
            len(notes.refusals),
            troubles.in_words() if troubles else "",
        )
    )
    for member, party, gain in zip(cast.members, result.parties, gains, strict=True):
        rows["parties"].append(
            (
                *key,
                member.name,
                member.kind,
                member.behaviour.name,
                _parameters(member.behaviour),
                int(member.behaviour.looks),
                member.private_rate,
                member.wallet_units,
                len(party.entries),
                party.deposit_units,
                party.own_value,
                party.model_value,
                party.payoff_units,
                party.gas_units,
                party.utility,
                party.utility_alone,
                *(gain or (None, None)),
                int(bool(member.last) and member.last != party.entries),
            )
        )
    for k, seat in enumerate(result.seats):
        rows["accounts"].append(
            (
                *key,
                k,
                cast.members[seat.party].name,
                f"{seat.entry.pieces:x}",
                result.deposits_units[k],
                result.nets_units[k],
                result.withdrawn_units[k],
                result.left_units[k],
                float(result.cleared.factors[k]),
                float(result.cleared.model_values[k]),
            )
        )
    rows["transfers"] += [
        (*key, n, t.debtor, t.creditor, t.amount_units) for n, t in enumerate(result.transfers)
    ]
    rows["refusals"] += [(*key, n, *refusal) for n, refusal in enumerate(notes.refusals)]
    if cast.gas_price_wei is not None:
        rows["gas"] += [(*key, n, *used) for n, used in enumerate(notes.gas)]
    rows["violations"] += [
        (*key, n, found.rule, found.message) for n, found in enumerate(notes.disagreements)
    ]


@functools.lru_cache(maxsize=1_000)
def _parameters(behaviour: PartyBehaviour) -> str:
    return json.dumps(behaviour.model_dump(), sort_keys=True)


def _gross_units(cast: Cast, result: RoundResult) -> int:
    """What all adjusted flows sum to: the money that netting saves from moving."""
    if not result.settled:
        return 0
    flows = result.cleared.factors[:, None] * result.figures.flows
    return round(float(flows.sum()) * cast.rules.exchange_rate)
