#!/usr/bin/env python3
"""Measure the game: each figure is a ratio of two things timed side by side in one run.

    scripts/bench/game.py              the table below, in Markdown
    scripts/bench/game.py --json       the same as JSON on standard output
    scripts/bench/game.py --only clearing --repeats 5
    scripts/bench/game.py --full       with the large cases (LP of 500 parties, 10^5 parties)

Peers (shapiq, shap, pyDVL) are timed if they can be imported: pip install fairround[bench].
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one core unless it says otherwise

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from ml.game import EstimateError

Row = dict[str, Any]


def side_by_side(
    repeats: int, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple[float, float]:
    """Median seconds of two things, run in turns so that the machine's moods hit both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    first(), second()
    for _ in range(repeats):
        for log, work in zip(seconds, (first, second), strict=True):
            started = time.perf_counter()
            work()
            log.append(time.perf_counter() - started)
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


def row(
    section: str, what: str, ratio: float | None, unit: str, goal: str = "", **more: Any
) -> Row:
    """One line of the report; ``ratio`` is in ``unit``, None if it could not be measured."""
    return {"section": section, "what": what, "figure": ratio, "unit": unit, "goal": goal, **more}


def bench_kernel(options: argparse.Namespace) -> Iterator[Row]:
    """Exact flows against one np.sum of the same table."""
    from ml.game import conditional_shapley

    for n_parties in (20, 22, 24):
        values = np.random.default_rng(n_parties).random(2**n_parties)
        values[0] = 0.0
        for threads, goal in ((1, "1.5"), (2, "1.2")):
            summed, flows = side_by_side(
                options.repeats * 4,
                values.sum,
                lambda v=values, t=threads: conditional_shapley(v, threads=t),
            )
            yield row(
                "kernel",
                f"all flows, n = {n_parties}, {threads} thread(s)",
                flows / summed,
                "x np.sum",
                goal,
                seconds=flows,
            )


def bench_peers(options: argparse.Namespace) -> Iterator[Row]:
    """Exact Shapley values by other libraries against our exact flows, same table."""
    from ml.game import conditional_shapley

    peers = {"shapiq": (10, 14), "shap": (10, 12), "pydvl": (8, 10)}
    for name, sizes in peers.items():
        try:
            import_module(name)
            PEERS[name](np.zeros(4), 2)
        except Exception as error:  # a peer that breaks on import must not end the run
            reason = "not installed" if isinstance(error, ImportError) else "fails to import"
            yield row("peers", f"{name}: {reason}", None, "x all flows")
            continue
        for n_parties in sizes:
            values = np.random.default_rng(n_parties).random(2**n_parties)
            values[0] = 0.0
            peer = PEERS[name](values, n_parties)
            peer_s, ours_s = side_by_side(1, peer, lambda v=values: conditional_shapley(v))
            what = f"{name} {version_of(name)}, {n_parties} values, n = {n_parties}"
            yield row("peers", what, peer_s / ours_s, "x all flows", seconds=peer_s)


def _shapiq(values: np.ndarray, n_parties: int) -> Callable[[], Any]:
    from shapiq import ExactComputer

    places = 1 << np.arange(n_parties)

    def game(coalitions: np.ndarray) -> np.ndarray:
        return values[coalitions.astype(int) @ places]

    return lambda: ExactComputer(n_players=n_parties, game=game)("SV")


def _shap(values: np.ndarray, n_parties: int) -> Callable[[], Any]:
    from shap.explainers import Exact

    places = 1 << np.arange(n_parties)
    explain = Exact(
        lambda rows: values[(rows > 0.5).astype(int) @ places],
        masker=lambda mask, whole: (whole * mask).reshape(1, -1),
    )
    return lambda: explain(np.ones((1, n_parties)))


def _pydvl(values: np.ndarray, n_parties: int) -> Callable[[], Any]:
    from pydvl.value.games import Game
    from pydvl.value.shapley.naive import combinatorial_exact_shapley

    class TableGame(Game):
        def _score(self, model: Any, X: np.ndarray, y: np.ndarray) -> float:
            return float(values[(1 << X.ravel().astype(int)).sum()])

    return lambda: combinatorial_exact_shapley(
        TableGame(n_parties, score_range=(0, 1)).u, progress=False
    )


