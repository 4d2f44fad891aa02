"""Many budgets at once, and shadow prices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import BudgetError
from ml.game import adjustment_factors, allocate_many, budget_sensitivity, conditional_shapley
from tests.ml.game.helpers import random_monotone_table

INF = np.inf
THREE = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n_parties=st.integers(2, 8), zeros=st.sampled_from([0, 0.5]))
def test_a_batch_equals_one_by_one(seed, n_parties, zeros):
    rng = np.random.default_rng(seed)
    flows = rng.random((n_parties, n_parties)) * (rng.random((n_parties, n_parties)) >= zeros)
    np.fill_diagonal(flows, 0)
    budgets = rng.random((20, n_parties)) * (rng.random((20, n_parties)) < 0.5)
    budgets[rng.random((20, n_parties)) < 0.1] = INF
    caps = rng.random(n_parties) if seed % 2 else None
    batch = allocate_many(flows, budgets, caps)
    for row in range(20):
        single = adjustment_factors(flows, budgets[row], caps)
        np.testing.assert_allclose(batch.factors[row], single.factors, atol=1e-13)
    assert np.abs(batch.relative_gaps).max() < 1e-12
    np.testing.assert_allclose(batch.payoffs.sum(axis=1), 0, atol=1e-13)
    assert (-batch.payoffs <= budgets + 1e-13).all()


def test_a_batch_of_none_is_empty():
    assert allocate_many(THREE, np.empty((0, 3))).payoffs.shape == (0, 3)


def test_a_bad_budget_in_a_batch_is_named():
    with pytest.raises(BudgetError, match=r"party 2 in row 1 is -1\.0"):
        allocate_many(THREE, [[0, 0, 0], [0, 0, -1]])
    with pytest.raises(BudgetError, match=r"\(3,\); expected \(batch, 3\)"):
        allocate_many(THREE, [0, 0, 0])


@pytest.mark.parametrize("seed", range(10))
def test_shadow_prices_equal_finite_differences(seed):
    rng = np.random.default_rng(seed)
    flows = conditional_shapley(random_monotone_table(6, rng))
    budgets = 0.1 * rng.random(6)
    prices = budget_sensitivity(flows, budgets)
    assert prices.is_two_sided
    costs = flows.sum(axis=1)
    for party in range(6):
        for step in (1e-7, -1e-7):
            moved = budgets.copy()
            moved[party] += step
            change = adjustment_factors(flows, moved).factors
            change = (change - adjustment_factors(flows, budgets).factors) / step
            np.testing.assert_allclose(prices.factors[party], change, atol=1e-5)
            np.testing.assert_allclose(prices.model_values[party], change * costs, atol=1e-5)


def test_a_larger_budget_benefits_others_too_third_observation():
    flows = [[0, 0.5, 0.1], [0.1, 0, 0.6], [0.1, 0.1, 0]]
    prices = budget_sensitivity(flows, [0.1, 0.0, 0.0])
    assert prices.model_values.min() >= 0
    # Party 1 spends half of the 1.89 units that a unit of party 0's budget moves.
    assert prices.model_values[0, 1] == pytest.approx(0.5 / 0.6 / (1 - 0.5 / 6 / 0.7))
    np.testing.assert_allclose(prices.payoffs.sum(axis=1), 0, atol=1e-14)


def test_a_budget_that_does_not_bind_is_worth_nothing():
    prices = budget_sensitivity(THREE, [0.2, INF, INF])
    assert not prices.payoffs[1:].any()
    assert not prices.model_values[1:].any()
    assert prices.payoffs[0, 0] == pytest.approx(-1)


def test_a_party_exactly_at_its_limit_has_one_sided_prices():
    prices = budget_sensitivity(THREE, [0.4, INF, INF])
    assert not prices.is_two_sided
    assert not prices.model_values.any()


@pytest.mark.parametrize("seed", range(8))
def test_a_party_at_its_limit_but_for_rounding_has_one_sided_prices(seed):
    flows = conditional_shapley(random_monotone_table(5, np.random.default_rng(seed)))
    paid = flows.sum(axis=0) - flows.sum(axis=1)
    budgets = np.full(5, INF)
    payer = int(np.argmin(paid))
    for shift, is_two_sided in ((0.0, False), (1e-16, False), (1e-9, True), (-1e-9, True)):
        budgets[payer] = -paid[payer] + shift
        assert budget_sensitivity(flows, budgets).is_two_sided == is_two_sided


@pytest.mark.parametrize("n_parties", [3, 6, 7])
def test_parties_that_earn_what_they_pay_are_at_their_limit_without_budgets(n_parties):
    values = np.sqrt(np.bitwise_count(np.arange(2**n_parties)) / n_parties)
    flows = conditional_shapley(values * (1 + 1e-16 * np.arange(2**n_parties)))
    prices = budget_sensitivity(flows, np.zeros(n_parties))
    assert not prices.is_two_sided
