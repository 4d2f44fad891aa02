#!/usr/bin/env python3
"""Errors of estimated Shapley values beside those of shapiq, same games, same evaluations.

shapiq 1.8 wants Python 3.12, so it has an environment of its own:

    python3.12 -m venv peers && peers/bin/pip install "shapiq>=1.8" lightgbm
    peers/bin/python scripts/bench/peers.py --evaluations 60 100 200 500 --seeds 5

Only numpy, scipy and scikit-learn of ours are needed there. ShaplEIG runs where botorch is.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ml.game import decompose, estimate_flows, family

GAMES = (("coverage", 12), ("saturating", 12), ("saturating", 20), ("glove", 12), ("airport", 12))
PEERS: dict[str, dict[str, Any]] = {
    "PermutationSamplingSV": {},
    "KernelSHAP": {},
    "LeverageSHAP": {},
    "OddSHAP": {},
    "PolySHAP": {},
    "RegressionMSR": {"index": "SV", "proxy_model": "lightgbm"},
    "ShaplEIG": {},
}


def peer_values(name: str, game: Any, evaluations: int, seed: int) -> np.ndarray:
    """Shapley values of a game by one of shapiq's estimators."""
    import shapiq

    n_parties = game.n_parties

    def evaluate(coalitions: np.ndarray) -> np.ndarray:
        members = np.atleast_2d(coalitions)
        return np.where(members.any(axis=1), game.evaluate(members), 0.0)

    approximator = getattr(shapiq, name)(n=n_parties, random_state=seed, **PEERS[name])
    found = approximator.approximate(budget=evaluations, game=evaluate)
    return np.array([found[(party,)] for party in range(n_parties)])


def own_values(game: Any, evaluations: int, seed: int) -> np.ndarray:
    """Shapley values of a game by our default estimator, from its flows, eq. (6)."""
    estimate = estimate_flows(game.evaluate, game.n_parties, evaluations, seed)
    return decompose(estimate.flows, estimate.own_values).sum(axis=1)


def row(
    name: str, n_parties: int, evaluations: int, seeds: int, who: str, find: Callable[..., Any]
) -> str:
    """One line: relative root mean square error, its spread over seeds, seconds a run."""
    errors, started = [], time.perf_counter()
    for seed in range(seeds):
        game = family(name, n_parties, seed)
        alone = game.evaluate(np.eye(n_parties))
        truth = decompose(game.flows, alone).sum(axis=1)
        try:
            found = find(game, evaluations, seed)
        except Exception as error:  # a peer that cannot be had must not end the run
            return f"| {name} {n_parties} | {evaluations} | {who} | - ({type(error).__name__}) | |"
        errors.append(np.sqrt(((found - truth) ** 2).mean() / (truth**2).mean()))
    seconds = (time.perf_counter() - started) / seeds
    spread = f"sd {100 * np.std(errors, ddof=1):.2g}, {seeds} seeds" if seeds > 1 else "one seed"
    figure = f"{100 * np.mean(errors):.3g} % ({spread})"
    return f"| {name} {n_parties} | {evaluations} | {who} | {figure} | {seconds:.2g} s |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, nargs="+", default=[60, 100, 200, 500])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"shapiq {metadata.version('shapiq')}, numpy {np.__version__}\n")
    print("| game, parties | evaluations | by | error of Shapley values | a run |")
    print("|---|---|---|---|---|")
    for name, n_parties in GAMES:
        for evaluations in options.evaluations:
            print(row(name, n_parties, evaluations, options.seeds, "fairround", own_values))
            for who in PEERS:
                find = lambda game, t, seed, who=who: peer_values(who, game, t, seed)  # noqa: E731
                print(row(name, n_parties, evaluations, options.seeds, who, find), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
