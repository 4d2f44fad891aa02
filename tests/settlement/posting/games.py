"""Awkward games in posted units, and what they come to in exact rationals, by another way."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

from settlement.posting.format import FACTOR_ONE, NO_CAP, VALUE_SCALE, Game, flow_scale

KINDS = ("dense", "tiny", "chain", "closed", "replicas", "sparse", "star", "silent", "extreme")


def game_of_rows(rows: list[list[int]], spare: int = 0, wanted: tuple[int, ...] = ()) -> Game:
    """A game with these flows, own values made to fit eq. (4); some flows may grow a little."""
    n, scale = len(rows), flow_scale(len(rows))
    grand = max(sum(row) for row in rows) + spare
    grand += -grand % scale
    for i, row in enumerate(rows):
        row[(i + 1) % n] += (grand - sum(row)) % scale
    grand = max(grand, max(sum(row) for row in rows))
    grand += -grand % scale
    own = tuple((grand - sum(row)) // scale for row in rows)
    return Game(tuple(map(tuple, rows)), own, wanted)


def random_game(
    n: int, generator: random.Random, kind: str = "dense", *, capped: bool = False
) -> Game:
    """One game of a kind; flows of a party sum to less than one unit of value, mostly."""
    top = VALUE_SCALE * flow_scale(n) // n
    rows = [[0] * n for _ in range(n)]
    for i, j in itertools.permutations(range(n), 2):
        flow = generator.randrange(top)
        if kind == "tiny":
            flow = generator.choice([0, 0, 1, 2, generator.randrange(1, 10**6), flow])
        elif kind == "chain":  # everybody owes the next one; the last owes almost nothing
            flow = (flow if i < n - 1 else 1) if j == (i + 1) % n else 0
        elif kind == "closed":  # two groups that hardly owe each other
            flow = flow if i % 2 == j % 2 else generator.choice([0, 0, 1])
        elif kind == "replicas":
            flow = top // (2 + i // 2 + j // 2)
        elif kind == "sparse":
            flow = flow if generator.random() < 0.2 else 0
        elif kind == "star":
            flow = flow if 0 in (i, j) else 0
        elif kind == "silent":  # some owe nothing, some are owed nothing
            flow = 0 if i % 3 == 0 or j % 3 == 1 else flow
        elif kind == "extreme":
            flow = generator.choice([0, 1, top - 1, top - 1])
        rows[i][j] = flow
    spare = generator.choice([0, 0, 1, top])
    wanted: tuple[int, ...] = ()
    if capped:
        most = 2 * VALUE_SCALE
        choices = (NO_CAP, 0, 1, most)
        wanted = tuple(generator.choice([*choices, generator.randrange(most)]) for _ in range(n))
    return game_of_rows(rows, spare, wanted)


def exact_positions(game: Game, deposits: list[int], exchange_rate: int) -> list[Fraction]:
    """Exact net positions in base units, by trying which parties are short; for few parties.

    Under every clearing vector the final cash is the same, so the first one found will do. One is
    among them: the greatest has a party at its upper bound in every closed group without cash.
    """
    n = game.n_parties
    unit = game.scale * VALUE_SCALE * FACTOR_ONE
    budgets = [Fraction(deposit * unit, exchange_rate) for deposit in deposits]
    uppers, costs = game.uppers, game.costs
    for size in range(n + 1):
        for short in itertools.combinations([i for i in range(n) if costs[i]], size):
            x = _solved(game, budgets, uppers, short)
            if x is None:
                continue
            inflows = [sum(game.flows[k][i] * x[k] for k in range(n)) for i in range(n)]
            if all(
                0 <= x[i] <= uppers[i]
                and (x[i] == uppers[i] or costs[i] * x[i] == budgets[i] + inflows[i])
                and costs[i] * x[i] <= budgets[i] + inflows[i]
                for i in range(n)
            ):
                return [exchange_rate * (inflows[i] - costs[i] * x[i]) / unit for i in range(n)]
    raise AssertionError("no clearing was found")


def _solved(
    game: Game, budgets: list[Fraction], uppers: tuple[int, ...], short: tuple[int, ...]
) -> list[Fraction] | None:
    """Factors where these parties spend all that they have; None if the system is singular."""
    n = game.n_parties
    x = [Fraction(upper) for upper in uppers]
    rows = [
        [Fraction(game.costs[i] if i == k else -game.flows[k][i]) for k in short]
        + [budgets[i] + sum(game.flows[k][i] * x[k] for k in range(n) if k not in short)]
        for i in short
    ]
    for k in range(len(rows)):
        pivot = next((r for r in range(k, len(rows)) if rows[r][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for r, row in enumerate(rows):
            if r != k and row[k]:
                rows[r] = [a - row[k] * b for a, b in zip(row, rows[k], strict=True)]
    for k, i in enumerate(short):
        x[i] = rows[k][-1]
    return x
