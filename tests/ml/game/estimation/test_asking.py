"""What an estimate asks for, when it looks at its targets, which method answers, how it errs."""

from dataclasses import replace

import numpy as np
import pytest

from ml.errors import EstimationError
from ml.game import (
    ValueTable,
    allocate_flows,
    bitmasks,
    conditional_shapley,
    estimate_error,
    estimate_flows,
    family,
    payoffs,
)
from ml.game.clearing.derivative import flow_derivative
from ml.game.estimation.active import next_coalitions
from ml.game.estimation.estimators import (
    _check_arguments,
    _varies_within_sizes,
    payment_errors,
    payoff_part,
)
from ml.game.estimation.process import caution, fit_process, surprise
from ml.game.estimation.size_means import by_size
from ml.game.tables.coalitions import coalition_matrix, membership

GAME = family("coverage", 8, 1)


def refuses(message, **change):
    arguments = {"n_parties": 8, "evaluations": 100, "method": "gaussian-process"}
    arguments |= {"choose": "sizes", "batch_size": 16, "previous": None}
    with pytest.raises(EstimationError, match=message):
        _check_arguments(**(arguments | change))


def takes(**change):
    arguments = {"n_parties": 8, "evaluations": 100, "method": "gaussian-process"}
    arguments |= {"choose": "sizes", "batch_size": 16, "previous": None}
    _check_arguments(**(arguments | change))


def test_arguments_are_taken_up_to_their_limits():
    takes(n_parties=2, evaluations=3)
    takes(n_parties=256, evaluations=257)
    takes(batch_size=1)
    takes(evaluations=9)
    takes(evaluations=57, method="permutation")  # 9, and six on the way of each payer's order
    takes(n_parties=2, evaluations=3, method="permutation")
    takes(n_parties=3, evaluations=7, method="permutation")
    takes(n_parties=64, evaluations=2000, choose="payments")
    refuses("2001 evaluations", n_parties=64, evaluations=2001, choose="payments")
    refuses("65 parties", n_parties=65, choose="flows")
    refuses("'quadratic'", method="quadratic", choose="flows")
    refuses("'luck'; expected one of sizes, flows, payments", choose="luck")
    takes(n_parties=256, evaluations=2**11)  # 2**27 weights
    refuses("allow 2,048 evaluations", n_parties=256, evaluations=2**11 + 1)
    # Of few parties there are no more coalitions than there are.
    takes(n_parties=16, evaluations=2**40)
    refuses("at least 7", n_parties=3, evaluations=5, method="permutation")


def test_an_estimate_goes_on_from_its_own_kind_only():
    shared = estimate_flows(GAME.evaluate, 8, 40, 1, "stratified")
    orders = estimate_flows(GAME.evaluate, 8, 60, 1, "permutation")
    takes(previous=shared)
    takes(previous=orders, method="permutation")
    refuses("Previous estimate is 'permutation'", previous=orders)
    refuses("Previous estimate is 'stratified'", previous=shared, method="permutation")
    refuses("for 9 parties", previous=shared, n_parties=9)


@pytest.mark.parametrize("target", ["target_standard_error", "target_payment_error"])
def test_a_target_is_looked_at_once_the_sample_has_grown_by_a_quarter(target):
    # From 10 coalitions on: with 12 of them nothing is asked yet, with 13 it is.
    for batch_size, stopped_at in ((10, 20), (12, 24), (13, 13)):
        wanted = {target: 10.0, "batch_size": batch_size}
        found = estimate_flows(GAME.evaluate, 8, 60, 1, "stratified", **wanted)
        assert found.n_evaluations == stopped_at


def test_payment_errors_are_the_scatter_carried_through_clearing():
    budgets = np.full(8, 0.03)
    estimate = estimate_flows(GAME.evaluate, 8, 60, 1, "quadratic")

    def paid(flows):
        gains = flows.sum(axis=1)
        return allocate_flows(flows, gains.max() - gains, gains.max(), budgets).payoffs

    flows = np.maximum(estimate.flows, 0)
    rows = [
        (paid(np.maximum(flows + 1e-7 * row, 0)) - paid(flows)) / 1e-7 for row in estimate.scatter
    ]
    expected = np.sqrt(np.square(rows).sum(axis=0))
    found = payment_errors(replace(estimate, flows=flows), budgets)
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-5)


def test_few_samples_a_party_are_left_to_means_by_size():
    for method, enough in (("quadratic", 40), ("gaussian-process", 16)):
        for evaluations, is_same in ((enough - 1, True), (enough, False)):
            plain = estimate_flows(GAME.evaluate, 8, evaluations, 1, "stratified").flows
            found = estimate_flows(GAME.evaluate, 8, evaluations, 1, method).flows
            assert np.allclose(found, plain, atol=1e-12) == is_same


