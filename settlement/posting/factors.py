"""The whole-number clearing equations of a posting, solved.

What is returned is exact. Floats only say where to start: an elimination in floats is refined by
whole-number residuals, and the rest of the way is walked in whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from settlement.posting.format import PostingError

__all__ = ["greatest_factors", "visiting_duals"]

REFINEMENTS = 20
MAX_SWEEPS = 100_000
MAX_PRODUCTS = 4 * 10**7
"""Of a walk, so that many parties give up after seconds as well."""


def greatest_factors(
    flows: Sequence[Sequence[int]],
    costs: Sequence[int],
    means: Sequence[int],
    uppers: Sequence[int],
) -> tuple[int, ...]:
    """The greatest whole x with x[i] = min(uppers[i], ceil((means[i] + inflow of i) / costs[i])).

    The inflow of i is the sum of flows[k][i] x[k]; a party without cost is at its upper bound.

    Notes
    -----
    The right side never falls when x grows, so there is a greatest solution, and walking from any
    point above it ends there. Rounded up, not down: with budgets of 0 the rounded-down equations
    lose a little on every round trip and only x = 0 is left. Every solution lies below the
    solution of the same equations without rounding and with one unit more for everybody, so the
    walk starts there; from the top it would take thousands of steps.
    """
    everybody = range(len(costs))
    payers = [[k for k in everybody if flows[k][i]] for i in everybody]

    def wish(i: int, x: Sequence[int], extra: int = 0) -> int:
        if not costs[i]:
            return uppers[i]
        inflow = sum(flows[k][i] * x[k] for k in payers[i])
        return min(uppers[i], -(-(means[i] + extra * costs[i] + inflow) // costs[i]))

    start = list(uppers)
    short: list[int] = []
    while True:
        # Fictitious default: who cannot pay while the others pay all they can, never can.
        found = {i for i in everybody if wish(i, start, 1) < start[i]}.difference(short)
        if not found:
            break
        short = sorted({*short, *found})
        rights = [
            means[i] + costs[i] + sum(flows[k][i] * uppers[k] for k in payers[i] if k not in short)
            for i in short
        ]
        matrix = [[costs[i] if k == i else -flows[k][i] for k in short] for i in short]
        start = list(uppers)
        for i, factor in zip(short, _solve(matrix, rights), strict=True):
            start[i] = max(0, min(uppers[i], factor + 2))
    return _walk(wish, start)


def visiting_duals(
    flows: Sequence[Sequence[int]], factors: Sequence[int], uppers: Sequence[int], one: int
) -> tuple[int, ...]:
    """The least whole y with y[i] = one + ceil(sum_j flows[i][j] y[j] / cost of i), for short i.

    Short are the parties below their upper bound; for the others y is 0. In units of ``one``, y[i]
    is how often a unit of money that leaves i comes by a short party before it ends.
    """
    short = [i for i, factor in enumerate(factors) if factor != uppers[i]]
    costs = [sum(row) for row in flows]
    matrix = [[costs[i] if j == i else -flows[i][j] for j in short] for i in short]
    start = [0] * len(factors)
    for i, dual in zip(short, _solve(matrix, [costs[i] * one for i in short]), strict=True):
        start[i] = max(0, dual - 2)

    def wish(i: int, y: Sequence[int]) -> int:
        if factors[i] == uppers[i]:
            return 0
        return one - (-sum(flows[i][j] * y[j] for j in short) // costs[i])

    return _walk(wish, start)


def _walk(wish: Callable[[int, Sequence[int]], int], start: list[int]) -> tuple[int, ...]:
    """Let every entry follow its wish, in place, until all are satisfied.

    The steps to go grow with the condition of the equations: money that leaves a party once in a
    million rounds takes millions of sweeps.
    """
    n_sweeps = min(MAX_SWEEPS, MAX_PRODUCTS // len(start) ** 2)
    for _ in range(n_sweeps):
        content = True
        for i, entry in enumerate(start):
            start[i] = wish(i, start)
            content = content and start[i] == entry
        if content:
            return tuple(start)
    raise PostingError(
        f"The equations of {len(start)} parties have not settled after {n_sweeps} sweeps: they are "
        f"too ill-conditioned to be posted. Settle by signatures."
    )


def _solve(matrix: Sequence[Sequence[int]], rights: Sequence[int]) -> list[int]:
    """Solution of a dominant linear system, to about one unit."""
    eliminated = _Eliminated(matrix)
    solution = [0] * len(rights)
    for _ in range(REFINEMENTS):
        residual = [
            right - sum(a * x for a, x in zip(row, solution, strict=True))
            for row, right in zip(matrix, rights, strict=True)
        ]
        steps = [round(step) for step in eliminated.solve(residual)]
        solution = [x + step for x, step in zip(solution, steps, strict=True)]
        if max((abs(step) for step in steps), default=0) <= 1:
            break
    return solution


class _Eliminated:
    """LU factors in floats, without pivoting: diagonally dominant matrices need none."""

    def __init__(self, matrix: Sequence[Sequence[int]]) -> None:
        # A power of two as common divisor keeps large whole numbers within floats, exactly.
        largest = max((abs(a) for row in matrix for a in row), default=1)
        self.divisor = 1 << max(0, largest.bit_length() - 53)
        self.rows = [[a / self.divisor for a in row] for row in matrix]
        for k, pivot in enumerate(self.rows):
            for row in self.rows[k + 1 :]:
                if row[k]:
                    row[k] /= pivot[k]
                    for j in range(k + 1, len(pivot)):
                        row[j] -= row[k] * pivot[j]

    def solve(self, rights: Sequence[int]) -> list[float]:
        """Solution of the system with these right sides."""
        x = [right / self.divisor for right in rights]
        for i, row in enumerate(self.rows):
            x[i] -= sum(row[j] * x[j] for j in range(i))
        for i in range(len(x) - 1, -1, -1):
            row = self.rows[i]
            x[i] = (x[i] - sum(row[j] * x[j] for j in range(i + 1, len(x)))) / row[i]
        return x
