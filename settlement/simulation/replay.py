"""A simulated round again: step by step, and as a normal round folder on the in-process chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np

from settlement.errors import SettlementError
from settlement.simulation.arena.world import Tier, World
from settlement.simulation.play.playing import Cast, RoundResult
from settlement.simulation.play.replicates import Cell, Replicate
from settlement.simulation.simulating import Results
from settlement.simulation.tables.reading import SCENARIO, ScenarioFile, read_scenario
from settlement.simulation.tables.sweeps import RoundKey

__all__ = ["ReplayError", "Replayed", "replay_round", "replay_sample"]

REPLAYS_FOLDER = "replays"

NOTES = "simulated.json"


class ReplayError(SettlementError):
    """No such round, or its folder cannot be made."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What happened in a round when it was played again."""

    key: str
    steps: tuple[tuple[int, str, str, str | None], ...]
    broken: tuple[tuple[str, str], ...]  # property and what breaks it
    parties: tuple[dict[str, Any], ...]
    settled: bool
    settled_by: str | None
    folder: str | None
    why_no_folder: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def as_text(self) -> str:
        """Every step, what everybody has afterwards, and where the folder is."""
        lines = [f"round {self.key}"]
        for time_s, step, sender, reason in self.steps:
            lines.append(f"{time_s:>8} s  {step:<8}  {sender:<12}  {reason or 'done'}")
        lines.append(f"settled by {self.settled_by}" if self.settled else "not settled")
        for party in self.parties:
            lines.append(
                f"{party['name']} ({party['behaviour']}): locked {party['deposit_units']:,}, net "
                f"{party['payoff_units']:+,}, model worth {party['model_value']:.4f}, utility "
                f"{party['utility']:,.0f}, alone {party['utility_alone']:,.0f}"
            )
        lines += [f"BROKEN  {rule}: {message}" for rule, message in self.broken]
        if self.folder:
            lines.append(f"round folder: {self.folder}")
        else:
            lines.append(f"no round folder: {self.why_no_folder}")
        return "\n".join(lines) + "\n"


def replay_round(
    folder: Path, key: str, target: Path | None = None, *, tier: Tier = "auto"
) -> Replayed:
    """Play one round of a scenario again and make a round folder of it.

    The folder has an honest operator and all keys at hand, so what is settled there is what
    follows from the same game and the same deposits; it must be the same money to the unit.

    Raises
    ------
    ReplayError
        If the scenario has no such round, or the folder's settlement is other money.
    """
    scenario = read_scenario(folder / SCENARIO)
    wanted = _key_of(scenario, key)
    cell = Cell.of(wanted.cell, scenario.cell(wanted.cell), scenario.folder, scenario.hash)
    world = World(tier)
    replicate = Replicate(cell, wanted.replicate)
    for period in range(wanted.period + 1):
        cast = replicate.cast(period)
        result = replicate.play(world, cast, period)
        replicate.carry_over(cast, result)
    why = _why_no_folder(result)
    broken = [(found.rule, found.message) for found in world.notes.disagreements]
    steps = tuple(world.notes.steps)
    path = None
    if why is None:
        path = target or folder / REPLAYS_FOLDER / str(wanted)
        nets = _make_folder(path, scenario, str(wanted), cell, cast, result)
        if result.settled and nets != list(result.nets_units):
            difference = (
                f"{path} settles net positions {nets}; the simulated round "
                f"{list(result.nets_units)}."
            )
            if not broken:
                raise ReplayError(difference)
            broken.append(("replay", difference))
    return Replayed(
        key=str(wanted),
        steps=steps,
        broken=tuple(broken),
        parties=tuple(
            {"name": member.name, "behaviour": member.behaviour.name}
            | {
                name: getattr(party, name)
                for name in (
                    "deposit_units",
                    "payoff_units",
                    "model_value",
                    "utility",
                    "utility_alone",
                )
            }
            for member, party in zip(cast.members, result.parties, strict=True)
        ),
        settled=result.settled,
        settled_by=result.settled_by,
        folder=str(path) if path else None,
        why_no_folder=why,
    )


def replay_sample(folder: Path, results: Results, n_rounds: int) -> Iterator[str]:
    """Make folders of rounds drawn by the scenario's hash, and verify each; a line a round.

    Raises
    ------
    ReplayError
        If one cannot be verified.
    """
    keys = results.query(
        "SELECT cell, replicate, period FROM rounds WHERE settled ORDER BY 1, 2, 3"
    )
    rng = np.random.default_rng(int(results.summary.scenario, 16))
    chosen = rng.permutation(len(keys))[:n_rounds]
    for index in sorted(int(k) for k in chosen):
        key = str(RoundKey(*keys[index]))
        done = replay_round(folder, key)
        if done.folder is None:
            yield f"{key}: no round folder: {done.why_no_folder}"
            continue
        faults = _verify(Path(done.folder))
        if faults:
            raise ReplayError(f"{done.folder} cannot be verified: {'; '.join(faults)}")
        yield f"{key}: {done.folder} verified"