def test_beyond_the_largest_process_the_quadratic_surrogate_answers(monkeypatch):
    monkeypatch.setattr("ml.game.estimation.estimators._LARGEST_PROCESS", 60)
    for evaluations, is_same in ((60, False), (61, True)):
        quadratic = estimate_flows(GAME.evaluate, 8, evaluations, 1, "quadratic").flows
        found = estimate_flows(GAME.evaluate, 8, evaluations, 1).flows
        assert np.allclose(found, quadratic, atol=1e-12) == is_same
    monkeypatch.setattr("ml.game.estimation.estimators._LARGEST_PROCESS", 2000)
    monkeypatch.setattr("ml.game.estimation.estimators._PROCESS_PARTIES", 7)
    quadratic = estimate_flows(GAME.evaluate, 8, 50, 1, "quadratic").flows
    np.testing.assert_allclose(estimate_flows(GAME.evaluate, 8, 50, 1).flows, quadratic)


def test_only_size_matters_or_more_does():
    bits = membership(4)[1:]
    by_count = np.sqrt(bits.sum(axis=1))
    assert not _varies_within_sizes(bits, by_count)
    assert not _varies_within_sizes(bits, by_count * (1 + 1e-15 * np.arange(15)))
    by_count[4] += 1e-9
    assert _varies_within_sizes(bits, by_count)


def test_errors_of_a_process_are_those_of_its_fits_and_of_what_they_miss():
    estimate = estimate_flows(GAME.evaluate, 8, 60, 1, choose="flows")  # by the process alone
    bits = coalition_matrix(estimate.coalitions, 8).astype(float)
    fits = fit_process(bits, estimate.values)
    each = [np.tensordot(estimate.values, fit.weights, 1).ravel() for fit in fits]
    np.testing.assert_allclose(np.mean(each, axis=0), estimate.flows.ravel(), atol=1e-9)
    ratio, missed = surprise(fits[0], estimate.values)
    careful, careful_paid = caution(fits[0], estimate.values)[::-1]
    mirror = [list(estimate.coalitions).index(255 ^ c) if 255 ^ c in estimate.coalitions else -1
              for c in estimate.coalitions]  # fmt: skip
    apart = np.array(
        [(m - missed[k]) / 2 if k >= 0 else m for m, k in zip(missed, mirror, strict=True)]
    )
    # What of flows their payoffs tell, and the rest: errors of their own, of v(C) - v(N \ C).
    paid = payoff_part(np.eye(64).reshape(64, 8, 8)).reshape(64, 64)
    rest = np.eye(64) - paid
    own = np.mean([fit.flow_covariance() for fit in fits], axis=0)
    mixed = careful_paid * paid + careful * rest
    expected = ratio * np.diag(mixed.T @ own @ mixed) + np.var(each, axis=0)
    scatters = []
    wrong = np.zeros(64)
    for part, misses in ((rest, missed), (paid, apart)):
        weights, rough = by_size(bits, misses, misses, is_rest=True)
        wrong += np.tensordot(misses, weights, 1).ravel() @ part
        scatters.append(rough.reshape(-1, 64) @ part)
    expected = expected + wrong**2 + (np.concatenate(scatters) ** 2).sum(axis=0)
    off = ~np.eye(8, dtype=bool).ravel()
    told = estimate.standard_errors.ravel()[off]
    np.testing.assert_allclose(told, np.sqrt(expected[off]), rtol=1e-4)


