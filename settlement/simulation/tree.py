"""The game tree of a finished round: everybody deviates alone, in every way that there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from settlement.simulation.arena.world import Tier, World
from settlement.simulation.behaviours.behaviour import (
    OperatorBehaviour,
    OutsiderBehaviour,
    PartyBehaviour,
)
from settlement.simulation.behaviours.others.honest_operator import HonestOperator
from settlement.simulation.behaviours.parties.honest import Honest
from settlement.simulation.behaviours.registry import known_behaviours
from settlement.simulation.games.pieces import ExactPieces
from settlement.simulation.play.playing import Cast, Member, RoundResult, play
from settlement.simulation.tables.scenario import RoundRules

__all__ = ["GameTree", "Line", "attack", "tree_of"]

ROUNDING = 1.5
"""Base units of gain that rounding alone can make."""

NOT_ALONE = ("colluding_group", "best_reply")
"""Behaviours that need others, or that are a search over the rest of this list."""

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "refuses_to_sign": ({}, {"revoking": True}),
    "hides_budget": ({"shows": 0.5}, {"shows": 0.9}),
    "lying_operator": tuple(
        {"about": about}
        for about in ("amount", "creditor", "extra", "missing", "factor", "flow", "own", "game")
    ),
}
"""Parameters with which a behaviour is tried; without parameters where there are none here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One deviation, and what everybody then has; lists by party."""

    who: str
    behaviour: str
    parameters: dict[str, Any]
    settled: bool
    utilities: tuple[float, ...]
    payoffs_units: tuple[int, ...]
    model_values: tuple[float, ...]
    gas: tuple[int, ...]  # used by the party's own transactions
    total_gas: int
    gain: float | None  # of a party that deviates, over being honest

    @property
    def name(self) -> str:
        """Who does what."""
        given = ", ".join(f"{key} {value}" for key, value in self.parameters.items())
        return f"{self.who}: {self.behaviour}" + (f" ({given})" if given else "")


@dataclass(frozen=True, slots=True)
class GameTree:
    """The payoff matrix of a round."""

    parties: tuple[str, ...]
    way: str
    private_rates: tuple[float, ...]  # what a unit of value is worth to each, in exchange rates
    honest: Line
    lines: tuple[Line, ...]
    disagreements: tuple[str, ...]  # of contract and twin; none unless one has a fault
    alone: tuple[float, ...]  # utility of each party without any round

    @property
    def regret(self) -> float:
        """Most that a party gains by a deviation of its own, in base units."""
        return max((line.gain for line in self.lines if line.gain is not None), default=0.0)

    @property
    def honest_is_best_reply(self) -> bool:
        """Whether nobody gains more than rounding."""
        return self.regret <= ROUNDING

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {
            "regret": self.regret,
            "honest_is_best_reply": self.honest_is_best_reply,
        }

    def as_text(self) -> str:
        """The matrix, and the verdict."""
        width = max(len(line.name) for line in (self.honest, *self.lines))
        head = f"{'who deviates, and how':<{width}}  settled         gas" + "".join(
            f"  {name[:24]:>24}" for name in self.parties
        )
        lines = [
            f"payoff matrix by {self.way}, private rates "
            f"{', '.join(f'{rate:g}' for rate in self.private_rates)}: utility over alone in base "
            "units (payoff, model value)",
            head,
        ]
        for line in (self.honest, *self.lines):
            figures = "".join(
                f"  {utility - alone:>+10,.0f} {f'({payoff:+,}, {model:.3f})':>{13}}"
                for utility, alone, payoff, model in zip(
                    line.utilities,
                    self.alone,
                    line.payoffs_units,
                    line.model_values,
                    strict=True,
                )
            )
            settled = "yes" if line.settled else "no"
            gas = f"{line.total_gas:,}" if line.total_gas else "-"
            lines.append(f"{line.name:<{width}}  {settled:>7} {gas:>11}{figures}")
        verdict = "yes" if self.honest_is_best_reply else "no"
        lines.append(f"honest is a best reply: {verdict}, regret {max(self.regret, 0):,.1f}")
        if not self.honest_is_best_reply:
            best = max(
                (line for line in self.lines if line.gain is not None),
                key=lambda line: line.gain or 0.0,
            )
            lines.append(f"gains most: {best.name}, {best.gain:,.1f} base units")
        lines += [f"BROKEN  {message}" for message in self.disagreements]
        return "\n".join(lines) + "\n"


def attack(folder: Path, *, private_rate: float | None = None, tier: Tier = "py-evm") -> GameTree:
    """Let each party and the operator of a finished round deviate alone, in every known way.

    Parameters
    ----------
    folder : Path
        A finished round; its table, its locked deposits and its way of settling are taken.
    private_rate : float, optional
        What a unit of value is worth to every party, in exchange rates; by default the `rate` of
        each in ``round.toml``, or 1.
    tier : {"py-evm", "pyrevm", "twin"}
        py-evm knows the gas of every step.

    Raises
    ------
    NotFinished
        If the round has no table or no deposits yet.
    """
    from settlement.simulation.rounds import finished_round

    found = finished_round(folder)
    return tree_of(
        found.parties,
        found.values,
        found.deposits_units,
        found.rules,
        private_rates=found.private_rates if private_rate is None else private_rate,
        caps=found.caps,
        tier=tier,
    )


def tree_of(
    parties: Sequence[str],
    values: np.ndarray,
    deposits_units: Sequence[int],
    rules: RoundRules,
    *,
    private_rates: float | Sequence[float] = 1.0,
    caps: Sequence[float | None] = (),
    tier: Tier = "py-evm",
) -> GameTree:
    """The game tree of a table and deposits; see `attack`. One private rate is everybody's."""
    n_parties = len(parties)
    rates = [private_rates] * n_parties if isinstance(private_rates, float) else private_rates
    members = tuple(
        Member(name, name, Honest(), 1 << k, rate, units, (), cap)
        for k, (name, rate, units, cap) in enumerate(
            zip(parties, rates, deposits_units, caps or (None,) * n_parties, strict=True)
        )
    )
    cast = Cast(members, HonestOperator(), (), ExactPieces(values), rules, None)
    world = World(tier)
    disagreements: list[str] = []
    honest, alone = _line("nobody", "all honest", {}, None, cast, world, None, disagreements)
    lines = tuple(
        _line(who, name, parameters, party, changed, world, honest, disagreements)[0]
        for who, name, parameters, party, changed in _deviations(cast)
    )
    return GameTree(
        tuple(parties),
        rules.settlement,
        tuple(rates),
        honest,
        lines,
        tuple(disagreements),
        alone,
    )


