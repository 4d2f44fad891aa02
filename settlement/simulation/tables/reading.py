"""A scenario from its file: strict TOML, every fault reported at once with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ml.datasets.spec import PARTY_KEYS
from ml.engines.spec import engine_spec
from ml.errors import Fault, SpecError
from settlement.config.reading import ConfigError
from settlement.config.templates import SCENARIO
from settlement.posting.format import MAX_POSTED_PARTIES
from settlement.simulation.games.shards import check_shards
from settlement.simulation.games.sources import shard_parties
from settlement.simulation.results.expectations import ExpectationError, parse_expectation
from settlement.simulation.tables.scenario import (
    Claim,
    FlowsGame,
    PartyTable,
    RoundGame,
    Scenario,
    ShardsGame,
    TableGame,
)
from settlement.simulation.tables.sweeps import (
    Axis,
    axes_of,
    cell_values,
    n_cells,
    scenario_hash,
    with_values,
)

__all__ = ["SCENARIO", "ScenarioFile", "read_scenario", "scenario_of"]

EXPECTED = {
    "missing": "missing; expected a value",
    "extra_forbidden": "unknown key; settlement/simulation/README.md lists the keys",
    "model_type": "expected a table",
    "dict_type": "expected a table",
}
"""What a fault says where the schema's own words are not a user's."""

CHECKED_CELLS = 2_000
"""Cells of a product that are checked one by one before anything runs; faults of a single value
show in any of them."""


@dataclass(frozen=True, eq=False)
class ScenarioFile:
    """A checked scenario: its cells, and what their seeds come from."""

    path: Path
    text: str
    tables: Mapping[str, Any]
    axes: tuple[Axis, ...]
    hash: str
    first: Scenario

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.first.scenario.name

    @property
    def folder(self) -> Path:
        """Where paths in the scenario start."""
        return self.path.parent

    @property
    def n_cells(self) -> int:
        """How many cells the sweeps make."""
        return n_cells(self.axes)

    @property
    def n_rounds(self) -> int:
        """How many rounds there are in all, counterfactual ones aside."""
        return sum(
            cell.scenario.replicates * cell.scenario.rounds for cell in self.distinct_sizes()
        ) * (self.n_cells // max(1, len(self.distinct_sizes())))

    def distinct_sizes(self) -> list[Scenario]:
        """A cell for each combination of swept sizes; all combinations have equally many cells."""
        sizes = [a for a in self.axes if a.place in ("scenario.replicates", "scenario.rounds")]
        others = [a for a in self.axes if a not in sizes]
        fixed = with_values(self.tables, others, [axis.values[0] for axis in others])
        return [
            Scenario.model_validate(with_values(fixed, sizes, cell_values(sizes, k)))
            for k in range(n_cells(sizes))
        ]

    def cell(self, number: int) -> Scenario:
        """One cell: every number is one number."""
        values = cell_values(self.axes, number)
        return Scenario.model_validate(with_values(self.tables, self.axes, values))

    def parameters(self, number: int) -> dict[str, Any]:
        """What is swept, and its value in a cell."""
        values = cell_values(self.axes, number)
        return {axis.place: value for axis, value in zip(self.axes, values, strict=True)}


def read_scenario(path: Path) -> ScenarioFile:
    """Read and check ``scenario.toml``.

    Raises
    ------
    ConfigError
        With all faults at once: syntax, unknown keys, types and ranges at every value of every
        sweep, unknown behaviours, expectations that cannot be read, games that do not fit.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", [Fault("", f"cannot be read: {error}")]) from None
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, text, [Fault("", f"is not TOML: {error}")]) from None
    return scenario_of(tables, path, text)


