"""Adjustment factors: clearing, linear programme and exact rationals agree; degenerate games."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ml.errors import BudgetError, CapError, FlowsError, NegativeFlowError
from ml.game import (
    Certificate,
    adjustment_factors,
    allocate_many,
    check_certificate,
    conditional_shapley,
    factor_caps,
)
from tests.ml.game.helpers import exact_factors, random_monotone_table

INF = np.inf
THREE = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])


def fractions_of(flows, budgets):
    rows = [[Fraction(float(entry)) for entry in row] for row in flows]
    return rows, [None if np.isinf(b) else Fraction(float(b)) for b in budgets]


def random_flows(draw_seed, n_parties, zeros):
    rng = np.random.default_rng(draw_seed)
    flows = rng.random((n_parties, n_parties)) * (rng.random((n_parties, n_parties)) >= zeros)
    np.fill_diagonal(flows, 0)
    return flows, rng


RANDOM_GAMES = {
    "seed": st.integers(0, 2**32),
    "n_parties": st.integers(2, 7),
    "zeros": st.sampled_from([0.0, 0.3, 0.6]),
    "budget": st.sampled_from([0.0, 0.05, 0.5]),
}


@settings(max_examples=300, deadline=None)
@given(**RANDOM_GAMES)
def test_clearing_linear_programme_and_rationals_agree(seed, n_parties, zeros, budget):
    assert_three_ways_agree(seed, n_parties, zeros, budget)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(**RANDOM_GAMES)
def test_three_ways_agree_on_thousands_of_games(seed, n_parties, zeros, budget):
    assert_three_ways_agree(seed, n_parties, zeros, budget)


def assert_three_ways_agree(seed, n_parties, zeros, budget):
    flows, rng = random_flows(seed, n_parties, zeros)
    budgets = budget * rng.random(n_parties)
    budgets[rng.random(n_parties) < 0.2] = INF
    exact = np.array([float(f) for f in exact_factors(*fractions_of(flows, budgets))])
    clearing = adjustment_factors(flows, budgets)
    np.testing.assert_allclose(clearing.factors, exact, atol=1e-12)
    assert check_certificate(flows, budgets, clearing.factors, clearing.certificate)
    programme = adjustment_factors(flows, budgets, method="linear-programme")
    costs = flows.sum(axis=1)
    np.testing.assert_allclose(programme.factors * costs, exact * costs, atol=1e-9)
    assert check_certificate(flows, budgets, programme.factors, programme.certificate)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n_parties=st.integers(2, 6))
def test_capped_factors_are_the_programme_with_that_bound_remark_4_3(seed, n_parties):
    flows, rng = random_flows(seed, n_parties, 0.2)
    budgets, caps = 0.2 * rng.random(n_parties), rng.random(n_parties)
    clearing = adjustment_factors(flows, budgets, caps)
    programme = adjustment_factors(flows, budgets, caps, method="linear-programme")
    costs = flows.sum(axis=1)
    np.testing.assert_allclose(programme.factors * costs, clearing.factors * costs, atol=1e-9)
    assert (clearing.factors <= caps).all()
    assert check_certificate(flows, budgets, clearing.factors, clearing.certificate, caps)


def test_no_budget_limit_buys_everything():
    assert adjustment_factors(THREE, None).factors.tolist() == [1, 1, 1]


def test_unbudgeted_parties_still_trade_what_they_receive():
    result = adjustment_factors(THREE, [0, 0, 0])
    balance = result.factors @ THREE - result.factors * THREE.sum(axis=1)
    np.testing.assert_allclose(balance, 0, atol=1e-15)
    assert result.factors.max() == 1.0


def test_a_dummy_without_budget_buys_nothing():
    flows = THREE.copy()
    flows[:, 0] = 0
    assert adjustment_factors(flows, [0, INF, INF]).factors.tolist() == [0, 1, 1]


def test_an_omnipotent_party_gets_everything():
    flows = THREE.copy()
    flows[2] = 0
    result = adjustment_factors(flows, [0, 0, 0])
    assert result.factors[2] == 1.0
    assert check_certificate(flows, [0, 0, 0], result.factors, result.certificate)


def test_nothing_to_pay_at_all():
    result = adjustment_factors(np.zeros((3, 3)), [0, 0, 0])
    assert result.factors.tolist() == [1, 1, 1]
    assert result.certificate.relative_gap == 0


def test_separate_markets_clear_each_on_its_own():
    flows = np.zeros((6, 6))
    flows[:3, :3] = THREE
    flows[3:, 3:] = THREE[::-1, ::-1] * 5
    together = adjustment_factors(flows, np.zeros(6)).factors
    alone = adjustment_factors(THREE, np.zeros(3)).factors
    np.testing.assert_allclose(together, [*alone, *alone[::-1]], atol=1e-14)


def test_a_fixed_point_that_is_not_the_greatest_is_refused():
    result = adjustment_factors(THREE, np.zeros(3))
    nothing = np.zeros(3)
    # lambda = 0 spends every budget of 0 to the last unit, and yet buys nothing.
    assert not check_certificate(THREE, np.zeros(3), nothing, result.certificate)
    assert not check_certificate(THREE, np.zeros(3), 0.5 * result.factors, result.certificate)
    assert check_certificate(THREE, np.zeros(3), result.factors, result.certificate)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), n_parties=st.integers(2, 6))
def test_flows_over_twelve_orders_of_magnitude_are_right_and_certified(seed, n_parties):
    flows, rng = random_flows(seed, n_parties, 0.2)
    flows *= 10.0 ** rng.uniform(-12, 0, (n_parties, n_parties))
    budgets = rng.choice([0.0, 0.0, 1.0]) * 10.0 ** rng.uniform(-12, 0, n_parties)
    exact = np.array([float(f) for f in exact_factors(*fractions_of(flows, budgets))])
    result = adjustment_factors(flows, budgets)
    np.testing.assert_allclose(result.factors, exact, atol=1e-12)
    np.testing.assert_allclose(allocate_many(flows, budgets[None]).factors[0], exact, atol=1e-12)
    assert check_certificate(flows, budgets, result.factors, result.certificate)
    costs = flows.sum(axis=1)
    for party in np.flatnonzero((exact > 1e-3) & (costs > 0)):
        # However small its costs are beside the others', its factor counts.
        wrong = exact.copy()
        wrong[party] *= 0.999
        assert not check_certificate(flows, budgets, wrong, result.certificate)


def test_a_small_market_beside_a_large_one_is_judged_by_its_own_measure():
    flows = np.zeros((6, 6))
    flows[:3, :3], flows[3:, 3:] = THREE, 1e-12 * THREE
    result = adjustment_factors(flows, np.zeros(6))
    halved = result.factors * [1, 1, 1, 0.5, 0.5, 0.5]
    assert check_certificate(flows, np.zeros(6), result.factors, result.certificate)
    assert not check_certificate(flows, np.zeros(6), halved, result.certificate)


@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_nothing_is_certified_on_flows_that_are_negative_or_no_numbers(form):
    budgets = [0.2, INF, INF]
    result = adjustment_factors(THREE, budgets)
    for wrong, accepted in ((-1e-17, True), (-1e-6, False), (np.nan, False), (INF, False)):
        flows = THREE.copy()
        flows[0, 0] = wrong
        assert accepted == check_certificate(
            form(flows), budgets, result.factors, result.certificate
        )


def test_a_negative_flow_is_refused_where_nothing_else_is_wrong():
    # All pay all they owe, so no budget, cap or gap tells of the flow below zero.
    unlimited = Certificate(np.zeros(3), 0.0, 0.0)
    for wrong, accepted in ((0.0, True), (-1e-6, False)):
        flows = THREE.copy()
        flows[0, 1] = wrong
        assert check_certificate(flows, [INF] * 3, np.ones(3), unlimited) == accepted


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_thousand_parties_are_right_and_certified(share):
    rng = np.random.default_rng(7)
    flows = rng.random((1000, 1000))
    np.fill_diagonal(flows, 0)
    budgets = share * 100 * rng.random(1000)
    result = adjustment_factors(flows, budgets)
    assert check_certificate(flows, budgets, result.factors, result.certificate, tolerance=1e-12)
    assert abs(result.certificate.relative_gap) < 1e-12


def test_factors_of_a_trained_game_pay_no_more_than_the_budget(rng):
    values = random_monotone_table(8, rng)
    flows = conditional_shapley(values)
    budgets = 0.1 * rng.random(8)
    factors = adjustment_factors(flows, budgets).factors
    assert (factors * flows.sum(axis=1) - factors @ flows <= budgets + 1e-14).all()


def test_wanted_values_become_caps_remark_4_3():
    caps = factor_caps([0.2, 0.5, 1.0], 1.0, [0.6, 0.5, 1.0])
    np.testing.assert_allclose(caps, [0.5, 0.0, 1.0])


def test_who_wants_less_than_its_own_model_buys_nothing():
    assert factor_caps([0.2, 0.5, 1.0], 1.0, [INF, 0.0, 0.4]).tolist() == [1, 0, 1]
    for bad in (-0.1, np.nan):
        with pytest.raises(CapError, match=r"Party 1 caps its model at .* at least 0, or none"):
            factor_caps([0.2, 0.5], 1.0, [INF, bad])


@pytest.mark.parametrize(
    ("flows", "error", "message"),
    [
        (np.zeros((2, 3)), FlowsError, r"shape \(2, 3\)"),
        (np.eye(3), FlowsError, "Party 0 pays itself 1"),
        (THREE * np.nan, FlowsError, "NaN"),
        (np.where(np.arange(9).reshape(3, 3) == 1, np.nan, THREE), FlowsError, "NaN"),
        (THREE * 1e304, FlowsError, r"4.5e\+303; expected at most 1.11e\+303 for 3 parties"),
        (THREE + 1j, FlowsError, "complex128; expected real numbers"),
        (sparse.csr_array(THREE + 1j), FlowsError, "complex128; expected real numbers"),
        ([["a", "b"], ["c", "d"]], FlowsError, "expected real numbers"),
        ([[0, 1], [2]], FlowsError, "cannot be read as numbers"),
        (np.ma.masked_equal(THREE, 0.35), FlowsError, "masked entries"),
        (
            THREE - 0.2 * (1 - np.eye(3)),
            NegativeFlowError,
            r"party 1 to party 0 is -0\.05 \(1 negative in all\)",
        ),
        (
            sparse.csr_array(THREE - 0.3 * (1 - np.eye(3))),
            NegativeFlowError,
            r"party 1 to party 0 is -0\.15 \(2 negative in all\)",
        ),
    ],
)
def test_bad_flows_are_refused(flows, error, message):
    with pytest.raises(error, match=message):
        adjustment_factors(flows, None)


def test_bad_budgets_caps_and_methods_are_refused():
    with pytest.raises(BudgetError, match=r"Budget of party 1 is -1\.0"):
        adjustment_factors(THREE, [0, -1, 0])
    with pytest.raises(CapError, match=r"Cap of party 2 is 1\.5"):
        adjustment_factors(THREE, None, [0, 1, 1.5])
    with pytest.raises(CapError, match=r"\(2,\); expected \(3,\)"):
        adjustment_factors(THREE, None, [0, 1])
    with pytest.raises(CapError, match="expected real numbers"):
        adjustment_factors(THREE, None, ["a", "b", "c"])
    with pytest.raises(FlowsError, match="'simplex'; expected"):
        adjustment_factors(THREE, None, method="simplex")
    for tolerance in (-1.0, np.nan):
        with pytest.raises(FlowsError, match=f"Tolerance is {tolerance}"):
            adjustment_factors(THREE, None, tolerance=tolerance)


def test_rounding_below_zero_is_no_negative_flow():
    flows = THREE.copy()
    flows[0, 1] = -1e-17
    assert adjustment_factors(flows, None).factors.tolist() == [1, 1, 1]


@pytest.mark.parametrize("form", ["coo", "csr", "csc", "lil", "dok"])
def test_sparse_flows_of_any_form_clear_like_dense_ones(form):
    # The flow of 0.35 in two entries, one of them negative, and a zero that is written out.
    entries = (
        [0.45, -0.1, 0.45, 0.15, 0.35, 0.25, 0.35, 0.0],
        ([0, 0, 0, 1, 1, 2, 2, 2], [1, 1, 2, 0, 2, 0, 1, 2]),
    )
    flows = sparse.coo_array(entries, shape=(3, 3)).asformat(form)
    result = adjustment_factors(flows, [0.2, INF, INF])
    np.testing.assert_allclose(result.factors, [0.75, 1, 1], atol=1e-15)
    assert check_certificate(flows, [0.2, INF, INF], result.factors, result.certificate)


def test_unsummed_entries_are_one_flow_and_stay_as_they_were():
    given = np.array([0.45, -0.1, 0.45, 0.15, 0.35, 0.25, 0.35])
    flows = sparse.csr_array((given.copy(), [1, 1, 2, 0, 2, 0, 1], [0, 3, 5, 7]), shape=(3, 3))
    result = adjustment_factors(flows, [0.2, INF, INF])
    assert result.factors == pytest.approx([0.75, 1, 1])
    assert check_certificate(flows, [0.2, INF, INF], result.factors, result.certificate)
    np.testing.assert_array_equal(flows.data, given)


@pytest.mark.parametrize("unit", [1e-310, 1e-300, 1e300])
@pytest.mark.parametrize("method", ["clearing", "linear-programme"])
def test_the_unit_of_value_does_not_matter(unit, method):
    budgets = np.array([0.2, INF, INF]) * unit
    result = adjustment_factors(THREE * unit, budgets, method=method)
    np.testing.assert_allclose(result.factors, [0.75, 1, 1], atol=1e-9)


@pytest.mark.parametrize("budget", [5e-324, 1e-310, 1e-18])
def test_next_to_no_budget_is_no_budget(budget):
    found = adjustment_factors(THREE, np.full(3, budget)).factors
    np.testing.assert_allclose(found, adjustment_factors(THREE, np.zeros(3)).factors, atol=1e-15)


def test_the_duality_gap_decides_where_next_to_nothing_leaks():
    # Two parties pay each other and 1e-10 to a third, which pays as much out of its budget: half
    # of their greatest factors meets every equation within the tolerance.
    flows = np.array([[0.0, 1.0, 1e-10], [1.0, 0.0, 0.0], [1e-10, 0.0, 0.0]])
    budgets = np.array([0.0, 0.0, 1.0])
    result = adjustment_factors(flows, budgets)
    np.testing.assert_allclose(result.factors, 1.0)
    assert check_certificate(flows, budgets, result.factors, result.certificate)
    halved = np.array([0.5, 0.5, 1.0])
    assert not check_certificate(flows, budgets, halved, result.certificate)
    # No dual values are so large that their rounding would excuse it.
    huge = Certificate(np.array([1e30, 1e30, 0.0]), 0.0, 0.0)
    assert not check_certificate(flows, budgets, halved, huge)


def test_huge_dual_values_are_certified():
    rng = np.random.default_rng(7016)
    flows = rng.random((5, 5)) * (rng.random((5, 5)) >= 0.2)
    np.fill_diagonal(flows, 0)
    flows *= 10.0 ** rng.uniform(-12, 0, (5, 5))
    result = adjustment_factors(flows, np.zeros(5))
    assert result.certificate.dual_values.max() > 1e6
    assert check_certificate(flows, np.zeros(5), result.factors, result.certificate)
