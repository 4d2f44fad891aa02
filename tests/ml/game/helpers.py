"""Random games and slow exact forms for the tests of the game."""

from fractions import Fraction
from functools import lru_cache
from math import comb, factorial

import numpy as np


def subsets(coalition):
    """Yield every subset of a coalition, itself first and the empty one last.

    Examples
    --------
    >>> list(subsets(0b101))
    [5, 4, 1, 0]
    """
    subset = coalition
    while subset:
        yield subset
        subset = (subset - 1) & coalition
    yield 0


def permutation_flow(values, payer, payee):
    """One flow as the mean marginal of payee over orders that start with payer, Remark 3.10."""
    n_parties = len(values).bit_length() - 1
    total = 0
    for before in range(1 << n_parties):
        if not before >> payer & 1 or before >> payee & 1:
            continue
        size = before.bit_count()
        # Orders of the other parties that start with payer and then meet exactly `before`.
        orders = factorial(size - 1) * factorial(n_parties - size - 1)
        total += orders * (values[before | 1 << payee] - values[before])
    return total / factorial(n_parties - 1)


def random_monotone_table(n_parties, rng):
    """Monotone table with v(empty) = 0: running maxima of noisy sizes."""
    values = rng.random(2**n_parties)
    values[0] = 0.0
    for party in range(n_parties):
        pairs = values.reshape(-1, 2, 1 << party)
        np.maximum(pairs[:, 1], pairs[:, 0], out=pairs[:, 1])
    return values


def exact_flows(values):
    """Conditional Shapley values by the definition (5), in exact rationals."""
    n = len(values).bit_length() - 1
    exact = [Fraction(float(value)) for value in values]
    flows = [[Fraction(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            for coalition in range(2**n):
                if coalition >> i & 1 and not coalition >> j & 1:
                    size = coalition.bit_count()
                    weight = Fraction(1, (n - 1) * comb(n - 2, size - 1))
                    flows[i][j] += weight * (exact[coalition | 1 << j] - exact[coalition])
    return flows


def exact_shapley(values):
    """Shapley values by their definition, in exact rationals."""
    n = len(values).bit_length() - 1
    exact = [Fraction(float(value)) for value in values]
    shapley = [Fraction(0)] * n
    for i in range(n):
        for coalition in range(2**n):
            if not coalition >> i & 1:
                size = coalition.bit_count()
                weight = Fraction(factorial(size) * factorial(n - size - 1), factorial(n))
                shapley[i] += weight * (exact[coalition | 1 << i] - exact[coalition])
    return shapley


def exact_factors(flows, budgets, caps=None):
    """Fictitious default in exact rationals: nested lists of Fraction, None for no budget."""
    n = len(flows)
    caps = [Fraction(1)] * n if caps is None else caps
    costs = [sum(row) for row in flows]
    factors, marked = list(caps), set()
    while True:
        revenue = [sum(factors[k] * flows[k][i] for k in range(n)) for i in range(n)]
        short = {
            i
            for i in range(n)
            if budgets[i] is not None and costs[i] * factors[i] > budgets[i] + revenue[i]
        }
        if short <= marked:
            return factors
        marked |= short
        order = sorted(marked)
        rows = [
            [costs[i] * (i == k) - flows[k][i] for k in order]
            + [budgets[i] + sum(caps[k] * flows[k][i] for k in range(n) if k not in marked)]
            for i in order
        ]
        solution = _gauss(rows)
        for position, party in enumerate(order):
            factors[party] = solution[position]


@lru_cache(maxsize=32)
def digits_table(n_parties, seed):
    """Table of ridge classifiers of label-skewed parties on scikit-learn's digits, trained here."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rng = np.random.default_rng(seed)
    inputs = np.hstack([bunch.data / 16, np.ones((len(bunch.data), 1))])
    labels = np.eye(10)[bunch.target]
    order = rng.permutation(len(inputs))
    train, test = order[:900], order[900:]
    shares = rng.dirichlet(np.full(n_parties, 0.5), 10)
    owner = np.array([rng.choice(n_parties, p=shares[bunch.target[k]]) for k in train])
    held = [(inputs[train[owner == i]], labels[train[owner == i]]) for i in range(n_parties)]
    grams = np.array([x.T @ x for x, _ in held])
    targets = np.array([x.T @ y for x, y in held])
    values = np.zeros(2**n_parties)
    for coalition in range(1, 2**n_parties):
        inside = [i for i in range(n_parties) if coalition >> i & 1]
        gram = grams[inside].sum(axis=0) + 0.1 * np.eye(inputs.shape[1])
        weights = np.linalg.solve(gram, targets[inside].sum(axis=0))
        found = (inputs[test] @ weights).argmax(axis=1)
        values[coalition] = (found == bunch.target[test]).mean()
    return values


def _gauss(rows):
    size = len(rows)
    rows = [list(row) for row in rows]
    for column in range(size):
        pivot = next(r for r in range(column, size) if rows[r][column] != 0)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [entry / head for entry in rows[column]]
        for r in range(size):
            if r != column and rows[r][column] != 0:
                lead = rows[r][column]
                rows[r] = [a - lead * b for a, b in zip(rows[r], rows[column], strict=True)]
    return [row[-1] for row in rows]
