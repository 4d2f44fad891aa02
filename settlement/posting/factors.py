"""Factors that prove a settlement: a clearing of the game, solved exactly, in whole numbers.

No choice of deposits is left without a proof, so nothing here is a float, a tolerance or a number
of steps. The proof that the result always passes is in contracts/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from settlement.posting.format import FACTOR_ONE, VALUE_SCALE, Game

__all__ = ["proving_factors"]


def proving_factors(
    game: Game, deposits_units: Sequence[int], exchange_rate: int
) -> tuple[int, ...]:
    """Factors with which anybody can settle, in units of 2**-72; one for each party.

    Parameters
    ----------
    game : Game
        Of 2 to 64 parties.
    deposits_units : sequence of int
        Locked deposits in base units: the budgets.
    exchange_rate : int
        nu, base units a unit of value.

    Notes
    -----
    The greatest clearing of the game in which every party has a little more than its deposit:
    2**-72 of all flows towards it. Rounding every factor up then takes from nobody more than
    that. With the extra money no group of short parties can owe to itself alone, so no linear
    system on the way is singular: *fictitious default* (mark whoever cannot pay while the others
    pay all they can, solve, repeat) ends after n rounds at most. The marked set only grows, so one
    fraction-free elimination, which grows with it, serves all rounds: n**3 / 3 steps on whole
    numbers of up to 64 n bits, a second at worst for 64 parties.

    Source: Eisenberg and Noe (2001), section 3.1, on the flows of eq. (5).
    """
    flows, costs = game.flows, game.costs
    everybody = range(game.n_parties)
    unit = game.scale * VALUE_SCALE * FACTOR_ONE
    payers = [[k for k in everybody if flows[k][i]] for i in everybody]
    budgets = [
        deposit * unit + exchange_rate * sum(flows[k][i] for k in payers[i])
        for i, deposit in enumerate(deposits_units)
    ]
    uppers = [exchange_rate * upper for upper in game.uppers]  # of nu times a factor
    elimination = _Elimination()
    short: list[int] = []
    # nu times each factor is numerators[i] / denominator.
    numerators, denominator = list(uppers), 1
    while True:
        found = [
            i
            for i in everybody
            if i not in short
            and costs[i] * numerators[i]
            > budgets[i] * denominator + sum(flows[k][i] * numerators[k] for k in payers[i])
        ]
        if not found:
            break
        for i in found:
            short.append(i)
            elimination.add(
                [costs[k] if k == i else -flows[k][i] for k in short],
                [-flows[i][k] for k in short[:-1]],
            )
        marked = set(short)
        solution, denominator = elimination.solve(
            [
                budgets[i] + sum(flows[k][i] * uppers[k] for k in payers[i] if k not in marked)
                for i in short
            ]
        )
        numerators = [upper * denominator for upper in uppers]
        for i, numerator in zip(short, solution, strict=True):
            numerators[i] = numerator
    whole = denominator * exchange_rate
    return tuple(
        min(upper, -(-numerator // whole))
        for upper, numerator in zip(game.uppers, numerators, strict=True)
    )


class _Elimination:
    """Fraction-free elimination (Bareiss) of a matrix that gains rows and columns.

    Every division is exact. No pivoting: the leading minors of these matrices are positive.
    """

    def __init__(self) -> None:
        self._rows: list[
            list[int]
        ] = []  # row i: multipliers left of the diagonal, then what is left
        self._minors = [1]  # leading minors; the last one is the determinant

    def add(self, row: Sequence[int], column: Sequence[int]) -> None:
        """Append a row, diagonal included, and a column above it."""
        rows, minors = self._rows, self._minors
        new = list(row)
        above = list(column)
        for k, pivot_row in enumerate(rows):
            # The new column's entry in row k is final once the rows above have been applied.
            for r in range(k + 1, len(rows)):
                factor = rows[r][k]
                if factor or above[r]:
                    above[r] = (minors[k + 1] * above[r] - factor * above[k]) // minors[k]
            pivot_row.append(above[k])
        for k, pivot_row in enumerate(rows):
            factor, pivot, before = new[k], minors[k + 1], minors[k]
            if factor:
                for j in range(k + 1, len(new)):
                    new[j] = (pivot * new[j] - factor * pivot_row[j]) // before
            else:
                for j in range(k + 1, len(new)):
                    if new[j]:
                        new[j] = pivot * new[j] // before
        rows.append(new)
        minors.append(new[-1])

    def solve(self, rights: Sequence[int]) -> tuple[list[int], int]:
        """Numerators of the solution, and their common denominator."""
        rows, minors = self._rows, self._minors
        right = list(rights)
        for k in range(len(rows)):
            for r in range(k + 1, len(rows)):
                right[r] = (minors[k + 1] * right[r] - rows[r][k] * right[k]) // minors[k]
        determinant = minors[-1]
        solution = [0] * len(rows)
        for i in range(len(rows) - 1, -1, -1):
            known = sum(rows[i][j] * solution[j] for j in range(i + 1, len(rows)))
            solution[i] = (determinant * right[i] - known) // rows[i][i]
        return solution, determinant