def test_seeds_leave_the_error_of_their_mean(rng):
    seeds = np.abs(np.asarray(family("saturating", 4, 1).table().values) + rng.random((3, 16)) / 9)
    seeds[:, 0] = 0
    estimate = estimate_flows(lambda c: seeds[:, bitmasks(c)], 4, 15)
    flows = np.stack([conditional_shapley(row) for row in seeds])
    np.testing.assert_allclose(estimate.flows, flows.mean(axis=0), atol=1e-12)
    expected = flows.std(axis=0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(estimate.standard_errors, expected, atol=1e-12)
    own = seeds[:, [1, 2, 4, 8]]
    told = np.sqrt((estimate.own_scatter**2).sum(axis=0))
    np.testing.assert_allclose(told, own.std(axis=0, ddof=1) / np.sqrt(3), atol=1e-12)
    # Of one seed together: where a row raises v(i) it raises the flows of that seed.
    whole = estimate.scatter.sum(axis=2) + estimate.own_scatter
    np.testing.assert_allclose(whole, whole[:, :1] * np.ones(4), atol=1e-12)
    bad = seeds.copy()
    bad[1, 5] = np.nan
    with pytest.raises(EstimationError, match=r"Value of coalition 5 \{0, 2\} is \["):
        estimate_flows(lambda c: bad[:, bitmasks(c)], 4, 15)
    with pytest.raises(EstimationError, match=r"returned shape \(1, 1, 15\)"):
        estimate_flows(lambda c: seeds[None, :1, bitmasks(c)], 4, 15)


def test_many_rows_of_scatter_are_mixed_to_four_hundred_that_err_alike():
    played = family("coverage", 12, 1)
    estimate = estimate_flows(played.evaluate, 12, 900, 1, "stratified")
    bits = coalition_matrix(estimate.coalitions, 12).astype(float)
    _, rows = by_size(bits, estimate.values)
    assert len(rows) > 400 == len(estimate.scatter)
    assert estimate.own_scatter.shape == (400, 12)
    off = ~np.eye(12, dtype=bool)
    true = np.sqrt((rows**2).sum(axis=0))[off]
    np.testing.assert_allclose(estimate.standard_errors[off], true, rtol=0.2)
    assert np.mean(estimate.standard_errors[off] / true) == pytest.approx(1, abs=0.05)


def test_chosen_coalitions_follow_three_a_party_by_size():
    asked = []

    def evaluate(members):
        asked.append(len(members))
        return GAME.evaluate(members)

    found = estimate_flows(evaluate, 8, 60, 1, choose="flows")
    by_sizes = estimate_flows(GAME.evaluate, 8, 60, 1)
    assert asked == [16, 8, 16, 16, 4]
    assert found.coalitions[:24] == by_sizes.coalitions[:24]
    assert set(found.coalitions) != set(by_sizes.coalitions)


@pytest.mark.parametrize("choose", ["flows", "payments"])
def test_what_is_chosen_is_what_teaches_most_of_what_is_wanted(choose):
    budgets = np.array([0.0, 0.02, 0.02, 0.05, np.inf, np.inf, 0.0, 0.01])
    found = estimate_flows(GAME.evaluate, 8, 40, 1, choose=choose, budgets=budgets)
    first = coalition_matrix(found.coalitions[:24], 8).astype(float)
    fits = fit_process(first, found.values[:24])
    flows = np.mean([np.tensordot(found.values[:24], fit.weights, 1) for fit in fits], axis=0)
    derivative = None
    if choose == "payments":
        derivative = flow_derivative(np.maximum(flows, 0), budgets)
    chosen = next_coalitions(fits, set(found.coalitions[:24]), 16, derivative, (1, 24))
    assert list(found.coalitions[24:40]) == chosen


def test_an_estimate_is_measured_by_root_mean_squares_of_the_flows(rng):
    estimate = estimate_flows(GAME.evaluate, 8, 60, 1, "stratified")
    off = ~np.eye(8, dtype=bool)
    errors = estimate.standard_errors[off]
    shift = np.where(np.arange(56) % 4 == 0, 3.0, 1.0) * errors
    truth = np.zeros((8, 8))
    truth[off] = estimate.flows[off] + shift
    found = estimate_error(estimate, truth)
    assert found.rms == pytest.approx(np.sqrt(np.mean(shift**2)))
    assert found.largest == pytest.approx(shift.max())
    assert found.rms_flow == pytest.approx(np.sqrt(np.mean(truth[off] ** 2)))
    assert found.relative_rms == pytest.approx(found.rms / found.rms_flow)
    assert found.claimed_rms == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert found.share_within_two_errors == 0.75
    exact = estimate_flows(ValueTable(np.zeros(16)).evaluate, 4, 15)
    nothing = estimate_error(exact, np.zeros((4, 4)))
    assert nothing.relative_rms == 0.0
    assert nothing.share_within_two_errors == 1.0
    missed = estimate_error(replace(exact, flows=np.ones((4, 4))), np.zeros((4, 4)))
    assert missed.relative_rms == 1.0
    # Rounding of the values is no miss, though nothing is claimed of it.
    whole = estimate_flows(family("coverage", 4, 1).evaluate, 4, 15)
    assert not whole.standard_errors.any()
    assert estimate_error(whole, whole.flows * (1 + 1e-14)).share_within_two_errors == 1.0


def test_the_part_of_flows_that_payoffs_tell_has_their_payoffs_and_is_the_smallest(rng):
    flows = rng.standard_normal((3, 5, 5)) * (1 - np.eye(5))
    part = payoff_part(flows)
    np.testing.assert_allclose(part.sum(axis=2), 0, atol=1e-13)
    assert not np.einsum("rii->ri", part).any()
    for one, other in zip(part, flows, strict=True):
        np.testing.assert_allclose(payoffs(one), payoffs(other), atol=1e-13)
        # At right angles to all flows whose rows and columns sum to zero.
        for _ in range(20):
            idle = rng.standard_normal((5, 5)) * (1 - np.eye(5))
            for _ in range(400):
                idle -= idle.sum(axis=1)[:, None] / 4 * (1 - np.eye(5))
                idle -= idle.sum(axis=0) / 4 * (1 - np.eye(5))
            assert abs((one * idle).sum()) < 1e-9
