#!/usr/bin/env python3
"""How often the truth lies within two errors of an estimate: flows and money, family by family.

    scripts/bench/coverage.py --seeds 5000 5010 --evaluations 60 --parties 8

Each game is drawn from a seed of its own, its exact flows and allocation are known, and half of
the games have budgets of 0, the other half of 0.02. Prints one line a family and method: the
share of flows, payoffs without and with budgets, factors and model values within two errors, and
how many times larger than they are the errors of flows and of payoffs without budgets are claimed
to be (root mean squares over the games).
Exits 1 where a share is below 0.9 by more than chance: two standard errors over the games, since
figures of one game fail together.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ml.game import ESTIMATORS, conditional_shapley
from tests.ml.game.games import FAMILIES, game, missed_and_claimed

FIGURES = ("flows", "payoffs_unlimited", "payoffs", "adjustment_factors", "model_values")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(5000, 5010), help="first, beyond")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--parties", type=int, default=8)
    parser.add_argument("--families", nargs="+", default=FAMILIES)
    parser.add_argument("--methods", nargs="+", default=ESTIMATORS)
    options = parser.parse_args()
    print(f"{options.parties} parties, {options.evaluations} evaluations, seeds {options.seeds}\n")
    heads = ["family", "method", *(f.replace("_", " ") for f in FIGURES), "claimed / found"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    is_short = False
    for name in options.families:
        for method in options.methods:
            rows, squares = [], []
            for seed in range(*options.seeds):
                values = game(name, options.parties, seed)
                flows = conditional_shapley(values)
                figures = missed_and_claimed(values, flows, options.evaluations, seed, method)
                rows.append([(missed <= 2 * claimed + 1e-9).mean() for missed, claimed in figures])
                squares.append([[np.mean(np.square(x)) for x in pair] for pair in figures[:2]])
            shares = np.mean(rows, axis=0)
            chance = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
            is_short |= bool((shares + 2 * chance < 0.9).any())
            found, claimed = np.sqrt(np.mean(squares, axis=0)).T
            cells = [f"{share:.2f}" for share in shares]
            ratios = claimed / np.maximum(found, 1e-300)
            cells.append(" / ".join(f"{ratio:.1f}" if ratio < 100 else "> 100" for ratio in ratios))
            print(f"| {name} | {method} | " + " | ".join(cells) + " |", flush=True)
    return int(is_short)


if __name__ == "__main__":
    raise SystemExit(main())
