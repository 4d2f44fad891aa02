"""Many replicates over the cores of a machine or a cluster, their rows written as they come."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ml.engines.engine import Engine, LocalEngine
from ml.engines.spec import engine_spec, make_engine
from settlement.simulation.arena.world import Tier, World, tier_name
from settlement.simulation.play.replicates import Cell, replicate_rows
from settlement.simulation.results.database import Database, Rows
from settlement.simulation.tables.reading import ScenarioFile
from settlement.simulation.tables.scenario import ShardsGame

__all__ = ["BATCH_ROUNDS", "Progress", "run_all"]

Progress = Callable[[int, int], None]

BATCH_ROUNDS = 100
"""Rounds of one task, about: few enough to lose little, enough that handing over costs nothing."""

LOCAL_ROUNDS = 500
"""Up to so many rounds a pool of processes would start for longer than it works."""

Task = tuple[int, int, int]
"""Cell, first replicate, and one past the last."""

Finished = tuple[int, int, Rows | str]
"""Cell, replicate, and its rows or the traceback of what went wrong."""


@functools.lru_cache(maxsize=2)
def _world(tier: Tier) -> World:
    return World(tier)


_cells: dict[tuple[str, int], Cell] = {}


def _cell(scenario: ScenarioFile, number: int) -> Cell:
    """A cell, kept until another scenario comes; games that many cells share are read once each."""
    key = (scenario.hash, number)
    if key not in _cells:
        if len(_cells) > 64 or any(known != scenario.hash for known, _ in _cells):
            _cells.clear()
        _cells[key] = Cell.of(number, scenario.cell(number), scenario.folder, scenario.hash)
    return _cells[key]


def play_batch(shared: tuple[ScenarioFile, Tier], task: Task) -> Iterator[Finished]:
    """The work of one task; what fails is told and costs no other replicate."""
    scenario, tier = shared
    number, first, end = task
    for replicate in range(first, end):
        try:
            rows = replicate_rows(_cell(scenario, number), replicate, _world(tier))
            yield number, replicate, rows
        except Exception:
            _world.cache_clear()  # whatever state it was left in
            yield number, replicate, traceback.format_exc()


def _tasks(scenario: ScenarioFile, done: set[tuple[int, int]]) -> list[Task]:
    tasks: list[Task] = []
    for number in range(scenario.n_cells):
        table = scenario.cell(number).scenario
        size = max(1, BATCH_ROUNDS // table.rounds)
        left = [k for k in range(table.replicates) if (number, k) not in done]
        start = 0
        while start < len(left):
            end = start
            while end + 1 < len(left) and left[end + 1] == left[end] + 1 and end + 1 - start < size:
                end += 1
            tasks.append((number, left[start], left[end] + 1))
            start = end + 1
    return tasks


def _engine(spec: Mapping[str, Any], n_rounds: int) -> Engine:
    wanted = engine_spec(spec)
    if wanted.kind == "auto":
        return LocalEngine() if n_rounds <= LOCAL_ROUNDS else make_engine(wanted, stacks=False)
    return make_engine(wanted)


def run_all(
    scenario: ScenarioFile,
    database: Database,
    tier: Tier = "auto",
    progress: Progress = lambda done, total: None,
) -> None:
    """Play everything that the database does not have yet."""
    for number in range(scenario.n_cells):
        database.name_cell(number, scenario.parameters(number))
    tasks = _tasks(scenario, database.done())
    total = sum(end - first for _, first, end in tasks)
    finished = 0
    progress(finished, total)
    if not tasks:
        return
    database.note_tier(tier_name(tier))
    if isinstance(scenario.first.game, ShardsGame):
        for number in range(scenario.n_cells):  # train here, once, not in every process
            _cell(scenario, number)
    rounds = total * scenario.first.scenario.rounds
    running = _engine(scenario.first.engine, rounds).run(play_batch, (scenario, tier), tasks)
    batch: list[tuple[int, int, Rows]] = []
    try:
        for cell, replicate, rows in running:
            finished += 1
            if isinstance(rows, str):
                database.write_failure(cell, replicate, rows)
            else:
                batch.append((cell, replicate, rows))
            if len(batch) * scenario.first.scenario.rounds >= BATCH_ROUNDS:
                database.write(batch)
                batch = []
            progress(finished, total)
    finally:
        database.write(batch)
        close = getattr(running, "close", None)
        if close is not None:
            close()
