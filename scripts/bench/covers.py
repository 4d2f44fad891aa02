#!/usr/bin/env python3
"""Measure which cover of a noisy table puts the payoffs of a single seed nearest to the truth.

    python scripts/bench/covers.py [--source digits-shares] [--seeds 12] [--table FILE]

Trains the five parties of the paper on many seeds. Each seed alone is covered in every way; its
payoffs without budgets are compared with those of the mean of all other seeds. Prints the bias (the
mean error of the party that is hit worst; a table that is kept as it is has none), the root mean
square error, and how far the cover lifts v(N); then how many payoffs have another sign than the
truth, of one seed and of the mean of three. FILE, a JSON list of score rows by
coalition, takes the place of training.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from ml.game import COVER_KINDS, ValueTable, conditional_shapley, cover, payoffs

LABELS = ([0], [1, 2], [0, 1, 2, 3], [3, 4, 5], [6, 7, 8, 9])
SMALL = {"hidden": [32], "epochs": 30, "learning_rate": 3e-3}
RECIPES = {"digits": SMALL, "digits-shares": SMALL, "mnist": {}}


def trained(source: str, n_seeds: int) -> NDArray[np.float64]:
    """Scores of all coalitions, shape (seeds, 32)."""
    from ml.datasets import data_spec, load
    from ml.training import recipe, train_coalitions

    parties = [{"labels": list(labels)} for labels in LABELS]
    if source == "digits-shares":  # five equal fifths: scores level off, and noise breaks edges
        parties = [{"share": 0.2} for _ in LABELS]
    data = load(data_spec({"source": source.partition("-")[0]}, parties))
    plan = recipe(RECIPES[source] | {"seeds": list(range(n_seeds))})
    with tempfile.TemporaryDirectory() as cache:
        scores = train_coalitions(data, plan, range(1, 32), cache=Path(cache)).scores
    return np.pad(scores, ((0, 0), (1, 0)))


def paid(table: ValueTable) -> NDArray[np.float64]:
    """Payoffs without budgets."""
    return payoffs(conditional_shapley(table.values))


def wrong_signs(scores: NDArray[np.float64], together: int) -> float:
    """Share of payoffs whose sign is another than that of the mean of all other seeds."""
    n_seeds, wrong = len(scores), []
    for first in range(n_seeds):
        chosen = (first + np.arange(together)) % n_seeds
        found = paid(ValueTable(scores[chosen].mean(axis=0)))
        truth = paid(ValueTable(np.delete(scores, chosen, axis=0).mean(axis=0)))
        wrong.append(np.sign(found) != np.sign(truth))
    return float(np.mean(wrong))


def main() -> int:
    """Print a line a cover."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--source", choices=tuple(RECIPES), default="digits")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--table", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.table is not None:
        scores = np.array(json.loads(arguments.table.read_text()))
    else:
        scores = trained(arguments.source, arguments.seeds)
    n_seeds = len(scores)
    broken = [ValueTable(row).monotonicity().n_broken for row in scores]
    print(f"{arguments.source}, {n_seeds} seeds, {np.mean(broken):.1f} broken edges a seed")
    print("cover      bias     rmse     lift of v(N)")
    for kind in ("keep", *COVER_KINDS):
        errors, lifts = [], []
        for seed, row in enumerate(scores):
            truth = paid(ValueTable(np.delete(scores, seed, axis=0).mean(axis=0)))
            table = ValueTable(row)
            covered = table if kind == "keep" else cover(table, kind).table
            errors.append(paid(covered) - truth)
            lifts.append(covered.grand_value - table.grand_value)
        bias = np.abs(np.mean(errors, axis=0)).max()
        rmse = np.sqrt(np.mean(np.square(errors)))
        print(f"{kind:9}  {bias:.4f}   {rmse:.4f}   {np.mean(lifts):+.4f}")
    shares = ", ".join(f"of {n} {wrong_signs(scores, n):.0%}" for n in (1, 3) if n < n_seeds)
    print(f"payoffs of the wrong sign, by seeds whose mean is taken: {shares}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
