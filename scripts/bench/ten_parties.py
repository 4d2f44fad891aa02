#!/usr/bin/env python3
"""MNIST among ten parties: how many of the 1,023 trainings bring payments near the exact ones.

    python scripts/bench/ten_parties.py --train FOLDER [--source digits] [--parties 3]
    python scripts/bench/ten_parties.py [--table FILE] [--seeds 5] [--choices payments flows sizes]

The first line trains every coalition and writes FOLDER/mnist_10_parties.json, a file of values as
`fairround calculate` reads it; that took 40 minutes of one core of two that others kept busy. It
can be killed: what has been trained lies in FOLDER and is not trained again. The second line trains
nothing. It takes some of the values and estimates the payments as a round does that trains a sample
(the scores as they are, negative flows raised), and prints how far they are from those of a round
that trains all coalitions (the nearest monotone table). ``sizes`` draws coalitions at random, sizes
by turn; ``flows`` and ``payments`` choose them one batch after the other by what is known so far.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from ml.game import (
    ValueTable,
    allocate,
    allocate_estimate,
    bitmasks,
    cover,
    estimate_flows,
)

TABLE = Path(__file__).resolve().parents[2] / "tests" / "data" / "mnist_ten_parties.json"

LABELS = {
    "0": [0],
    "1-2": [1, 2],
    "0-3": [0, 1, 2, 3],
    "3-5": [3, 4, 5],
    "6-9": [6, 7, 8, 9],
    "4": [4],
    "7-8": [7, 8],
    "2-4": [2, 3, 4],
    "5-7": [5, 6, 7],
    "8-0": [8, 9, 0],
}
"""The digits of each party: the five parties of the paper, then five that overlap with them."""

SIZE = 0.5
"""Each party holds half of the images of its digits, drawn on its own: with all of them there would
be 115 different models for 1,023 coalitions."""

WITH_BUDGET = ("0", "1-2", "4", "7-8")
"""All others have a budget of 0."""

EVALUATIONS = (40, 60, 80, 100, 125, 150, 175, 200, 250, 300)
RECIPES: dict[str, dict[str, Any]] = {
    "mnist": {},
    "digits": {"hidden": [32], "epochs": 30, "batch_size": 16, "learning_rate": 3e-3},
}


def train(folder: Path, source: str, n_parties: int) -> Path:
    """Train all coalitions, going on where an earlier call was killed, and write their values."""
    from ml.datasets import data_spec, load
    from ml.files import write_atomically
    from ml.training import recipe, train_coalitions

    names = list(LABELS)[:n_parties]
    parties = [{"name": name, "labels": LABELS[name], "size": SIZE} for name in names]
    data = load(data_spec({"source": source, "holdout_share": 0.5}, parties))
    began, told = time.monotonic(), [0.0]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if now - told[0] > 30 or done == total:
            told[0] = now
            print(f"{now - began:6.0f} s: {done:,} of {total:,} steps", flush=True)

    scores = train_coalitions(
        data,
        recipe(RECIPES[source]),
        range(1, 2**n_parties),
        cache=folder / "models",
        progress=progress,
    )
    print(f"{scores.n_trained} models trained, {scores.n_recalled} recalled, {scores.device}")
    file = folder / f"{source}_{n_parties}_parties.json"
    values = [0.0, *scores.means.tolist()]
    write_atomically(file, json.dumps({"parties": names, "values": values}).encode())
    return file


class Sampled:
    """A game whose values are known, and what a round would pay that sees only some of them."""

    def __init__(self, values: NDArray[np.float64], limit: float) -> None:
        self.values = values
        self.n_parties = len(values).bit_length() - 1
        names = list(LABELS)[: self.n_parties]
        self.budgets = [limit if name in WITH_BUDGET else 0.0 for name in names]
        self.exact = allocate(cover(ValueTable(values), "isotonic").table, self.budgets)

    def look(
        self, evaluations: int, choose: str, seed: int, error: float | None = None
    ) -> tuple[int, float, float]:
        """Estimate from a sample.

        Parameters
        ----------
        evaluations : int
            Most coalitions that the estimate may see.
        choose : {"sizes", "flows", "payments"}
        seed : int
            Of the sample.
        error : float, optional
            Stop when no net payment has a larger standard error, value units.

        Returns
        -------
        int
            Coalitions seen.
        float, float
            Largest error of a net payment with the budgets, and without any; value units.
        """
        estimate = estimate_flows(
            lambda members: self.values[bitmasks(members)],
            self.n_parties,
            evaluations,
            seed,
            choose=choose,
            budgets=self.budgets,
            target_payment_error=error,
            batch_size=16,
        )
        paid = allocate_estimate(estimate, self.budgets, draws=2).allocation  # its errors: unused
        off = paid.payoffs - self.exact.payoffs
        unlimited = paid.payoffs_unlimited - self.exact.payoffs_unlimited
        return estimate.n_evaluations, float(np.abs(off).max()), float(np.abs(unlimited).max())


def enough(largest: dict[int, float], near: float) -> int | None:
    """Fewest evaluations from which on no error is beyond ``near``; None if the last one is."""
    least = None
    for evaluations in sorted(largest, reverse=True):
        if largest[evaluations] > near:
            break
        least = evaluations
    return least


def evaluate(game: Sampled, options: argparse.Namespace) -> None:
    """Print a line a choice and number of trainings, and from where on all payments are near."""
    print("| chosen by | trained | payments off, with budgets | worst | without | worst |")
    print("|---|---|---|---|---|---|")
    for choose in options.choices:
        worst: tuple[dict[int, float], dict[int, float]] = ({}, {})
        for evaluations in options.evaluations:
            rows = [game.look(evaluations, choose, seed) for seed in range(options.seeds)]
            for kept, column in zip(worst, (1, 2), strict=True):
                kept[evaluations] = max(row[column] for row in rows)
            print(f"| {choose} | {evaluations} | {cells(rows)} |", flush=True)
        counts = [enough(kept, options.near) or "none of these" for kept in worst]
        print(f"| {choose} | all within {options.near:g} from | {counts[0]} || {counts[1]} ||")
        # Who trains a sample does not know the truth, and stops by the estimate's own error.
        most = max(options.evaluations)
        rows = [game.look(most, choose, seed, options.near) for seed in range(options.seeds)]
        seen = "/".join(str(row[0]) for row in rows)
        print(f"| {choose} | until its own error is {options.near:g}: {seen} | {cells(rows)} |")


def cells(rows: list[tuple[int, float, float]]) -> str:
    """Mean, spread over samples and worst of the errors, with and without budgets."""
    columns = [np.array([row[column] for row in rows]) for column in (1, 2)]
    spread = [f" (sd {off.std(ddof=1):.4f})" if len(off) > 1 else "" for off in columns]
    return " | ".join(
        f"{off.mean():.4f}{sd} | {off.max():.4f}" for off, sd in zip(columns, spread, strict=True)
    )


def main() -> int:
    """Train, or evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, default=None, metavar="FOLDER")
    parser.add_argument("--source", choices=tuple(RECIPES), default="mnist", help="to train on")
    parser.add_argument("--parties", type=int, default=10, help="train the first of the ten alone")
    parser.add_argument("--table", type=Path, default=TABLE, help="values of all coalitions")
    parser.add_argument("--evaluations", type=int, nargs="+", default=EVALUATIONS)
    parser.add_argument("--seeds", type=int, default=5, help="samples drawn of each size")
    choices = ("payments", "flows", "sizes")
    parser.add_argument("--choices", nargs="+", choices=choices, default=choices)
    parser.add_argument("--budget", type=float, default=0.3, help=f"of {', '.join(WITH_BUDGET)}")
    parser.add_argument("--near", type=float, default=0.01, help="error that is small enough")
    options = parser.parse_args()
    if options.train:
        print(train(options.train, options.source, options.parties))
        return 0
    values = np.array(json.loads(options.table.read_text())["values"])
    print(
        f"{options.table.name}, {options.seeds} samples a line, Python "
        f"{platform.python_version()}, numpy {np.__version__}"
    )
    print(cover(ValueTable(values), "isotonic").summary(), end="\n\n")
    evaluate(Sampled(values, options.budget), options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
