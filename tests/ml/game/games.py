"""Games of many kinds whose exact flows are known, and what estimates of them are worth."""

import numpy as np

from ml.game import ValueTable, allocate_estimate, allocate_flows, estimate_flows, family
from ml.game.tables.coalitions import membership
from ml.game.uncertainty.estimated import non_negative_rows
from tests.ml.game.helpers import digits_table

FAMILIES = [
    "coverage",
    "saturating",
    "power",
    "glove",
    "weighted majority",
    "soft majority",
    "airport",
    "supermodular",
    "unanimity sums",
    "noisy monotone",
    "trained digits",
]


def game(name, n_parties, seed):
    """Table of a family: closed forms, and others whose exact flows come from the kernel."""
    rng = np.random.default_rng(seed)
    weights = rng.random(n_parties)
    bits = membership(n_parties)
    share = bits @ weights / weights.sum()
    if name == "weighted majority":
        return (share > 0.5).astype(float)
    if name == "soft majority":
        soft = 1 / (1 + np.exp(-15 * (share - 0.5)))
        return (soft - soft[0]) / (soft[-1] - soft[0])
    if name == "power":
        return share**0.5
    if name == "supermodular":
        return share**2.5
    if name == "unanimity sums":
        values = np.zeros(2**n_parties)
        for _ in range(3 * n_parties):
            needed = rng.choice(n_parties, rng.integers(1, 5), replace=False)
            values += rng.random() * bits[:, needed].prod(axis=1)
        return values / values[-1]
    if name == "noisy monotone":
        noisy = 1 - np.exp(-3 * share) + 0.01 * rng.standard_normal(2**n_parties)
        return np.where(np.arange(2**n_parties) > 0, np.abs(noisy), 0.0)
    if name == "trained digits":
        return digits_table(n_parties, seed)
    return np.asarray(family(name, n_parties, seed).table().values)


def money_within_two_errors(values, flows, evaluations, seed, method):
    """Shares of flows, payoffs (without and with budgets), factors, model values within two."""
    figures = missed_and_claimed(values, flows, evaluations, seed, method)
    return [float((missed <= 2 * claimed + 1e-9).mean()) for missed, claimed in figures]


def missed_and_claimed(values, flows, evaluations, seed, method):
    """Errors found and claimed of the same five kinds of figures."""
    n_parties = len(flows)
    own, grand = values[1 << np.arange(n_parties)], float(values[-1])
    budgets = np.full(n_parties, 0.02 * (seed % 2))
    paid = non_negative_rows(flows, grand - own)
    truth = allocate_flows(paid, own, grand, budgets, cross_check=False)
    estimate = estimate_flows(ValueTable(values).evaluate, n_parties, evaluations, seed, method)
    found = allocate_estimate(estimate, budgets, draws=100)
    off = ~np.eye(n_parties, dtype=bool)
    figures = [(np.abs(estimate.flows - flows)[off], estimate.standard_errors[off])]
    for figure, errors in (
        ("payoffs_unlimited", found.payoff_unlimited_errors),
        ("payoffs", found.payoff_errors),
        ("adjustment_factors", found.factor_errors),
        ("model_values", found.model_value_errors),
    ):
        missed = np.abs(getattr(found.allocation, figure) - getattr(truth, figure))
        figures.append((missed, errors))
    return figures
