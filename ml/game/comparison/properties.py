"""Properties of a scheme, checked numerically: by how much is each one missed on this table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.game.comparison.outcome import Outcome, Scheme
from ml.game.tables.coalitions import FloatArray
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
    "replication robustness",
)

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class PropertyCheck:
    """Whether a property holds on one table, and if not, who misses it by how much."""

    holds: bool
    violation: float
    """Value units; 0.0 where it holds exactly."""
    detail: str


def check_properties(
    scheme: Scheme, table: ValueTable, *, seed: int = 0
) -> dict[str, PropertyCheck]:
    """Check the properties of Sec. 3.1 and App. D for one scheme on one table.

    Returns
    -------
    dict of PropertyCheck, by name
        *symmetry*: two parties that are made interchangeable (the table is averaged with the
        one where they are swapped) are treated alike. *linearity*: payoffs of a sum of games
        are the sum of the payoffs. *balance*: payoffs sum to zero, eq. (1). *dummy party*: one
        that adds nothing to anybody receives nothing, it just pays for its model. *fair cost*:
        each party pays what its model gains it, eq. (4). *individual rationality*: payoff
        and model together are worth no less than the party's own model. *weak efficiency*:
        somebody receives v(N). *replication robustness*: nobody gains by taking part twice
        with the same data.
    """
    outcome = scheme(table)
    scale = max(table.grand_value, 1e-300)
    found = {
        "symmetry": _symmetry(scheme, table),
        "linearity": _linearity(scheme, table, outcome, seed),
        "balance": (abs(float(outcome.payoffs.sum())), "sum of payoffs"),
        "dummy party": _dummy(scheme, table),
        "fair cost": _worst(np.abs(outcome.costs - (outcome.model_values - table.own_values))),
        "individual rationality": _worst(table.own_values - outcome.payoffs - outcome.model_values),
        "weak efficiency": (
            table.grand_value - float(outcome.model_values.max()),
            "best model below v(N)",
        ),
        "replication robustness": _replication(scheme, table, outcome),
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


def _symmetry(scheme: Scheme, table: ValueTable) -> tuple[float, str]:
    coalitions = np.arange(len(table.values))
    first, second = coalitions & 1, coalitions >> 1 & 1
    swapped = coalitions & ~3 | first << 1 | second
    outcome = scheme(ValueTable((table.values + table.values[swapped]) / 2))
    differences = [
        abs(float(figures[0] - figures[1])) for figures in (outcome.payoffs, outcome.model_values)
    ]
    return max(differences), "parties 0 and 1 made alike"


def _linearity(scheme: Scheme, table: ValueTable, outcome: Outcome, seed: int) -> tuple[float, str]:
    other = np.random.default_rng(seed).random(len(table.values)) * table.grand_value
    other[0] = 0.0
    for party in range(table.n_parties):
        pairs = other.reshape(-1, 2, 1 << party)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    both = scheme(ValueTable(2 * table.values + 3 * other))
    alone = scheme(ValueTable(other))
    violation = 0.0
    for figure in ("payoffs", "model_values"):
        expected = 2 * getattr(outcome, figure) + 3 * getattr(alone, figure)
        violation = max(violation, float(np.abs(getattr(both, figure) - expected).max()))
    return violation, "2 v + 3 w for a random monotone w"


def _dummy(scheme: Scheme, table: ValueTable) -> tuple[float, str]:
    outcome = scheme(with_dummy(table))
    # Its own value is 0, so its model is all gain: it pays exactly that and receives nothing.
    return abs(float(outcome.payoffs[-1] + outcome.model_values[-1])), "an added dummy"


def _replication(scheme: Scheme, table: ValueTable, outcome: Outcome) -> tuple[float, str]:
    gains = []
    for party in range(table.n_parties):
        twice = scheme(replicate_party(table, party))
        together = twice.payoffs[party] + twice.payoffs[-1]
        # Of two models it needs the better one.
        model = max(twice.model_values[party], twice.model_values[-1])
        before = outcome.payoffs[party] + outcome.model_values[party]
        gains.append(float(together + model - before))
    return _worst(np.array(gains))
