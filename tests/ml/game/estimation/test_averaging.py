"""Averages of estimates: shares by what each misses, variance that bounds, games of steps."""

import numpy as np
import pytest

from ml.game import ValueTable, conditional_shapley, estimate_flows, family, payoffs
from ml.game.estimation.averaging import average
from ml.game.estimation.estimators import _unseen_steps, takes_process
from ml.game.estimation.process import _fit, fit_process, left_out_of_process
from ml.game.estimation.quadratic import by_quadratic
from ml.game.estimation.size_means import left_out_of_sizes, step_variance
from ml.game.tables.coalitions import coalition_matrix, membership
from tests.ml.game.games import game

NAN = float("nan")
# Two parties alone, three pairs of three parties, everybody.
BITS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]], float)


def an_estimate(rng, *left_out):
    return rng.random((6, 3, 3)), rng.random((4, 3, 3)), np.array(left_out)


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ((9, 9, 1, 1, 1, 9), (0, 0, 3, -3, 3, 0), 81 / 82),  # those in every sample do not count
        ((0, 0, 1, -1, 1, 0), (0, 0, NAN, 2, NAN, 0), 16 / 17),
        ((0, 0, 1, 2, 2, 0), (0, 0, 2, 1, -2, 0), 1 / 2),
        ((0, 0, 1, 1, 1, 0), (0, 0, NAN, NAN, NAN, 0), 1),  # it foretells nothing
        ((0, 0, 1e-14, 0, 0, 0), (0, 0, 1, 1, 1, 0), 1),
        ((0, 0, 1, 0, 0, 0), (0, 0, 0, 0, 0, 0), 0),
        ((0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0), 1 / 2),
    ],
)
def test_shares_go_by_the_inverse_fourth_power_of_what_is_missed(first, second, share, rng):
    one, other = an_estimate(rng, *first), an_estimate(rng, *second)
    weights, scatter, missed = average([one, other], BITS)
    each = [[miss**2 for miss in left[2:5] if not np.isnan(miss)] for *_, left in (one, other)]
    squares = [np.mean(known) if known else 0.0 for known in each]
    assert missed == pytest.approx(share * squares[0] + (1 - share) * squares[1], abs=1e-15)
    np.testing.assert_allclose(weights, share * one[0] + (1 - share) * other[0], atol=1e-12)
    variance = share * (one[1] ** 2).sum(axis=0) + (1 - share) * (other[1] ** 2).sum(axis=0)
    np.testing.assert_allclose((scatter**2).sum(axis=0), variance, atol=1e-12)


def a_sample(name, n_parties, evaluations, seed):
    values = game(name, n_parties, seed)
    estimate = estimate_flows(lambda c: values[c @ (1 << np.arange(n_parties))], n_parties,
                              evaluations, seed)  # fmt: skip
    bits = coalition_matrix(estimate.coalitions, n_parties).astype(float)
    return estimate, bits, conditional_shapley(values)


def test_what_is_left_out_is_missed_as_if_it_had_never_been_drawn():
    estimate, bits, _ = a_sample("coverage", 6, 50, 1)
    values, sizes = estimate.values, bits.sum(axis=1)
    by_size = left_out_of_sizes(bits, values)
    process = fit_process(bits, values)[:1]
    by_process = left_out_of_process(process, values)
    by_fit = by_quadratic(bits, values)[2]
    by_count = np.eye(6)[sizes.astype(int) - 1]
    first, second = np.triu_indices(6, 1)
    for place in np.flatnonzero((sizes > 1) & (sizes < 6)):
        kept = np.arange(50) != place
        others = values[kept & (sizes == sizes[place])]
        assert by_size[place] == pytest.approx(values[place] - others.mean())
        without = _fit(process[0].kernel, bits[kept], values[kept])
        expected = without.expected(values[kept], bits[~kept])[0]
        assert by_process[place] == pytest.approx(values[place] - expected, abs=1e-7)
        # 27 terms of which 21 are free: least squares without the sample, any of the equal ones.
        terms = np.hstack([by_count, bits, bits[:, first] * bits[:, second]])
        design = terms if len(values) >= 2.5 * terms.shape[1] else terms[:, :12]
        fitted = np.linalg.lstsq(design[kept], values[kept], rcond=None)[0]
        assert by_fit[place] == pytest.approx(values[place] - design[place] @ fitted, abs=1e-6)
    assert np.isnan(by_size[sizes == 6]).all()


