#!/usr/bin/env python3
"""Rounds a second of the simulator, and what each step of a round takes.

    python scripts/bench/simulation.py [--json] [--rounds N]

Five-party rounds with rows on disk: with the quick EVM, with py-evm, with the twin alone; and
rounds of 200 parties on given flows. Whole runs use all cores; shares are of one process.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from settlement.chain.quick import has_revm
from settlement.escrow.twin import EscrowTwin
from settlement.simulation.arena import world
from settlement.simulation.arena.world import World
from settlement.simulation.games import sources
from settlement.simulation.play import plans, playing, replicates
from settlement.simulation.play.replicates import Cell, replicate_rows
from settlement.simulation.results.database import Database
from settlement.simulation.simulating import simulate
from settlement.simulation.tables.reading import scenario_of

FIVE = {
    "scenario": {"name": "five parties"},
    "game": {"kind": "family", "family": "saturating"},
    "party": [{"name": "p", "count": 5, "budget": {"uniform": [0.05, 0.4]}}],
}
MARKET = {
    "scenario": {"name": "200 parties"},
    "game": {"kind": "flows", "density": 0.1},
    "round": {"settlement": "signatures"},
    "party": [{"name": "p", "count": 200, "budget": {"uniform": [0.0, 0.2]}}],
}
TWIN_CALLS = (
    "open_round",
    "deposit",
    "close",
    "settle",
    "settle_large",
    "settle_by_proof",
    "withdraw",
)


class Stopwatch:
    """Time spent in named functions, that of functions within them taken off."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._stack: list[float] = []

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed under a name."""

        def run(*arguments: Any, **named: Any) -> Any:
            self._stack.append(0.0)
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                taken = time.perf_counter() - started
                self.seconds[name] += taken - self._stack.pop()
                if self._stack:
                    self._stack[-1] += taken

        return run


@contextmanager
def steps_timed(watch: Stopwatch, played: World) -> Iterator[None]:
    """Every step of a round under its name."""
    targets: list[tuple[Any, str, str]] = [
        (sources._Families, "game", "game"),
        (sources._Markets, "game", "game"),
        (sources.ExactPieces, "figures", "game"),
        (playing, "clear", "clearing"),
        (plans, "_posted", "whole numbers"),
        (plans, "prove", "whole numbers"),
        (plans, "net_positions", "bridge and netting"),
        (plans, "net_transfers", "bridge and netting"),
        (world, "digests_of", "signing"),
        (World, "sign", "signing"),
        (World, "_compare", "comparing logs"),
        (World, "finish", "comparing balances"),
        (replicates, "_add_rows", "rows"),
        (Database, "write", "disk"),
        *((EscrowTwin, name, "twin") for name in TWIN_CALLS),
    ]
    if played._evm is not None:
        targets += [(type(played._evm), name, "EVM") for name in ("call", "snapshot", "restore")]
    patches = [
        patch.object(owner, name, watch.timed(label, getattr(owner, name)))
        for owner, name, label in targets
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def shares(tables: dict[str, Any], tier: Any, n_rounds: int) -> dict[str, float]:
    """Milliseconds a round of each step, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = scenario_of(tables, Path(folder) / "scenario.toml")
        cell = Cell.of(0, scenario.cell(0), scenario.folder, scenario.hash)
        database = Database(Path(folder) / "rows.sqlite", scenario.hash, scenario.name)
        played, watch = World(tier), Stopwatch()
        replicate_rows(cell, 0, played)
        with steps_timed(watch, played):
            started = time.perf_counter()
            for first in range(0, n_rounds, 100):
                batch = range(first, min(first + 100, n_rounds))
                database.write([(0, k, replicate_rows(cell, k, played)) for k in batch])
            total = time.perf_counter() - started
        database.close()
    found = {name: 1e3 * s / n_rounds for name, s in watch.seconds.most_common()}
    return found | {
        "everything else": 1e3 * total / n_rounds - sum(found.values()),
        "in all": 1e3 * total / n_rounds,
    }


def whole_run(tables: dict[str, Any], tier: Any, way: str, n_rounds: int) -> dict[str, float]:
    """Seconds of one simulation on all cores, from nothing to the summary."""
    tables = tables | {
        "scenario": tables["scenario"] | {"replicates": n_rounds},
        "round": {"settlement": way},
    }
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        results = simulate(tables, folder=Path(folder), tier=tier)
        taken = time.perf_counter() - started
    if not results.summary.holds:
        sys.exit(f"The rounds do not bear out what is always expected: {results.summary}")
    return {"rounds": n_rounds, "seconds": taken, "rounds_a_second": n_rounds / taken}


def measure(n_rounds: int) -> dict[str, Any]:
    """Everything that is printed."""
    quick = "pyrevm" if has_revm() else "py-evm"
    runs = {
        f"five parties, {quick}, by proof": (FIVE, quick, "proof", n_rounds),
        f"five parties, {quick}, by signatures": (FIVE, quick, "signatures", n_rounds),
        "five parties, twin alone, by proof": (FIVE, "twin", "proof", n_rounds),
        "five parties, py-evm, by proof": (FIVE, "py-evm", "proof", max(100, n_rounds // 20)),
        f"200 parties, given flows, {quick}": (MARKET, quick, "signatures", 20),
    }
    return {
        "machine": {
            "cores": __import__("os").cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "py-evm": version("py-evm"),
            "pyrevm": version("pyrevm") if has_revm() else None,
        },
        "runs": {name: whole_run(*arguments) for name, arguments in runs.items()},
        "milliseconds_a_round": {
            f"{quick}, by proof": shares(FIVE, quick, 500),
            f"{quick}, by signatures": shares(
                FIVE | {"round": {"settlement": "signatures"}}, quick, 500
            ),
            "twin alone, by proof": shares(FIVE, "twin", 500),
            f"200 parties, {quick}": shares(MARKET, quick, 5),
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=10_000, help="of the five-party runs")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    for name, run in found["runs"].items():
        print(
            f"{name:<46} {run['rounds']:>7,} rounds {run['seconds']:>7.1f} s "
            f"{run['rounds_a_second']:>8,.0f} a second"
        )
    for name, steps in found["milliseconds_a_round"].items():
        print(f"\n{name}, one process, milliseconds a round")
        for step, taken in steps.items():
            print(f"  {step:<20} {taken:>8.3f}  {taken / steps['in all']:>5.0%}")


if __name__ == "__main__":
    main()
