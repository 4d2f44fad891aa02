"""Rounds that broke an expectation, kept beside the results and played first in every later run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from settlement.config.reading import ConfigError
from settlement.errors import SettlementError
from settlement.simulation.arena.world import World
from settlement.simulation.play.replicates import Cell, replicate_rows
from settlement.simulation.results.database import Database, Rows
from settlement.simulation.results.expectations import (
    ALWAYS,
    Verdict,
    check_expectation,
    parse_expectation,
)
from settlement.simulation.tables.reading import SCENARIO, ScenarioFile, scenario_of
from settlement.simulation.tables.scenario import Claim
from settlement.simulation.tables.sweeps import RoundKey

__all__ = ["keep_counterexamples", "play_counterexamples", "rows_of_round"]

COUNTEREXAMPLES_FOLDER = "counterexamples"

MOST_KEPT = 20
"""Of one expectation."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One round, with the whole scenario that it is of, and what it broke."""

    path: Path
    tables: Mapping[str, Any]
    key: RoundKey
    that: str
    where: Mapping[str, Any]


def keep_counterexamples(scenario: ScenarioFile, verdicts: Sequence[Verdict]) -> None:
    """Write a file for every round that broke something; what is there already stays."""
    folder = scenario.folder / COUNTEREXAMPLES_FOLDER
    for verdict in verdicts:
        where = next((c.where for c in scenario.first.expect if c.that == verdict.that), {})
        for key in verdict.broken[:MOST_KEPT]:
            folder.mkdir(exist_ok=True)
            name = "".join(c if c.isalnum() else "-" for c in verdict.that)[:40].strip("-")
            path = folder / f"{scenario.hash[:12]}-{key}-{name}.json"
            document = {
                "scenario": scenario.hash,
                "round": str(key),
                "that": verdict.that,
                "where": where,
                "tables": scenario.tables,
            }
            path.write_text(json.dumps(document, indent=1), "utf-8")


def _kept(folder: Path) -> Iterator[Kept]:
    for path in sorted((folder / COUNTEREXAMPLES_FOLDER).glob("*.json")):
        try:
            found = json.loads(path.read_text("utf-8"))
            key = RoundKey.parse(found["round"])
            yield Kept(path, found["tables"], key, found["that"], found["where"])
        except (ValueError, KeyError, TypeError) as error:
            raise SettlementError(
                f"{path} is no kept round ({error!r}). Delete it or restore it."
            ) from None


def play_counterexamples(folder: Path, world: World) -> list[Verdict]:
    """Play every kept round again; whether it still breaks what it broke."""
    verdicts = []
    for kept in _kept(folder):
        name = kept.path.relative_to(folder)
        try:
            scenario = scenario_of(kept.tables, folder / SCENARIO)
        except ConfigError as error:
            verdicts.append(
                Verdict(kept.that, False, f"kept round {name} cannot be read any more: {error}")
            )
            continue
        database = Database(Path(":memory:"), scenario.hash, scenario.name)
        try:
            number, replicate = kept.key.cell, kept.key.replicate
            rows = rows_of_round(scenario, kept.key, world)
            database.name_cell(number, scenario.parameters(number))
            database.write([(number, replicate, rows)])
            claim = Claim(that=kept.that, where=dict(kept.where))
            names = _all_names(rows)
            expectation = parse_expectation(claim, [a.place for a in scenario.axes], names)
            verdict = check_expectation(expectation, database.connection)
        finally:
            database.connection.close()
        state = "holds now" if verdict.holds else "is still broken"
        sentence = f"kept round {name} {state}: {verdict.sentence}"
        verdicts.append(replace(verdict, sentence=sentence, broken=()))
    return verdicts


def rows_of_round(scenario: ScenarioFile, key: RoundKey, world: World) -> Rows:
    """The rows of one round, played again with those of its replicate before it."""
    cell = Cell.of(key.cell, scenario.cell(key.cell), scenario.folder, scenario.hash)
    rows = replicate_rows(cell, key.replicate, world, last_period=key.period)
    return {table: [row for row in found if row[2] == key.period] for table, found in rows.items()}


def _all_names(rows: Rows) -> set[str]:
    """Parties, tables and behaviours of the rows."""
    return {str(row[k]) for row in rows["parties"] for k in (3, 4, 5)}


def always_expected(claims: Sequence[Claim]) -> list[Claim]:
    """The properties of every scenario, then its own claims."""
    own = {claim.that for claim in claims if not claim.where}
    return [*(Claim(that=name) for name in ALWAYS if name not in own), *claims]