def scenario_of(tables: Mapping[str, Any], path: Path, text: str = "") -> ScenarioFile:
    """A scenario from its tables, checked; paths in it start at the folder of ``path``.

    Raises
    ------
    ConfigError
    """
    faults: list[Fault] = []
    axes = axes_of(tables, faults)
    firsts = [axis.values[0] for axis in axes]
    base = _validated(with_values(tables, axes, firsts), faults)
    for k, axis in enumerate(axes):
        for j, value in enumerate(axis.values[1:], 1):
            swept = [*firsts[:k], value, *firsts[k + 1 :]]
            _validated(with_values(tables, axes, swept), faults, {axis.place: f"[{j}]"})
    faults += _unknown_party_keys(tables)
    faults += _expectation_faults(tables, axes)
    if base is None or faults:
        raise ConfigError(path, text, _distinct(faults))
    for cell in _cells_to_check(tables, axes):
        faults += _faults_together(cell)
    contents = _contents(base, path.parent, faults)
    if faults:
        raise ConfigError(path, text, _distinct(faults))
    return ScenarioFile(path, text, tables, tuple(axes), scenario_hash(tables, contents), base)


def _validated(
    tables: Mapping[str, Any], faults: list[Fault], swept: Mapping[str, str] | None = None
) -> Scenario | None:
    try:
        return Scenario.model_validate(tables)
    except ValidationError as error:
        for item in error.errors():
            place = _place(item["loc"])
            for axis, index in (swept or {}).items():
                if place.startswith(axis):
                    place = axis + index
            message = EXPECTED.get(item["type"], item["msg"]).removeprefix("Value error, ")
            if item["type"] in ("missing", "value_error", "union_tag_invalid"):
                faults.append(Fault(place, message))
            else:
                faults.append(Fault(place, f"{message}; found {item['input']!s:.60}"))
        return None


def _place(steps: Sequence[str | int]) -> str:
    place = ""
    for position, step in enumerate(steps):
        if isinstance(step, int):
            place += f"[{step}]"
        elif position == 1 and steps[0] == "game" and len(steps) > 2:
            continue  # the kind of game, which the file writes as a key
        elif step in ("Uniform", "OneOf", "float") or step.startswith(("function-", "constrained")):
            continue  # branches of a type, which are no keys
        else:
            place += f".{step}" if place else str(step)
    return place


def _distinct(faults: Sequence[Fault]) -> list[Fault]:
    return list(dict.fromkeys(faults))


def _cells_to_check(tables: Mapping[str, Any], axes: Sequence[Axis]) -> Iterator[Scenario]:
    """All cells, or an even choice of them where there are very many."""
    total = n_cells(axes)
    step = max(1, total // CHECKED_CELLS)
    for number in range(0, total, step):
        yield Scenario.model_validate(with_values(tables, axes, cell_values(axes, number)))


def _faults_together(cell: Scenario) -> list[Fault]:
    """What is wrong with a cell whose tables are right one by one."""
    faults = []
    seats = cell.seats()
    names = [name for name, _ in seats]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault("party", f"{name!r} is the name of {names.count(name)} parties"))
    if len(seats) < 2:
        faults.append(Fault("party", f"{len(seats)} party; expected at least 2"))
    faults += _fits_game(cell, len(seats))
    if cell.round.settlement == "proof" and len(seats) > MAX_POSTED_PARTIES:
        most = f"by proof at most {MAX_POSTED_PARTIES}"
        message = f"{len(seats)} parties; {most}. Settle by signatures"
        faults.append(Fault("round.settlement", message))
    for index, party in enumerate(cell.party):
        if party.joins >= cell.scenario.rounds:
            message = f"joins in round {party.joins} of {cell.scenario.rounds}, counted from 0"
            faults.append(Fault(f"party[{index}].joins", message))
        if party.carry and party.budget is None:
            faults.append(Fault(f"party[{index}].carry", "an unlimited budget is never used up"))
    if not any(party.joins == 0 for party in cell.party):
        faults.append(Fault("party", "nobody takes part in the first round"))
    try:
        engine_spec(cell.engine)
    except SpecError as error:
        faults += error.faults
    return faults


