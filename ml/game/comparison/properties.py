"""Properties of a scheme, checked numerically: by how much is each one missed on this table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.game.comparison.outcome import Outcome, Scheme
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import shapley_of_table
from ml.game.tables.values import ValueTable

__all__ = ["PROPERTIES", "PropertyCheck", "check_properties", "replicate_party", "with_dummy"]

PROPERTIES = (
    "symmetry",
    "linearity",
    "balance",
    "dummy party",
    "fair cost",
    "individual rationality",
    "weak efficiency",
    "budgets",
    "model order",
    "model envy",
    "replication robustness",
)
"""Names of what `check_properties` checks."""

_TOLERANCE = 1e-9
"""A miss up to this share of v(N) is rounding."""


@dataclass(frozen=True, slots=True)
class PropertyCheck:
    """Whether a property holds on one table, and if not, who misses it by how much."""

    holds: bool
    violation: float
    """Value units; 0.0 where it holds exactly."""
    detail: str


def check_properties(
    scheme: Scheme, table: ValueTable, budgets: FloatArray, *, seed: int = 0
) -> dict[str, PropertyCheck]:
    """Check the properties of Sec. 3.1, Sec. 4 and App. D for one scheme on one table.

    Returns
    -------
    dict of PropertyCheck, by name
        *symmetry*: two parties that are made interchangeable (the table is averaged with the
        one where they are swapped, both get the smaller budget) are treated alike. *linearity*:
        payoffs and models of a sum of games are the sum of those of the games. *balance*: payoffs
        sum to zero. *dummy party*: one that adds nothing to anybody and has no limit receives
        nothing, it just pays for its model. *fair cost*: each party pays what its model gains it,
        eq. (4). *individual rationality*: payoff and model together are worth no less than the
        party's own model. *weak efficiency*: somebody receives v(N), Remark 4.2. *budgets*:
        nobody pays more net than its budget. *model order*: a larger Shapley value never comes
        with a worse model. *model envy*: nobody gets a worse model than somebody who contributes
        no more and pays no more. *replication robustness*: nobody gains by taking part twice
        with the same data; the second one brings no budget of its own, if anybody's is limited.
    """
    outcome = scheme(table, budgets)
    scale = max(table.grand_value, 1e-300)
    phi = shapley_of_table(table.values)
    limited = np.isfinite(budgets).any()
    found = {
        "symmetry": _symmetry(scheme, table, budgets),
        "linearity": _linearity(scheme, table, budgets, outcome, seed),
        "balance": (abs(float(outcome.payoffs.sum())), "sum of payoffs"),
        "dummy party": _dummy(scheme, table, budgets),
        "fair cost": _worst(np.abs(outcome.costs - (outcome.model_values - table.own_values))),
        "individual rationality": _worst(table.own_values - outcome.payoffs - outcome.model_values),
        "weak efficiency": (
            table.grand_value - float(outcome.model_values.max()),
            "best model below v(N)",
        ),
        "budgets": _worst(-outcome.payoffs - budgets),
        "model order": _order(outcome, phi, scale, everybody=True),
        "model envy": _order(outcome, phi, scale, everybody=False),
        "replication robustness": _replication(
            scheme, table, budgets, outcome, 0.0 if limited else np.inf
        ),
    }
    return {
        name: PropertyCheck(violation <= _TOLERANCE * scale, max(0.0, violation), detail)
        for name, (violation, detail) in found.items()
    }


def replicate_party(table: ValueTable, party: int) -> ValueTable:
    """Table with one party more that holds the same data as ``party`` (App. D)."""
    n_parties = table.n_parties
    coalitions = np.arange(2 << n_parties)
    originals = coalitions & ((1 << n_parties) - 1)
    has_copy = coalitions >> n_parties & 1
    return ValueTable(table.values[originals | has_copy << party])


def with_dummy(table: ValueTable) -> ValueTable:
    """Table with one party more that adds nothing to any coalition."""
    return ValueTable(np.concatenate([table.values, table.values]))


def _worst(violations: FloatArray) -> tuple[float, str]:
    party = int(np.argmax(violations))
    return float(violations[party]), f"party {party}"


def _order(outcome: Outcome, phi: FloatArray, scale: float, everybody: bool) -> tuple[float, str]:
    """Largest lack of a model beside that of one who contributes no more (and pays no more)."""
    slack = _TOLERANCE * scale
    more = phi[:, None] > phi + slack if everybody else phi[:, None] >= phi - slack
    if not everybody:
        more &= outcome.payoffs[:, None] <= outcome.payoffs + slack  # pays at least as much
    lacking = np.where(more, outcome.model_values - outcome.model_values[:, None], 0.0)
    party, other = np.unravel_index(int(np.argmax(lacking)), lacking.shape)
    return float(lacking[party, other]), f"party {party} beside party {other}"


def _symmetry(scheme: Scheme, table: ValueTable, budgets: FloatArray) -> tuple[float, str]:
    coalitions = np.arange(len(table.values))
    first, second = coalitions & 1, coalitions >> 1 & 1
    swapped = coalitions & ~3 | first << 1 | second
    alike = np.where(np.arange(len(budgets)) < 2, budgets[:2].min(), budgets)
    outcome = scheme(ValueTable((table.values + table.values[swapped]) / 2), alike)
    differences = [
        abs(float(figures[0] - figures[1])) for figures in (outcome.payoffs, outcome.model_values)
    ]
    return max(differences), "parties 0 and 1 made alike"


def _linearity(
    scheme: Scheme, table: ValueTable, budgets: FloatArray, outcome: Outcome, seed: int
) -> tuple[float, str]:
    other = np.random.default_rng(seed).random(len(table.values)) * table.grand_value
    other[0] = 0.0
    for party in range(table.n_parties):
        pairs = other.reshape(-1, 2, 1 << party)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    both = scheme(ValueTable(2 * table.values + 3 * other), budgets)
    alone = scheme(ValueTable(other), budgets)
    violation = 0.0
    for figure in ("payoffs", "model_values"):
        expected = 2 * getattr(outcome, figure) + 3 * getattr(alone, figure)
        violation = max(violation, float(np.abs(getattr(both, figure) - expected).max()))
    return violation, "2 v + 3 w for a random monotone w"


def _dummy(scheme: Scheme, table: ValueTable, budgets: FloatArray) -> tuple[float, str]:
    outcome = scheme(with_dummy(table), np.append(budgets, np.inf))
    # Its own value is 0, so its model is all gain: it pays exactly that and receives nothing.
    return abs(float(outcome.payoffs[-1] + outcome.model_values[-1])), "an added dummy"


def _replication(
    scheme: Scheme, table: ValueTable, budgets: FloatArray, outcome: Outcome, own_budget: float
) -> tuple[float, str]:
    gains = []
    for party in range(table.n_parties):
        twice = scheme(replicate_party(table, party), np.append(budgets, own_budget))
        together = twice.payoffs[party] + twice.payoffs[-1]
        # Of two models it needs the better one.
        model = max(twice.model_values[party], twice.model_values[-1])
        before = outcome.payoffs[party] + outcome.model_values[party]
        gains.append(float(together + model - before))
    return _worst(np.array(gains))
