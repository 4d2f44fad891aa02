#!/usr/bin/env python3
"""Count in how many games a party gains by hiding its budget or by taking part twice.

    python scripts/bench/incentives.py [--games 400] [--seed 0]

Half of the games are random monotone tables, half are of closed-form families; 3 to 6 parties.
Prints the tables of `ml/INCENTIVES.md`. A party's utility is w times the value of its model plus
what it is paid, both in units of value; w is its private rate. All shares of games count those in
which at least one party gains, or loses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

from ml.game import (
    FAMILIES,
    ValueTable,
    allocate_many,
    conditional_shapley,
    factor_caps,
    family,
    replicate_party,
)

RATES = np.array([0.5, 0.8, 0.95, 1.0])
SHOWN = np.arange(10) / 10
"""Shares of its budget that a party may show instead of all of it."""

LARGEST_BUDGET = 0.5
"""Budgets are drawn evenly from 0 to this share of v(N)."""

TIGHT_BUDGET = 0.1
"""Everybody's budget where parties take part twice, as a share of v(N)."""

GAIN = 1e-9
"""What a smaller change than this share of v(N) is: rounding."""

PROTECTIONS = {
    "loss beyond budget": ("a budget b", "(1 - w) b"),
    "loss beyond cap": ("a cap halfway from v(i) to v(N)", "(1 - w) (cap - v(i))"),
    "loss at budget 0": ("no budget", "nothing"),
    "loss at own value": ("a cap at v(i)", "nothing"),
}
"""Losses against being alone that `hiding` finds: what a party has, what it promises."""

Floats = NDArray[np.float64]