def _key_of(scenario: ScenarioFile, text: str) -> RoundKey:
    try:
        key = RoundKey.parse(text)
    except ValueError as error:
        raise ReplayError(f"{error}.") from None
    if key.cell >= scenario.n_cells:
        raise ReplayError(f"Round {text}: there are {scenario.n_cells} cells, counted from 0.")
    size = scenario.cell(key.cell).scenario
    if key.replicate >= size.replicates or key.period >= size.rounds:
        raise ReplayError(
            f"Round {text}: cell {key.cell} has {size.replicates} replicates of {size.rounds} "
            "rounds, counted from 0."
        )
    return key


def _why_no_folder(result: RoundResult) -> str | None:
    if result.figures.table is None:
        if not result.game_is_true:
            return "its game was invented, and a round folder starts from a true table"
        return "its flows are given or estimated, and a round folder starts from a table"
    if len(result.seats) < 2:
        return "it has one account"
    return None


def _make_folder(
    path: Path, scenario: ScenarioFile, key: str, cell: Cell, cast: Cast, result: RoundResult
) -> list[int]:
    """``round.toml`` with the same game, deposits and way; carried out as far as the round came.

    Its net positions, where the round was settled.
    """
    from settlement.simulation.rounds import carry_out

    if (path / "round.toml").exists():
        raise ReplayError(f"{path} holds a round already; remove it or choose another with --to.")
    path.mkdir(parents=True, exist_ok=True)
    rules = cell.scenario.round
    names = _account_names(cell, result)
    lines = [
        f"# Round {key} of the scenario {scenario.name!r}, as it was simulated; in ether.",
        "",
        "[round]",
        f"name = {json.dumps(f'{scenario.name} {key}'[:64])}",
        f"exchange_rate = {rules.exchange_rate}",
        "",
        "[values]",
        f"given = {[float(value) for value in result.figures.table]}",  # type: ignore[union-attr]
        "",
        "[chain]",
        'provider = "in-process"',
        f'settlement = "{rules.settlement}"',
        f"unit_scale = {rules.unit_scale}",
        f"funding_s = {max(rules.funding_s, 20 + len(names))}",
        f"settlement_s = {max(rules.settlement_s, 20 + len(names))}",
    ]
    if rules.quorum_units:
        lines.append(f'quorum = "{rules.quorum_units} units"')
    own_values = result.figures.own_values.tolist()
    for k, (name, seat) in enumerate(zip(names, result.seats, strict=True)):
        member = cast.members[seat.party]
        rate = Decimal(repr(member.private_rate)) * rules.exchange_rate
        lines += ["", "[[party]]", f"name = {json.dumps(name)}", f"rate = {rate:f}"]
        lines.append(f"budget = {_budget(result.deposits_units[k], rules.exchange_rate)}")
        if member.cap is not None:
            # Nobody gives its own model back, so a cap below it is one at it.
            lines.append(f"cap = {Decimal(repr(max(member.cap, own_values[k]))):f}")
    (path / "round.toml").write_text("\n".join(lines) + "\n", "utf-8")
    notes = {
        "round": key,
        "scenario": scenario.hash,
        "settled": result.settled,
        "settled_by": result.settled_by,
        "net_units": list(result.nets_units),
        "deposits_units": list(result.deposits_units),
    }
    (path / NOTES).write_text(json.dumps(notes, indent=1), "utf-8")
    return carry_out(path, settle=result.settled)


def _account_names(cell: Cell, result: RoundResult) -> list[str]:
    """The party's name, numbered where it has several accounts."""
    owners = [seat.party for seat in result.seats]
    present = [name for name, table in cell.seats]
    names = []
    for k, party in enumerate(owners):
        before = owners[:k].count(party)
        names.append(present[party] if owners.count(party) == 1 else f"{present[party]}.{before}")
    return names


def _budget(units: int, exchange_rate: int) -> str:
    """A budget in units of value that locks exactly so many base units."""
    exact = Context(prec=60, rounding=ROUND_CEILING).divide(Decimal(units), Decimal(exchange_rate))
    return format(exact, "f") if units else "0"


def _verify(path: Path) -> list[str]:
    from settlement.simulation.rounds import verify

    return verify(path)