PEERS = {"shapiq": _shapiq, "shap": _shap, "pydvl": _pydvl}


def bench_clearing(options: argparse.Namespace) -> Iterator[Row]:
    """Clearing against the linear programme; large markets; many budgets at once."""
    from ml.game import adjustment_factors, allocate_many, check_certificate

    rng = np.random.default_rng(0)
    for n_parties in (5, 50, 200, 500) if options.full else (5, 50, 200):
        flows = rng.random((n_parties, n_parties))
        np.fill_diagonal(flows, 0.0)
        for share in (0.0, 0.05):
            budgets = share * n_parties * rng.random(n_parties)
            repeats = options.repeats if n_parties < 500 else 1
            programme, clearing = side_by_side(
                repeats,
                lambda f=flows, b=budgets: adjustment_factors(f, b, method="linear-programme"),
                lambda f=flows, b=budgets: adjustment_factors(f, b),
            )
            result = adjustment_factors(flows, budgets)
            other = adjustment_factors(flows, budgets, method="linear-programme")
            yield row(
                "clearing",
                f"LP over clearing, n = {n_parties}, {'some' if share else 'no'} budgets",
                programme / clearing,
                "times faster",
                "50" if n_parties == 200 else "",
                seconds=clearing,
                relative_gap=result.certificate.relative_gap,
                largest_difference=float(np.abs(result.factors - other.factors).max()),
            )
    for n_parties in (1000, 2000, 5000) if options.full else (1000,):
        flows = rng.random((n_parties, n_parties))
        np.fill_diagonal(flows, 0.0)
        yield _large_market(f"dense, n = {n_parties}, no budgets", flows, "", check_certificate)
    if options.full:
        flows = random_sparse(10**5, 10**6, rng)
        yield _large_market("10^5 parties, 10^6 flows, no budgets", flows, "60", check_certificate)
    flows = rng.random((8, 8))
    np.fill_diagonal(flows, 0.0)
    batch = 2 * rng.random((20_000, 8))
    started = time.perf_counter()
    allocate_many(flows, batch)
    rate = len(batch) / (time.perf_counter() - started)
    one, many = side_by_side(
        options.repeats,
        lambda: [adjustment_factors(flows, budgets) for budgets in batch[:200]],
        lambda: allocate_many(flows, batch),
    )
    yield row("clearing", "allocate_many, n = 8", rate, "allocations/s", "20000")
    yield row("clearing", "one by one over allocate_many", one * 100 / many, "times faster")


def _large_market(what: str, flows: Any, goal: str, check: Callable[..., bool]) -> Row:
    from ml.game import adjustment_factors

    budgets = np.zeros(flows.shape[0])
    started = time.perf_counter()
    result = adjustment_factors(flows, budgets)
    seconds = time.perf_counter() - started
    proved = check(flows, budgets, result.factors, result.certificate, tolerance=1e-10)
    return row(
        "clearing",
        what + (", certified" if proved else ", NOT certified"),
        seconds,
        "s",
        goal,
        relative_gap=result.certificate.relative_gap,
        rounds=result.rounds,
    )


def random_sparse(n_parties: int, n_flows: int, rng: np.random.Generator) -> Any:
    """Random market as a sparse matrix."""
    from scipy import sparse

    payer, payee = rng.integers(0, n_parties, (2, n_flows))
    kept = payer != payee
    entries = (rng.random(int(kept.sum())), (payer[kept], payee[kept]))
    return sparse.coo_array(entries, shape=(n_parties, n_parties)).tocsr()