def _deviations(cast: Cast) -> Iterator[tuple[str, str, dict[str, Any], int | None, Cast]]:
    """Who deviates, how, with which parameters, which party that is, and the changed cast."""
    for name, kind in known_behaviours().items():
        if name in ("honest", "honest_operator", *NOT_ALONE):
            continue
        for parameters in VARIANTS.get(name, ({},)):
            behaviour = kind.model_validate(parameters)
            if isinstance(behaviour, PartyBehaviour):
                for party, member in enumerate(cast.members):
                    changed = cast.with_behaviour(party, behaviour)
                    yield member.name, name, parameters, party, changed
            elif isinstance(behaviour, OperatorBehaviour):
                yield "operator", name, parameters, None, replace(cast, operator=behaviour)
            elif isinstance(behaviour, OutsiderBehaviour):
                yield "outsider", name, parameters, None, replace(cast, outsiders=(behaviour,))


def _line(
    who: str,
    behaviour: str,
    parameters: dict[str, Any],
    party: int | None,
    cast: Cast,
    world: World,
    honest: Line | None,
    disagreements: list[str],
) -> tuple[Line, tuple[float, ...]]:
    result = play(world, cast, np.random.default_rng(0))
    disagreements += [
        f"{who}: {behaviour}: {d.rule}: {d.message}" for d in world.notes.disagreements
    ]
    gas = _gas_by_party(result, world)
    utilities = tuple(found.utility for found in result.parties)
    gain = None
    if party is not None and honest is not None:
        gain = utilities[party] - honest.utilities[party]
    line = Line(
        who=who,
        behaviour=behaviour,
        parameters=parameters,
        settled=result.settled,
        utilities=utilities,
        payoffs_units=tuple(found.payoff_units for found in result.parties),
        model_values=tuple(found.model_value for found in result.parties),
        gas=gas,
        total_gas=sum(used for _, _, used in world.notes.gas),
        gain=gain,
    )
    return line, tuple(found.utility_alone for found in result.parties)


def _gas_by_party(result: RoundResult, world: World) -> tuple[int, ...]:
    owner = {seat.account.name: seat.party for seat in result.seats}
    gas = [0] * len(result.parties)
    for _, sender, used in world.notes.gas:
        if sender in owner:
            gas[owner[sender]] += used
    return tuple(gas)