def games(n_games: int, rng: np.random.Generator) -> Iterator[ValueTable]:
    """Random monotone tables and closed-form families in turn, scaled to v(N) = 1."""
    for number in range(n_games):
        n_parties = 3 + number // 2 % 4
        if number % 2:
            name = tuple(FAMILIES)[number // 8 % len(FAMILIES)]
            values = family(name, n_parties, int(rng.integers(1 << 30))).table().values
        else:
            values = rng.random(2**n_parties)
            values[0] = 0.0
            for party in range(n_parties):
                pairs = values.reshape(-1, 2, 1 << party)
                np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
        yield ValueTable(values / values[-1])


def utilities(flows: Floats, budgets: Floats, caps: Floats | None = None) -> Floats:
    """Utility over being alone, shape (rates, rows of budgets, parties)."""
    found = allocate_many(flows, budgets, caps)
    return np.asarray(RATES[:, None, None] * found.costs + found.payoffs)


def hiding(table: ValueTable, budgets: Floats) -> dict[str, Floats]:
    """What each party gains by hiding, and by what it ends worse than alone; (rates, parties)."""
    flows, own, n_parties = conditional_shapley(table.values), table.own_values, len(budgets)
    shown = np.tile(budgets, (n_parties, len(SHOWN), 1))
    for party in range(n_parties):
        shown[party, :, party] *= SHOWN
    rows = np.vstack([budgets, shown.reshape(-1, n_parties)])
    over_alone = utilities(flows, rows)
    honest = over_alone[:, 0]
    hidden = over_alone[:, 1:].reshape(len(RATES), n_parties, len(SHOWN), n_parties)
    best = np.stack([hidden[:, party, :, party].max(axis=1) for party in range(n_parties)], axis=1)
    nothing = np.stack([hidden[:, party, 0, party] for party in range(n_parties)], axis=1)
    half, none = np.empty_like(honest), np.empty_like(honest)
    for party in range(n_parties):
        for kept, share in ((half, 0.5), (none, 0.0)):
            wanted = np.full(n_parties, np.inf)
            wanted[party] = own[party] + share * (1 - own[party])
            caps = factor_caps(own, 1.0, wanted)
            kept[:, party] = utilities(flows, budgets[None], caps)[:, 0, party]
    unlimited = utilities(flows, np.full((1, n_parties), np.inf))[:, 0]
    missing = (1 - RATES)[:, None]
    return {
        "gain": best - honest,
        "loss": -honest,
        "loss unlimited": -unlimited,
        "loss beyond budget": -honest - missing * budgets,
        "loss beyond cap": -half - missing * 0.5 * (1 - own),
        "loss at budget 0": -nothing,
        "loss at own value": -none,
    }


SECOND_PLACES = (
    "none",
    "the second place as much again",
    "the second place 0",
    "half each",
    "the second place without limit",
    "the same, beside one place without limit",
)
"""What a second place brings; the last compares with a single place that has the same money."""


def taking_part_twice(table: ValueTable) -> Iterator[tuple[bool, bool, Floats]]:
    """By party: whether it pays without budgets, and with tight ones; what a second place gains it.

    Gains at rate 1, of `SECOND_PLACES`; where there are budgets, everybody else's is tight.
    """
    n_parties, own = table.n_parties, table.own_values
    flows = conditional_shapley(table.values)
    tight = np.full(n_parties, TIGHT_BUDGET)
    alone = np.vstack([np.full(n_parties, np.inf), tight, np.tile(tight, (n_parties, 1))])
    alone[2 + np.arange(n_parties), np.arange(n_parties)] = np.inf
    before = utilities(flows, alone)[-1] + own
    paid = allocate_many(flows, alone[:2]).payoffs
    for party in range(n_parties):
        twice = replicate_party(table, party)
        rows = np.full((len(SECOND_PLACES), n_parties + 1), TIGHT_BUDGET)
        rows[0] = np.inf
        rows[2, -1] = 0.0
        rows[3, [party, -1]] = TIGHT_BUDGET / 2
        rows[4:, -1] = np.inf
        found = allocate_many(conditional_shapley(twice.values), rows)
        # Of two models it needs the better one.
        places = [party, n_parties]
        model = own[party] + found.costs[:, places].max(axis=1)
        after = model + found.payoffs[:, places].sum(axis=1)
        pays = paid[:, party] < -GAIN
        yield bool(pays[0]), bool(pays[1]), after - before[[0, 1, 1, 1, 1, 2 + party], party]


def percent(is_so: NDArray[np.bool_]) -> str:
    """Share in whole percent."""
    return f"{100 * is_so.mean():.0f} %"


def hiding_lines(tables: list[ValueTable], rng: np.random.Generator) -> list[str]:
    """The tables of private rates and of what protects."""
    found = [hiding(t, rng.uniform(0, LARGEST_BUDGET, t.n_parties)) for t in tables]
    worst = {name: np.array([game[name].max(axis=1) for game in found]) for name in found[0]}
    parties = np.concatenate([game["gain"] for game in found], axis=1)
    lines = [
        "| w | hiding gains in games | parties that gain by hiding | largest gain "
        "| games with a party worse than alone | the same without budgets | largest loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for k, rate in enumerate(RATES):
        counts = [
            percent(worst["gain"][:, k] > GAIN),
            percent(parties[k] > GAIN),
            f"{max(0.0, worst['gain'][:, k].max()):.3f}",
            percent(worst["loss"][:, k] > GAIN),
            percent(worst["loss unlimited"][:, k] > GAIN),
            f"{max(0.0, worst['loss'][:, k].max()):.3f}",
        ]
        lines.append(f"| {rate:g} | " + " | ".join(counts) + " |")
    lines += ["", "| a party has | and loses at most | parties that lose more |", "|---|---|---|"]
    for name, (protection, bound) in PROTECTIONS.items():
        losses = np.concatenate([game[name].ravel() for game in found])
        lines.append(f"| {protection} | {bound} | {(losses > GAIN).sum()} of {losses.size:,} |")
    return lines


def replica_lines(tables: list[ValueTable]) -> list[str]:
    """The table of parties that take part twice; a row a way to bring budgets."""
    rows = [row for table in tables for row in taking_part_twice(table)]
    pays, tight = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    gains = np.array([row[2] for row in rows])
    lines = [
        f"| budgets | of {pays.sum():,} payers gain | of {tight.sum():,} who pay under the budgets "
        f"| of {(~pays).sum():,} others | largest gain of a payer, of others |",
        "|---|---|---|---|---|",
    ]
    for k, way in enumerate(SECOND_PLACES):
        does = gains[:, k] > GAIN
        counts = [f"{does[who].sum()}" for who in (pays, tight, ~pays)]
        if way == "none":
            counts[1] = "-"  # who pays is the same without budgets
        largest = ", ".join(f"{max(0.0, gains[who, k].max()):.3f}" for who in (pays, ~pays))
        lines.append(f"| {way} | {' | '.join(counts)} | {largest} |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--games", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    tables = list(games(options.games, rng))
    print(f"{options.games} games, seed {options.seed}\n")
    print("\n".join(hiding_lines(tables, rng)), end="\n\n")
    print("\n".join(replica_lines(tables)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
