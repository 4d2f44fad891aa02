"""Allocations of estimated flows: what is raised, what is refused, and errors drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ml.errors import NegativeFlowError
from ml.game import allocate_estimate, allocate_flows, bitmasks, estimate_flows, family, payoffs
from ml.game.uncertainty.estimated import non_negative_rows
from ml.game.uncertainty.uncertain import interval_quantile


def seeded_estimate(rng, n_seeds=3):
    values = np.asarray(family("saturating", 5, 1).table().values)
    seeds = np.abs(values + 0.01 * rng.standard_normal((n_seeds, 32)))
    seeds[:, 0] = 0
    return estimate_flows(lambda c: seeds[:, bitmasks(c)], 5, 24, 1, "stratified")


def test_errors_are_those_of_games_drawn_around_the_estimate(rng):
    """Each draw moves all flows and own values of the sample together, then is allocated anew."""
    estimate = seeded_estimate(rng)
    budgets = np.array([0.02, 0.02, np.inf, 0.0, np.inf])
    found = allocate_estimate(estimate, budgets, draws=40, seed=3)
    paid = found.allocation
    missed = {"payoffs_unlimited": [], "adjustment_factors": [], "payoffs": [], "model_values": []}
    for normals in np.random.default_rng(3).standard_normal((40, len(estimate.scatter))):
        own = estimate.own_values + normals @ estimate.own_scatter
        flows = estimate.flows + np.einsum("r,rij->ij", normals, estimate.scatter)
        grand = (flows.sum(axis=1) + own).mean()
        rows = non_negative_rows(flows, grand - own)
        again = allocate_flows(rows, own, grand, budgets, cross_check=False)
        for figure, rows_of in missed.items():
            rows_of.append(getattr(again, figure) - getattr(paid, figure))
    for figure, errors in (
        ("payoffs_unlimited", found.payoff_unlimited_errors),
        ("adjustment_factors", found.factor_errors),
        ("payoffs", found.payoff_errors),
        ("model_values", found.model_value_errors),
    ):
        expected = np.sqrt(np.mean(np.square(missed[figure]), axis=0))
        np.testing.assert_allclose(errors, expected, rtol=1e-9, atol=1e-12)
        assert errors.max() > 1e-4
    assert (found.n_draws, found.n_seeds) == (40, 3)


def test_what_is_raised_is_counted_and_its_row_pays_for_it(rng):
    estimate = seeded_estimate(rng)
    flows = estimate.flows.copy()
    flows[0, 1:] += np.array([-flows[0, 1] - 0.002, flows[0, 1] + 0.002, 0, 0])
    flows[3, 4], flows[3, 0] = -0.001, flows[3, 0] + flows[3, 4] + 0.001
    scatter = np.concatenate([estimate.scatter, np.full((1, 5, 5), 0.001)])
    own_scatter = np.concatenate([estimate.own_scatter, np.zeros((1, 5))])
    moved = replace(estimate, flows=flows, scatter=scatter, own_scatter=own_scatter)
    found = allocate_estimate(moved, draws=2)
    assert found.n_raised == 2
    assert found.largest_raised == pytest.approx(0.002)
    np.testing.assert_allclose(found.allocation.flows.sum(axis=1), flows.sum(axis=1), atol=1e-12)
    assert found.allocation.flows.min() == 0
    # The others of the row give what is missing, all alike.
    np.testing.assert_allclose(found.allocation.flows[0, 2:], flows[0, 2:] - 0.002 / 3, atol=1e-12)


def test_flows_at_zero_give_back_the_width_that_raising_takes(rng):
    estimate = seeded_estimate(rng)
    flows, scatter = estimate.flows.copy(), estimate.scatter.copy()
    flows[0, 2] += flows[0, 1]
    flows[0, 1] = 0.0
    scatter[0, 0, 1], scatter[0, 0, 2] = 0.02, -0.02
    moved = replace(estimate, flows=flows, scatter=scatter)
    found = allocate_estimate(moved, draws=40, seed=3)
    plain, moves = [], []
    for normals in np.random.default_rng(3).standard_normal((40, len(scatter))):
        step = np.einsum("r,rij->ij", normals, scatter)
        own = estimate.own_values + normals @ estimate.own_scatter
        gains = ((flows + step).sum(axis=1) + own).mean() - own
        plain.append(payoffs(non_negative_rows(flows + step, gains)) - payoffs(flows))
        moves.append(payoffs(step))
    plain, moves = np.square(plain), np.square(moves)
    variances = (scatter**2).sum(axis=0)
    share = variances[flows <= 0].sum() / variances.sum()
    width = 1 + share * (moves.mean() / plain.mean() - 1)
    assert width > 1.005
    np.testing.assert_allclose(
        found.payoff_unlimited_errors, np.sqrt(width * plain.mean(axis=0)), rtol=1e-6
    )


@pytest.mark.parametrize(("errors", "is_taken"), [(4.9, True), (5.1, False)])
def test_a_flow_below_zero_by_five_errors_is_no_accident(errors, is_taken, rng):
    estimate = seeded_estimate(rng)
    flows = estimate.flows.copy()
    flows[2, 0], flows[2, 1] = -0.01, flows[2, 1] + flows[2, 0] + 0.01
    scatter = estimate.scatter.copy()
    scatter[:, 2, 0] = 0
    scatter[0, 2, 0] = 0.01 / errors
    moved = replace(estimate, flows=flows, scatter=scatter)
    if is_taken:
        assert allocate_estimate(moved, draws=2).n_raised == 1
        return
    with pytest.raises(NegativeFlowError, match=r"party 2 to party 0 is -0\.010") as caught:
        allocate_estimate(moved, draws=2)
    assert (caught.value.party, caught.value.coalition) == (2, 1)


def test_few_seeds_need_wider_intervals_and_many_the_normal_ones():
    assert interval_quantile(2) == pytest.approx(12.706, abs=1e-3)
    assert interval_quantile(1) == pytest.approx(1.960, abs=1e-3)  # nothing is known of seeds
    assert interval_quantile(10**6) == pytest.approx(1.960, abs=1e-3)
    assert interval_quantile(1, 0.5) == pytest.approx(0.674, abs=1e-3)


def test_a_payoff_is_noise_within_its_interval_and_known_without_any_error(rng):
    found = allocate_estimate(seeded_estimate(rng), np.full(5, 0.05), draws=20)
    payoffs = found.allocation.payoffs
    margin = found.quantile() * found.payoff_errors
    np.testing.assert_array_equal(found.payoffs_within_error(), np.abs(payoffs) < margin)
    exact = replace(found, payoff_errors=np.zeros(5))
    assert not exact.payoffs_within_error().any()
    plain = found.as_dict()
    assert plain["payoff_errors"] == found.payoff_errors.tolist()
    assert plain["payoffs"] == payoffs.tolist()


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**60])
def test_the_unit_of_value_scales_figures_and_errors(unit):
    played = family("coverage", 6, 1)
    found = []
    for scale in (1.0, unit):
        estimate = estimate_flows(
            lambda c, by=scale: by * played.evaluate(c), 6, 25, 1, "stratified"
        )
        found.append(allocate_estimate(estimate, np.full(6, scale * 0.05), draws=10))
    plain, large = found
    np.testing.assert_allclose(large.factor_errors, plain.factor_errors, atol=1e-9)
    for errors in ("payoff_errors", "payoff_unlimited_errors", "model_value_errors"):
        np.testing.assert_allclose(getattr(large, errors) / unit, getattr(plain, errors), atol=1e-9)
    np.testing.assert_allclose(large.allocation.payoffs / unit, plain.allocation.payoffs, atol=1e-9)
    assert large.n_raised == plain.n_raised