def test_several_kernels_miss_by_their_mean():
    estimate, bits, _ = a_sample("coverage", 6, 20, 1)
    fits = fit_process(bits, estimate.values)
    assert len(fits) > 1
    each = [left_out_of_process([fit], estimate.values) for fit in fits]
    np.testing.assert_allclose(left_out_of_process(fits, estimate.values), np.mean(each, axis=0))


def flows_of_process(bits, values):
    return np.mean([np.tensordot(values, f.weights, 1) for f in fit_process(bits, values)], axis=0)


def test_steps_are_not_left_to_a_smooth_process():
    """Weighted majorities: the average errs less than the process alone, in most games too."""
    errors = []
    for seed in range(5):
        estimate, bits, exact = a_sample("weighted majority", 12, 200, seed)
        alone = flows_of_process(bits, estimate.values)
        errors.append([np.square(f - exact).sum() for f in (estimate.flows, alone)])
    averaged, alone = np.array(errors).T
    assert averaged.sum() < 0.8 * alone.sum()
    assert (averaged < alone).sum() >= 4


@pytest.mark.parametrize("name", ["coverage", "saturating", "airport", "noisy monotone"])
def test_a_process_that_holds_is_left_alone(name):
    estimate, bits, exact = a_sample(name, 10, 100, 3)
    alone = flows_of_process(bits, estimate.values)
    moved = np.square(estimate.flows - alone).sum()
    assert moved < 0.05 * np.square(alone - exact).sum()


def test_a_sum_over_parties_is_exact_whoever_foretells_it():
    weights = np.linspace(0.05, 0.1, 8)
    estimate = estimate_flows(lambda c: c @ weights, 8, 60, 1)
    expected = np.broadcast_to(weights, (8, 8)) * (1 - np.eye(8))
    np.testing.assert_allclose(estimate.flows, expected, atol=1e-8)


def test_a_process_takes_two_samples_a_party_up_to_its_largest():
    assert not takes_process(8, 15)
    assert takes_process(8, 16)
    assert takes_process(64, 2000)
    assert not takes_process(64, 2001)
    assert not takes_process(65, 2000)


def test_attack_a_sample_that_agrees_with_a_simpler_game_of_steps_claims_no_exactness():
    """Two parties are worth half each; the six others only all together: one coalition of 255."""
    bits = membership(8)
    values = np.maximum(bits[:, 6] + bits[:, 7], bits[:, :6].all(axis=1)) / 2
    exact = payoffs(conditional_shapley(values))
    for method, choose in (("gaussian-process", "sizes"), ("gaussian-process", "flows"),
                           ("quadratic", "sizes")):  # fmt: skip
        is_off = 0
        for seed in range(6):
            estimate = estimate_flows(
                ValueTable(values).evaluate, 8, 60, seed, method, choose=choose
            )
            missed = np.abs(payoffs(estimate.flows) - exact)
            rows = np.array([payoffs(row) for row in estimate.scatter])
            errors = np.sqrt((rows**2).sum(axis=0))
            assert (missed <= 2 * errors + 1e-9).mean() >= 0.75
            is_off += missed.max() > 0.01
        assert is_off > 0  # the coalition was not seen, or the test asks nothing
    # Whole numbers of steps only: what differs everywhere is as sure as it looks.
    smooth = estimate_flows(family("saturating", 8, 1).evaluate, 8, 60, 1)
    assert smooth.standard_errors.max() < 1e-2


def test_unseen_steps_are_those_of_coalitions_that_were_not_evaluated(rng):
    bits = membership(4)[1:]
    kept = np.array([0, 1, 3, 7, 14, 2, 4, 11])
    values = np.array([0, 0, 0, 0, 1.0, 0.5, 0.5, 0.0])
    flows = np.stack([conditional_shapley(row) for row in np.eye(16)[1:]])
    variance = step_variance(values[5:], 1.5)
    unseen = flows[np.setdiff1d(np.arange(15), kept)]
    for missed in (0.0, variance / 2):
        rows = _unseen_steps(bits[kept], values, missed)
        expected = (variance - missed) * (unseen**2).sum(axis=0)
        np.testing.assert_allclose((rows**2).sum(axis=0), expected, atol=1e-12)
    assert variance > 0
    assert len(_unseen_steps(bits[kept], values, variance)) == 0