def bench_estimators(options: argparse.Namespace) -> Iterator[Row]:
    """Error of estimated flows against the closed form, all methods, same evaluations."""
    from ml.game import ESTIMATORS

    goals = {("saturating", 12, 500): "1.5", ("coverage", 12, 500): "4"}
    for name in ("saturating", "coverage", "airport", "glove"):
        for n_parties, evaluations in ((12, 500), (12, 2000), (16, 4000)):
            errors = {
                method: [
                    error.relative_rms
                    for error in _flow_errors(name, method, n_parties, evaluations, options.repeats)
                ]
                for method in ESTIMATORS
            }
            alone = float(np.mean(errors["permutation"]))
            for method in ESTIMATORS:
                error = float(np.mean(errors[method]))
                goal = goals.get((name, n_parties, evaluations), "")
                if (n_parties, name) in ((16, "saturating"), (16, "coverage")):
                    goal = "2"
                yield row(
                    "estimators",
                    f"{name}, n = {n_parties}, {evaluations} evaluations, {method}",
                    100 * error,
                    "% of RMS flow",
                    goal if method == "quadratic" else "",
                    spread=100 * float(np.std(errors[method], ddof=1)),
                    seeds=len(errors[method]),
                    times_below_permutation=alone / error if error > 0 else float("inf"),
                )


def _flow_errors(
    name: str, method: str, n_parties: int, evaluations: int, seeds: int
) -> list[EstimateError]:
    from ml.game import estimate_error, estimate_flows, family

    errors = []
    for seed in range(max(2, seeds)):
        game = family(name, n_parties, seed)
        estimate = estimate_flows(game.evaluate, n_parties, evaluations, seed, method)
        errors.append(estimate_error(estimate, game.flows))
    return errors


def bench_standard_errors(options: argparse.Namespace) -> Iterator[Row]:
    """Share of the true flows within two standard errors of their estimates, every family."""
    from ml.game import ESTIMATORS, FAMILIES

    for name in FAMILIES:
        for method in ESTIMATORS:
            for n_parties, evaluations in ((5, 20), (12, 300)):
                if n_parties == 5 and method != "stratified":
                    continue  # with so few samples surrogates are means by size too
                errors = _flow_errors(name, method, n_parties, evaluations, 2 * options.repeats)
                told = np.sqrt(np.mean([error.claimed_rms**2 for error in errors]))
                found = np.sqrt(np.mean([error.rms**2 for error in errors]))
                yield row(
                    "standard errors",
                    f"{name}, n = {n_parties}, {evaluations} evaluations, {method}, within two",
                    100 * float(np.mean([error.share_within_two_errors for error in errors])),
                    "% of the flows",
                    "95",
                    told_over_found=float(told / found)
                    if found > 1e-12 * errors[0].rms_flow
                    else None,
                    seeds=len(errors),
                )


SECTIONS = {
    "kernel": bench_kernel,
    "peers": bench_peers,
    "clearing": bench_clearing,
    "estimators": bench_estimators,
    "standard-errors": bench_standard_errors,
}


def version_of(name: str) -> str:
    """Version of an installed package."""
    return metadata.version({"pydvl": "pyDVL"}.get(name, name))


def hardware() -> dict[str, Any]:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cpu_list = Path("/proc/cpuinfo")
    if cpu_list.exists():
        lines = cpu_list.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    versions = {name: version_of(name) for name in ("numpy", "scipy", "numba")}
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }


def in_words(entry: Row) -> str:
    """Figure with its unit."""
    return "-" if entry["figure"] is None else f"{entry['figure']:.4g} {entry['unit']}"


def as_markdown(machine: dict[str, Any], rows: list[Row]) -> str:
    """Report for people."""
    about = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines = [f"Measured on: {about}.", "", "| what | measured | goal |", "|---|---|---|"]
    for entry in rows:
        figure = in_words(entry)
        if "spread" in entry:
            figure += f" (sd {entry['spread']:.2g}, {entry['seeds']} games)"
            figure += f", {entry['times_below_permutation']:.3g} x below permutation"
        lines.append(f"| {entry['what']} | {figure} | {entry['goal']} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--full", action="store_true", help="with the large cases")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default 5)")
    options = parser.parse_args(arguments)
    machine, rows = hardware(), []
    for name in options.only or SECTIONS:
        for entry in SECTIONS[name](options):
            print(f"{entry['what']}: {in_words(entry)}", file=sys.stderr)
            rows.append(entry)
    if options.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
    else:
        print(as_markdown(machine, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
