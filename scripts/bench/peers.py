#!/usr/bin/env python3
"""Errors of estimated Shapley values beside those of shapiq, same games, same evaluations.

shapiq 1.8 wants Python 3.12, so it has an environment of its own:

    python3.12 -m venv peers && peers/bin/pip install "shapiq[shapleig]>=1.8" lightgbm numba
    peers/bin/python scripts/bench/peers.py --record runs.jsonl

Each run is added to the record as soon as it is done, and a run that the record has is not
repeated; so an interrupted table goes on, and peers may run in several environments, one after
the other (``--by``). ``--table`` prints what the record has. Only numpy, scipy, scikit-learn and
numba of ours are needed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ml.game import conditional_shapley, decompose, estimate_flows, family
from tests.ml.game.games import game

GAMES = {
    "coverage": (12,),
    "saturating": (12, 20),
    "glove": (12,),
    "airport": (12,),
    "weighted majority": (12,),
    "soft majority": (12,),
    "supermodular": (12,),
    "unanimity sums": (12,),
    "noisy monotone": (12,),
    "trained digits": (10,),
}
OWN = {"fairround": {"choose": "sizes"}, "fairround, chosen": {"choose": "flows"}}
PEERS: dict[str, dict[str, Any]] = {
    "PermutationSamplingSV": {},
    "KernelSHAP": {},
    "LeverageSHAP": {},
    "OddSHAP": {},
    "PolySHAP": {},
    "RegressionMSR": {"index": "SV", "proxy_model": "lightgbm"},
    "ShaplEIG": {"show_progress": False},
}
MOST = {"fairround, chosen": 100, "ShaplEIG": 100}
"""Most evaluations of those who look at the values before they choose: minutes a run beyond."""

Run = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Played:
    """A game with its exact flows."""

    n_parties: int
    evaluate: Callable[[np.ndarray], np.ndarray]
    flows: np.ndarray

    @property
    def shapley_values(self) -> np.ndarray:
        """Exact, from the flows, eq. (6)."""
        return shapley_values(self.flows, self.evaluate(np.eye(self.n_parties)))


@lru_cache(maxsize=4)
def played(name: str, n_parties: int, seed: int) -> Played:
    """Game of a seed: by its formula where a table is large, by its table elsewhere."""
    if n_parties > 12:
        closed = family(name, n_parties, seed)
        return Played(n_parties, closed.evaluate, closed.flows)
    values = game(name, n_parties, seed)
    places = 1 << np.arange(n_parties)

    def evaluate(members: np.ndarray) -> np.ndarray:
        return np.asarray(values[np.asarray(members, dtype=np.int64) @ places])

    return Played(n_parties, evaluate, conditional_shapley(values))


def shapley_values(flows: np.ndarray, own_values: np.ndarray) -> np.ndarray:
    """Shapley values of flows, eq. (6)."""
    return np.asarray(decompose(flows, own_values).sum(axis=1))


def relative_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square error over the root mean square of the truth."""
    return float(np.sqrt(((found - truth) ** 2).sum() / (truth**2).sum()))


def peer_error(name: str, of: Played, evaluations: int, seed: int) -> dict[str, float]:
    """Error of Shapley values by one of shapiq's estimators."""
    import shapiq

    def evaluate(coalitions: np.ndarray) -> np.ndarray:
        members = np.atleast_2d(coalitions)
        return np.where(members.any(axis=1), of.evaluate(members), 0.0)

    approximator = getattr(shapiq, name)(n=of.n_parties, random_state=seed, **PEERS[name])
    found = approximator.approximate(budget=evaluations, game=evaluate)
    values = np.array([found[(party,)] for party in range(of.n_parties)])
    return {"error": relative_error(values, of.shapley_values)}


def own_error(name: str, of: Played, evaluations: int, seed: int) -> dict[str, float]:
    """Error of Shapley values and of flows by our default estimator."""
    estimate = estimate_flows(of.evaluate, of.n_parties, evaluations, seed, **OWN[name])
    found = shapley_values(estimate.flows, estimate.own_values)
    return {
        "error": relative_error(found, of.shapley_values),
        "flows": relative_error(estimate.flows, of.flows),
    }


def one_run(key: Run) -> Run:
    """Error and seconds of one estimator on one game; what went wrong if it cannot be had."""
    who, name, n_parties = key["by"], key["game"], key["parties"]
    of = played(name, n_parties, key["seed"])
    find = own_error if who in OWN else peer_error
    started = time.perf_counter()
    try:
        found: Run = dict(find(who, of, key["evaluations"], key["seed"]))
    except Exception as error:  # a peer that cannot be had must not end the run
        found = {"failed": type(error).__name__}
    return key | found | {"seconds": time.perf_counter() - started}


