"""What Sec. 5 says of the five MNIST parties, each statement with its figures on a value table.

A statement names the parties that the text names, so it is false on most tables: what holds of
every game by construction (balance, the budgets, who gets the best model at all) is kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.game import Allocation, ValueTable, allocate, rho_shapley_scheme

__all__ = ["PARTIES", "Statement", "statements"]

PARTIES = ("0", "1-2", "0-3", "3-5", "6-9")
ZERO, ONE_TWO, ZERO_THREE, THREE_FIVE, SIX_NINE = range(5)
BYSTANDERS = (ONE_TWO, ZERO_THREE, THREE_FIVE)
BUDGET = 0.3
SAME = 1e-9

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the text on one table.

    ``margin`` is the least figure by which it holds, in value units; negative: it does not hold.
    ``by_construction``: true of every monotone table, so that it shows nothing of this one.
    """

    text: str
    figures: str
    margin: float
    by_construction: bool = False

    @property
    def holds(self) -> bool:
        """Whether the table bears it out."""
        return self.margin > 0


def statements(table: ValueTable) -> list[Statement]:
    """Every statement of Sec. 5 on a monotone table of the five parties.

    Source: Sec. 5 and Fig. 2: no limits (a, b), all budgets 0 (c, d, g), 0.3 for [0] (e, f, h).
    """
    some = np.zeros(5)
    some[ZERO] = BUDGET
    free, none, one = (allocate(table, budgets) for budgets in (None, np.zeros(5), some))
    return [
        *_without_limits(table, free),
        *_without_budgets(table, none),
        *_with_one_budget(table, none, one),
    ]


def _without_limits(table: ValueTable, free: Allocation) -> list[Statement]:
    payoffs = free.payoffs
    order = np.argsort(free.shapley)
    return [
        Statement(
            "2a: [6-9] receives the largest payoff",
            _listed(payoffs),
            float(payoffs[SIX_NINE] - np.delete(payoffs, SIX_NINE).max()),
        ),
        Statement(
            "2a: [0-3] receives more than [0] and than [1-2]",
            _listed(payoffs[[ZERO_THREE, ZERO, ONE_TWO]]),
            float(payoffs[ZERO_THREE] - payoffs[[ZERO, ONE_TWO]].max()),
        ),
        Statement(
            "2b: every party receives the grand model",
            f"{free.model_values.min():.4f} of {table.grand_value:.4f}",
            SAME + float(free.model_values.min() - table.grand_value),
            by_construction=True,
        ),
        Statement(
            "2a: whose data are worth more is paid more (Shapley fairness)",
            _listed(np.diff(payoffs[order])),
            SAME + float(np.diff(payoffs[order]).min()),
            by_construction=True,
        ),
    ]


def _without_budgets(table: ValueTable, none: Allocation) -> list[Statement]:
    distance, rho = nearest_rho_shapley(table, none.model_values)
    return [
        Statement(
            "2d: [6-9] receives the grand model",
            _listed(none.model_values),
            SAME + float(none.model_values[SIX_NINE] - table.grand_value),
        ),
        Statement(
            "2d: every party's model is better than its own",
            _listed(none.model_values - none.own_values),
            float((none.model_values - none.own_values).min()),
        ),
        Statement(
            "2d: the rho-Shapley value [16] gives these models for no rho",
            f"nearest at rho = {rho:.3f}, off by {distance:.4f}",
            distance - 1e-3,
        ),
        Statement(
            "2c: nobody pays and nobody is paid",
            _listed(none.payoffs),
            SAME - float(np.abs(none.payoffs).max()),
            by_construction=True,
        ),
    ]


def _with_one_budget(table: ValueTable, none: Allocation, one: Allocation) -> list[Statement]:
    gains = one.model_values - none.model_values
    before, after = none.adjusted_flows, one.adjusted_flows
    bystanders = list(BYSTANDERS)
    return [
        Statement(
            "2f: [0] receives a better model than without its budget",
            f"{gains[ZERO]:+.4f}",
            float(gains[ZERO]),
        ),
        Statement(
            "2f: so do [1-2], [0-3] and [3-5], who have no budget",
            _listed(gains[bystanders]),
            float(gains[bystanders].min()),
        ),
        Statement(
            "2g, 2h: because [0] pays each of them more",
            _listed(after[ZERO, bystanders] - before[ZERO, bystanders]),
            float((after[ZERO, bystanders] - before[ZERO, bystanders]).min()),
        ),
        Statement(
            "2g, 2h: and they buy more of [6-9]",
            _listed(after[bystanders, SIX_NINE] - before[bystanders, SIX_NINE]),
            float((after[bystanders, SIX_NINE] - before[bystanders, SIX_NINE]).min()),
        ),
        Statement(
            "2f: [6-9] still receives the grand model",
            f"{one.model_values[SIX_NINE]:.4f} of {table.grand_value:.4f}",
            SAME + float(one.model_values[SIX_NINE] - table.grand_value),
        ),
        Statement(
            "2e: [6-9] is paid all of [0]'s budget",
            f"{one.payoffs[SIX_NINE]:+.4f}",
            SAME + float(one.payoffs[SIX_NINE]) - BUDGET,
        ),
        Statement(
            "2g, 2h: the cost flows of [6-9] are the same in both",
            f"differ by {np.abs(after[SIX_NINE] - before[SIX_NINE]).max():.1e}",
            SAME - float(np.abs(after[SIX_NINE] - before[SIX_NINE]).max()),
        ),
        Statement(
            "Remark 4.2: under each of the three budgets some party receives the grand model",
            f"{min(none.model_values.max(), one.model_values.max()):.4f}",
            SAME + float(min(none.model_values.max(), one.model_values.max()) - table.grand_value),
            by_construction=True,
        ),
    ]


def nearest_rho_shapley(table: ValueTable, models: Figures) -> tuple[float, float]:
    """Least, over all rho >= 0, of the largest difference of a model; and that rho."""

    def distance(rho: float) -> float:
        others = rho_shapley_scheme(rho)(table, np.zeros(5)).model_values
        return float(np.abs(others - models).max())

    grid = np.concatenate([np.linspace(0.0, 3.0, 601), np.linspace(3.1, 50.0, 470)])
    best = min(grid, key=distance)
    return _refined(distance, float(best), 0.1)


def _refined(distance: Callable[[float], float], start: float, width: float) -> tuple[float, float]:
    """Walk from the best point of the grid to the least distance near it."""
    place, least = start, distance(start)
    while width > 1e-9:
        near = [max(0.0, place - width), place + width]
        found = min(near, key=distance)
        if distance(found) < least:
            place, least = found, distance(found)
        else:
            width /= 2
    return least, place


def _listed(figures: Figures) -> str:
    return " ".join(f"{figure:+.4f}" for figure in figures)