def _fits_game(cell: Scenario, n_parties: int) -> list[Fault]:
    game = cell.game
    faults = []
    if isinstance(game, TableGame):
        if (game.values is None) == (game.path is None):
            faults.append(Fault("game", "expected either values or a path"))
        elif game.values is not None:
            faults += _table_faults(game.values, n_parties)
    if isinstance(game, ShardsGame):
        try:
            check_shards(game.data, game.training, shard_parties(cell))
        except SpecError as error:
            faults += [
                Fault(f"game.{f.place}" if not f.place.startswith("party") else f.place, f.message)
                for f in error.faults
            ]
        if n_parties * game.pieces > 16:
            message = (
                f"{n_parties} parties of {game.pieces} pieces; expected at most 16 pieces in all: "
                "every coalition of them is trained"
            )
            faults.append(Fault("game.pieces", message))
    return faults


def _unknown_party_keys(tables: Mapping[str, Any]) -> list[Fault]:
    game, parties = tables.get("game"), tables.get("party")
    shards = isinstance(game, Mapping) and game.get("kind") == "shards"
    known = {*PartyTable.model_fields, *(PARTY_KEYS if shards else ())}
    return [
        Fault(f"party[{index}].{key}", f"unknown key; expected one of {', '.join(sorted(known))}")
        for index, party in enumerate(parties if isinstance(parties, list) else [])
        if isinstance(party, Mapping)
        for key in party
        if key not in known
    ]


def _table_faults(values: Sequence[float], n_parties: int) -> list[Fault]:
    faults = []
    if len(values) != 2**n_parties:
        message = f"{len(values)} values; expected 2**{n_parties} for {n_parties} parties"
        faults.append(Fault("game.values", message))
    faults += [
        Fault(f"game.values[{k}]", f"found {value}; expected a score in [0, 1]")
        for k, value in enumerate(values)
        if not 0 <= value <= 1
    ]
    if values and values[0] != 0:
        message = f"the empty coalition has value {values[0]}; expected 0"
        faults.append(Fault("game.values[0]", message))
    return faults


def _expectation_faults(tables: Mapping[str, Any], axes: Sequence[Axis]) -> list[Fault]:
    """Read from the raw tables, so that other faults do not hide these."""
    faults = []
    parties = tables.get("party")
    names = {_name_of(value) for axis in axes if axis.name == "behaviour" for value in axis.values}
    for party in parties if isinstance(parties, list) else []:
        if isinstance(party, Mapping):
            names |= _names_of(party)
    claims = tables.get("expect")
    for index, table in enumerate(claims if isinstance(claims, list) else []):
        try:
            claim = Claim.model_validate(table)
        except ValidationError:
            continue  # told with the others
        try:
            parse_expectation(claim, [axis.place for axis in axes], names)
        except ExpectationError as error:
            faults.append(Fault(f"expect[{index}].{error.key}", str(error)))
    return faults


def _names_of(party: Mapping[str, Any]) -> set[str]:
    """How expectations may call a party: its name, those of its copies, its behaviours."""
    name, count = party.get("name"), party.get("count", 1)
    counts = count if isinstance(count, list) else [count]
    most = max((n for n in counts if isinstance(n, int)), default=1)
    names = {str(name), *(f"{name}{k}" for k in range(min(most, 1_024)))}
    behaviour = party.get("behaviour", "honest")
    many = isinstance(behaviour, Mapping) and "one_of" in behaviour
    listed = behaviour["one_of"] if many else behaviour
    return names | {_name_of(one) for one in (listed if isinstance(listed, list) else [listed])}


def _name_of(behaviour: Any) -> str:
    return str(behaviour.get("name")) if isinstance(behaviour, Mapping) else str(behaviour)


def _contents(base: Scenario, folder: Path, faults: list[Fault]) -> list[bytes]:
    """The files that the game is read from; what is in them belongs to the scenario."""
    game = base.game
    if not isinstance(game, TableGame | RoundGame | FlowsGame) or game.path is None:
        return []
    path = folder / game.path
    if isinstance(game, RoundGame):
        path = path / "train" / "values.json"
    try:
        return [path.read_bytes()]
    except OSError as error:
        faults.append(Fault("game.path", f"{path} cannot be read: {error.strerror}"))
        return []