def wanted(options: argparse.Namespace) -> list[Run]:
    """Runs that the options ask for, seeds last so that a stopped table has whole rows."""
    return [
        {"by": by, "game": name, "parties": n, "evaluations": evaluations, "seed": seed}
        for name in options.games
        for n in GAMES[name]
        for evaluations in options.evaluations
        for by in options.by
        if evaluations <= MOST.get(by, evaluations)
        for seed in range(options.seeds)
    ]


def key_of(run: Run) -> tuple[Any, ...]:
    """What makes a run one of its own."""
    return tuple(run[name] for name in ("by", "game", "parties", "evaluations", "seed"))


def table(runs: list[Run]) -> str:
    """Table of errors in per cent of the root mean square value, a row a game and sample size."""
    names = [by for by in (*OWN, *PEERS) if any(run["by"] == by for run in runs)]
    cells: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        cells[run["game"], run["parties"], run["evaluations"], run["by"]].append(run)
    lines = ["| game, parties | evaluations | " + " | ".join([*names, "our flows"]) + " |"]
    lines.append("|---" * (len(names) + 3) + "|")
    rows = dict.fromkeys((r["game"], r["parties"], r["evaluations"]) for r in runs)
    for name, n_parties, evaluations in rows:
        found = [cells.get((name, n_parties, evaluations, by), []) for by in names]
        best = min(_mean(runs_of) for runs_of in found)
        texts = [
            _cell(runs_of, best, by, evaluations) for by, runs_of in zip(names, found, strict=True)
        ]
        flows = [
            100 * np.mean([run["flows"] for run in runs_of])
            for by, runs_of in zip(names, found, strict=True)
            if by in OWN and _mean(runs_of) < np.inf
        ]
        texts.append(" / ".join(f"{error:.3g}" for error in flows) or "-")
        lines.append(f"| {name} {n_parties} | {evaluations} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _mean(runs: list[Run]) -> float:
    errors = [run.get("error", np.inf) for run in runs]
    return float(np.mean(errors)) if errors else np.inf


def _cell(runs: list[Run], best: float, by: str, evaluations: int) -> str:
    if not runs:
        return "cut" if evaluations > MOST.get(by, evaluations) else "-"
    failed = [run["failed"] for run in runs if "failed" in run]
    if failed:
        return f"- ({failed[0]})"
    errors = 100 * np.array([run["error"] for run in runs])
    text = f"{errors.mean():.3g}"
    if len(errors) > 1:
        text += f" ({errors.std(ddof=1):.2g})"
    # Rounding of the values themselves is no difference between methods.
    return f"**{text}**" if errors.mean() <= max(100 * best * (1 + 1e-9), 1e-6) else text


def seconds(runs: list[Run]) -> str:
    """Median seconds of a run by each, a row a sample size."""
    names = [by for by in (*OWN, *PEERS) if any(run["by"] == by for run in runs)]
    lines = ["| seconds a run | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for evaluations in sorted({run["evaluations"] for run in runs}):
        texts = []
        for by in names:
            spent = [
                run["seconds"]
                for run in runs
                if run["by"] == by and run["evaluations"] == evaluations
            ]
            texts.append(f"{np.median(spent):.2g}" if spent else "-")
        lines.append(f"| {evaluations} evaluations | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def versions() -> str:
    """Of what ran here."""
    told = [f"Python {platform.python_version()}"]
    for name in ("shapiq", "lightgbm", "botorch", "torch", "numpy", "scipy"):
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(told)


def main() -> int:
    """Run what the record lacks, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, nargs="+", default=[60, 100, 200, 500])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--games", nargs="+", default=list(GAMES), choices=list(GAMES))
    parser.add_argument("--by", nargs="+", default=[*OWN, *PEERS], choices=[*OWN, *PEERS])
    parser.add_argument("--record", type=Path, default=Path("peers.jsonl"))
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    record = options.record
    lines = record.read_text().splitlines() if record.exists() else []
    done = {key_of(run): run for run in map(json.loads, lines)}
    if not options.table:
        with record.open("a") as log:
            for key in wanted(options):
                if key_of(key) in done:
                    continue
                run = one_run(key) | {"versions": versions()}
                done[key_of(key)] = run
                log.write(json.dumps(run) + "\n")
                log.flush()
    # Always in the same order, whatever ran first.
    shown = {key_of(key) for key in wanted(options)}
    runs = [run for key, run in done.items() if key in shown]
    order = list(GAMES)
    runs.sort(key=lambda run: (order.index(run["game"]), run["parties"], run["evaluations"]))
    for one in dict.fromkeys(run["versions"] for run in runs):
        by = ", ".join(dict.fromkeys(run["by"] for run in runs if run["versions"] == one))
        print(f"{by}: {one}")
    print(f"\n{table(runs)}\n\n{seconds(runs)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
