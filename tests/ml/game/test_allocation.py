"""Whole allocations: the three parties, the published table, run-time checks, bad input."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

from ml.errors import (
    BrokenInvariant,
    BudgetError,
    CapError,
    NegativeFlowError,
    SolverDisagreement,
)
from ml.game import ValueTable, adjustment_factors, allocate, allocate_flows, cover
from ml.game.allocation import _solver_gap, check_allocation
from tests.ml.game.helpers import random_monotone_table

INF = np.inf
FLOWS = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])


def test_three_parties_without_budgets(three_parties):
    allocation = allocate(three_parties)
    np.testing.assert_allclose(allocation.payoffs, [-0.4, 0.2, 0.2], atol=1e-15)
    np.testing.assert_allclose(allocation.shapley, [0.2, 0.4, 0.4], atol=1e-15)
    assert allocation.model_values.tolist() == [1.0, 1.0, 1.0]


def test_three_parties_with_a_budget(three_parties):
    allocation = allocate(three_parties, [0.2, INF, INF])
    np.testing.assert_allclose(allocation.adjustment_factors, [0.75, 1, 1], atol=1e-15)
    np.testing.assert_allclose(allocation.payoffs, [-0.2, 0.1125, 0.0875], atol=1e-15)
    np.testing.assert_allclose(allocation.model_values, [0.8, 1, 1], atol=1e-15)
    assert allocation.solver_gap < 1e-12
    assert abs(allocation.certificate.gap) < 1e-15


def test_three_parties_with_a_cap_remark_4_3(three_parties):
    allocation = allocate(three_parties, caps=[0.6, INF, INF])
    np.testing.assert_allclose(allocation.adjustment_factors, [0.5, 1, 1], atol=1e-15)
    np.testing.assert_allclose(allocation.model_values, [0.6, 1, 1], atol=1e-15)


@pytest.mark.parametrize(
    ("budgets", "factors"),
    [
        (None, [1, 1, 1, 1, 1]),
        ([0] * 5, [0.1013, 0.2402, 0.5929, 0.6002, 1]),
        ([0.3, 0, 0, 0, 0], [0.4580, 0.3178, 0.7571, 0.7887, 1]),
    ],
)
def test_published_table_kept_as_it_is(published_table, budgets, factors):
    allocation = allocate(published_table, budgets)
    np.testing.assert_allclose(allocation.adjustment_factors, factors, atol=1e-4)
    unlimited = [-0.7320, -0.4367, 0.0477, 0.1810, 0.9400]
    np.testing.assert_allclose(allocation.payoffs_unlimited, unlimited, atol=1e-4)


def test_adjusted_flows_scale_rows_by_the_payers_factor_eq_11(three_parties):
    allocation = allocate(three_parties, [0.2, INF, INF])
    expected = allocation.flows * np.array([[0.75], [1], [1]])
    np.testing.assert_allclose(allocation.adjusted_flows, expected, atol=1e-15)


def test_negative_flows_are_refused_with_the_way_out():
    table = ValueTable([0, 0.9, 0.5, 0.1, 0.4, 0.2, 0.3, 0.95])
    with pytest.raises(NegativeFlowError, match=r"Flow from party 0 to party 1 is -0\.025 .*cover"):
        allocate(table)
    assert allocate(cover(table, "above").table).adjustment_factors.min() == 1.0


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ([-0.1, 0, 0], "Budget of party 0 is -0.1"),
        ([0, np.nan, 0], "Budget of party 1 is nan"),
        ([0, 0], r"shape \(2,\); expected \(3,\)"),
        (["a", 0, 0], "expected real numbers"),
    ],
)
def test_bad_budgets_are_refused(three_parties, budgets, message):
    with pytest.raises(BudgetError, match=message):
        allocate(three_parties, budgets)


@pytest.mark.parametrize("cap", [-0.1, np.nan, -INF])
def test_a_cap_that_is_no_value_is_refused(three_parties, cap):
    with pytest.raises(CapError, match=r"Party 0 caps its model at .* at least 0"):
        allocate(three_parties, caps=[cap, INF, INF])


def test_a_cap_below_the_own_value_is_one_at_the_own_value(three_parties):
    seller, own = (allocate(three_parties, caps=[cap, INF, INF]) for cap in (0.0, 0.2))
    assert seller.adjustment_factors[0] == 0
    assert seller.model_values[0] == 0.2
    assert seller.payoffs.tolist() == own.payoffs.tolist()
    assert seller.payoffs[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("adjustment_factors", [0.01, 0, 0], "range"),
        ("shapley", [0.01, 0, 0], r"eq\. \(6\)"),
        ("payoffs", [0.01, 0, 0], "balance: found"),
        ("payoffs", [-0.3, 0.3, 0], "net of budget"),
        ("payoffs_unlimited", [0.01, -0.01, 0], r"eqs\. \(1\) and \(7\)"),
        ("flows", [[0, 0.01, 0], [0, 0, 0], [0, 0, 0]], r"eq\. \(4\)"),
        ("adjustment_factors", [-0.5, -0.5, -0.5], "Nobody receives"),
        ("adjustment_factors", [-0.1, 0, 0], "not proved greatest"),
    ],
)
def test_a_broken_property_is_found_at_run_time(three_parties, field, change, message):
    allocation = allocate(three_parties, [0.2, INF, INF])
    broken = dataclasses.replace(allocation, **{field: getattr(allocation, field) + change})
    limits = np.array([0.75, 1, 1]) if message == "range" else np.ones(3)
    with pytest.raises(BrokenInvariant, match=message):
        check_allocation(broken, 1.0, limits)


def test_a_game_without_any_value_owes_nothing():
    allocation = allocate(ValueTable(np.zeros(8)), np.zeros(3))
    assert allocation.adjustment_factors.tolist() == [1, 1, 1]
    assert not allocation.payoffs.any()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_the_unit_of_value_does_not_matter(three_parties, unit):
    table = ValueTable(unit * three_parties.values)
    allocation = allocate(table, [0.2 * unit, INF, INF])
    np.testing.assert_allclose(allocation.adjustment_factors, [0.75, 1, 1], rtol=1e-12)
    np.testing.assert_allclose(allocation.payoffs / unit, [-0.2, 0.1125, 0.0875], rtol=1e-12)


def test_the_linear_programme_may_lead_and_the_check_may_be_left_out(three_parties):
    led = allocate(three_parties, [0.2, INF, INF], method="linear-programme")
    np.testing.assert_allclose(led.adjustment_factors, [0.75, 1, 1], atol=1e-9)
    assert np.isnan(allocate(three_parties, cross_check=False).solver_gap)


def test_solvers_that_disagree_stop_the_round(three_parties):
    costs = allocate(three_parties).flows.sum(axis=1)
    less, more = np.array([0.5, 1, 1]), np.array([0.75, 1, 1])
    for factors, others in ((less, more), (more, less)):
        with pytest.raises(SolverDisagreement, match=r"Cost of party 0 differs by 0\.2"):
            _solver_gap(costs, factors, others)


@pytest.mark.parametrize("seed", range(60))
def test_both_solvers_agree_on_flows_eight_orders_of_magnitude_apart(seed):
    rng = np.random.default_rng(seed)
    flows = rng.random((4, 4)) * 10.0 ** rng.uniform(-8, 0, (4, 4))
    np.fill_diagonal(flows, 0)
    costs = flows.sum(axis=1)
    allocation = allocate_flows(flows, costs.max() - costs, costs.max(), np.zeros(4))
    expected = adjustment_factors(flows, np.zeros(4)).factors
    np.testing.assert_array_equal(allocation.adjustment_factors, expected)
    assert allocation.solver_gap < 1e-8 * costs.max()


@pytest.mark.parametrize("seed", range(5))
def test_parties_that_are_worth_nothing_alone_are_allocated(seed):
    # Rounding is measured by what the parties are worth together, not by the least of them.
    values = random_monotone_table(6, np.random.default_rng(seed))
    values[1 << np.arange(6)] = 0.0
    allocation = allocate(ValueTable(values), np.full(6, 0.05))
    assert allocation.model_values.max() == pytest.approx(values[-1])
    assert abs(allocation.payoffs.sum()) < 1e-13


def test_plain_figures_are_those_of_the_allocation(three_parties):
    plain = allocate(three_parties, [0.2, INF, INF]).as_dict()
    assert plain["payoffs"] == pytest.approx([-0.2, 0.1125, 0.0875])
    assert plain["adjusted_flows"][0] == pytest.approx([0, 0.75 * 0.35, 0.75 * 0.45])
    assert plain["flows"][0] == pytest.approx([0, 0.35, 0.45])
    assert plain["solver_gap"] < 1e-12
    alone = allocate(three_parties, cross_check=False).as_dict()
    assert alone["solver_gap"] is None
    given = allocate_flows(sparse.csr_array(FLOWS), np.array([0.2, 0.5, 0.4]), 1.0).as_dict()
    assert "flows" not in given
    assert given["shapley"] == pytest.approx([0.2, 0.4, 0.4])
