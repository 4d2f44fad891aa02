"""Run a scenario: play what is missing, check what is expected, sum up."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settlement.errors import SettlementError
from settlement.simulation.arena.world import Tier, World
from settlement.simulation.counterexamples import (
    always_expected,
    keep_counterexamples,
    play_counterexamples,
)
from settlement.simulation.results.database import DATABASE, Database
from settlement.simulation.results.expectations import (
    Verdict,
    check_expectation,
    parse_expectation,
)
from settlement.simulation.results.summary import NOT_MODELLED, Summary, summarise
from settlement.simulation.runner import Progress, run_all
from settlement.simulation.tables.reading import SCENARIO, ScenarioFile, read_scenario, scenario_of

__all__ = ["MANY_ROUNDS", "GasUnknown", "Results", "TooManyRounds", "simulate"]

MANY_ROUNDS = 1_000_000
"""More rounds than this are not begun unasked."""


class GasUnknown(SettlementError):
    """Gas is to be counted on an EVM that does not know it."""


class TooManyRounds(SettlementError):
    """A scenario with so many rounds that nobody may have meant it."""


@dataclass(frozen=True)
class Results:
    """What a simulation left: its file of rows, and the summary."""

    database: Path
    summary: Summary

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; the tables are described in settlement/simulation/README.md."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return list(connection.execute(sql, values))
        finally:
            connection.close()


def simulate(
    scenario: Path | Mapping[str, Any] | ScenarioFile,
    *,
    folder: Path | None = None,
    tier: Tier = "auto",
    many: bool = False,
    progress: Progress = lambda done, total: None,
) -> Results:
    """Play a scenario and check what it expects.

    A run that was killed goes on where it stopped and ends in the same rows. One that is complete
    plays nothing again.

    Parameters
    ----------
    scenario : Path, mapping or ScenarioFile
        A folder with ``scenario.toml``, that file, or its tables.
    folder : Path, optional
        Where results go if the scenario is given as tables; files that it names start there.
    tier : {"auto", "pyrevm", "py-evm", "twin"}
        Which EVM plays the contract; "twin" has none and compares nothing.
    many : bool
        Whether more than a million rounds are wanted.

    Raises
    ------
    ConfigError
        With all faults of the scenario.
    TooManyRounds
        If there are more than a million and ``many`` is not said.
    OtherScenario
        If the folder holds the results of another scenario.

    Examples
    --------
    >>> import tempfile
    >>> tables = {
    ...     "scenario": {"name": "two rounds", "replicates": 2},
    ...     "game": {"kind": "table", "values": [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]},
    ...     "party": [{"name": "a", "budget": 0.2}, {"name": "b"}, {"name": "c"}],
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = simulate(tables, folder=Path(folder))
    ...     results.query("SELECT party, payoff_units FROM parties WHERE replicate = 0")
    [('a', -200000), ('b', 112500), ('c', 87500)]
    """
    file = _file(scenario, folder)
    if file.n_rounds > MANY_ROUNDS and not many:
        raise TooManyRounds(
            f"{file.n_rounds:,} rounds in {file.n_cells:,} cells; expected at most "
            f"{MANY_ROUNDS:,}. Sweep over less, or say --yes."
        )
    tier = _tier_of(file, tier)
    path = file.folder / DATABASE
    database = Database(path, file.hash, file.name)
    try:
        kept = play_counterexamples(file.folder, World(tier)) if _has_kept(file.folder) else []
        run_all(file, database, tier, progress)
        database.note_not_modelled(NOT_MODELLED)
        verdicts = _verdicts(file, database)
        summary = summarise(
            database.connection,
            name=file.name,
            scenario=file.hash,
            seed=file.first.scenario.seed,
            tier=database.tier(),
            verdicts=(*kept, *verdicts),
        )
    finally:
        database.close()
    keep_counterexamples(file, verdicts)
    return Results(path, summary)


def _tier_of(file: ScenarioFile, tier: Tier) -> Tier:
    """py-evm where gas counts: nothing else knows it."""
    swept = next((axis.values for axis in file.axes if axis.place == "chain.gas"), ())
    if not (file.first.chain.gas or True in swept):
        return tier
    if tier not in ("auto", "py-evm"):
        raise GasUnknown(
            f"chain.gas counts gas, which {tier} does not know; expected py-evm. Leave --evm out."
        )
    return "py-evm"


def _has_kept(folder: Path) -> bool:
    return (folder / "counterexamples").is_dir()


def _file(scenario: Path | Mapping[str, Any] | ScenarioFile, folder: Path | None) -> ScenarioFile:
    if isinstance(scenario, ScenarioFile):
        return scenario
    if isinstance(scenario, Mapping):
        return scenario_of(scenario, (folder or Path.cwd()) / SCENARIO)
    return read_scenario(scenario / SCENARIO if scenario.is_dir() else scenario)


def _verdicts(file: ScenarioFile, database: Database) -> list[Verdict]:
    names = {
        str(name)
        for column in ("party", "kind", "behaviour")
        for (name,) in database.connection.execute(f"SELECT DISTINCT {column} FROM parties")
    }
    for name, table in file.first.seats():
        names |= {name, table.name, *(option.name for option in table.behaviour.options)}
    places = [axis.place for axis in file.axes]
    return [
        check_expectation(parse_expectation(claim, places, names), database.connection)
        for claim in always_expected(file.first.expect)
    ]
