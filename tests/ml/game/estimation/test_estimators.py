"""Estimated flows: exact in the limit, within the goals, honest errors, stopping, continuing."""

import numpy as np
import pytest

from ml.errors import EstimationError, NegativeFlowError
from ml.game import (
    ESTIMATORS,
    FAMILIES,
    ValueTable,
    allocate,
    allocate_estimate,
    bitmasks,
    conditional_shapley,
    decompose,
    estimate_error,
    estimate_flows,
    family,
)
from ml.game.uncertainty.estimated import non_negative_rows

SHARED = [method for method in ESTIMATORS if method != "permutation"]


def relative_error(estimate, flows):
    off = ~np.eye(len(flows), dtype=bool)
    error = np.sqrt(((estimate.flows - flows)[off] ** 2).mean())
    return error / np.sqrt((flows[off] ** 2).mean())


def mean_error(name, method, n_parties, evaluations, seeds):
    games = [family(name, n_parties, seed) for seed in range(seeds)]
    return np.mean(
        [
            relative_error(estimate_flows(g.evaluate, n_parties, evaluations, 5, method), g.flows)
            for g in games
        ]
    )


@pytest.mark.parametrize("method", SHARED)
@pytest.mark.parametrize("n_parties", [2, 3, 6])
def test_all_coalitions_give_the_exact_flows(method, n_parties, rng):
    values = rng.random(2**n_parties)
    values[0] = 0  # no structure at all
    estimate = estimate_flows(ValueTable(values).evaluate, n_parties, 2**n_parties, 0, method)
    np.testing.assert_allclose(estimate.flows, conditional_shapley(values), atol=1e-9)
    assert estimate.standard_errors.max() == 0
    assert estimate.stopped_by == "all coalitions"


@pytest.mark.parametrize("method", ESTIMATORS)
def test_rows_sum_to_what_the_others_add_eq_4(method):
    game = family("coverage", 10, 3)
    estimate = estimate_flows(game.evaluate, 10, 200, 1, method)
    own_gains = estimate.grand_value - estimate.own_values
    np.testing.assert_allclose(estimate.flows.sum(axis=1), own_gains, atol=1e-13)
    assert not np.diag(estimate.flows).any()


@pytest.mark.parametrize(("name", "goal"), [("saturating", 0.015), ("coverage", 0.04)])
def test_five_hundred_evaluations_of_twelve_parties_reach_the_goal(name, goal):
    shared = mean_error(name, "quadratic", 12, 500, 6)
    alone = mean_error(name, "permutation", 12, 500, 6)
    assert shared <= goal
    assert alone >= 10 * shared
    assert mean_error(name, "gaussian-process", 12, 500, 1) < shared


@pytest.mark.parametrize("name", ["saturating", "coverage"])
def test_four_thousand_evaluations_of_sixteen_parties_reach_the_goal(name):
    assert mean_error(name, "quadratic", 16, 4000, 2) <= 0.02


@pytest.mark.parametrize(
    ("method", "name"),
    [(method, "coverage") for method in ESTIMATORS]
    + [("quadratic", "saturating"), ("quadratic", "airport"), ("stratified", "airport")],
)
def test_standard_errors_tell_the_size_of_the_error(method, name):
    off = ~np.eye(10, dtype=bool)
    found, told = [], []
    for seed in range(6):
        game = family(name, 10, seed)
        estimate = estimate_flows(game.evaluate, 10, 250, seed, method)
        found.append(((estimate.flows - game.flows)[off] ** 2).mean())
        told.append((estimate.standard_errors[off] ** 2).mean())
    ratio = np.sqrt(np.mean(told) / np.mean(found))
    assert 0.6 < ratio < 4  # a process may be too careful, never much too sure


@pytest.mark.parametrize("method", ESTIMATORS)
def test_a_continued_estimate_repeats_no_coalition(method):
    game = family("coverage", 9, 1)
    asked = []

    def evaluate(coalitions):
        asked.extend(bitmasks(coalitions))
        return game.evaluate(coalitions)

    first = estimate_flows(evaluate, 9, 120, 7, method)
    assert len(asked) == first.n_evaluations <= 120
    second = estimate_flows(evaluate, 9, 240, method=method, previous=first)
    assert len(asked) == len(set(asked)) == second.n_evaluations <= 240
    straight = estimate_flows(game.evaluate, 9, 240, 7, method)
    assert set(straight.coalitions) == set(asked)
    np.testing.assert_allclose(second.flows, straight.flows, atol=1e-8)


def test_the_same_seed_gives_the_same_estimate_and_batches_do_not_matter():
    game = family("coverage", 10, 1)
    first = estimate_flows(game.evaluate, 10, 300, 3)
    second = estimate_flows(game.evaluate, 10, 300, 3, batch_size=17)
    np.testing.assert_array_equal(first.flows, second.flows)
    assert not np.array_equal(first.flows, estimate_flows(game.evaluate, 10, 300, 4).flows)


def test_a_target_standard_error_stops_early():
    game = family("saturating", 12, 1)
    estimate = estimate_flows(game.evaluate, 12, 4000, target_standard_error=2e-3, batch_size=50)
    assert estimate.stopped_by == "standard error"
    assert estimate.standard_errors.max() <= 2e-3
    assert estimate.n_evaluations < 2000


def test_wall_time_stops_after_a_batch():
    game = family("saturating", 12, 1)
    seconds = iter(range(100))
    estimate = estimate_flows(
        game.evaluate, 12, 1000, wall_time_s=3, batch_size=50, clock=lambda: next(seconds)
    )
    assert estimate.stopped_by == "time"
    assert estimate.n_evaluations == 150


def test_progress_counts_up_to_the_evaluations():
    game = family("saturating", 8, 1)
    seen = []
    estimate_flows(game.evaluate, 8, 100, batch_size=30, progress=lambda *now: seen.append(now))
    assert seen == [(30, 100), (60, 100), (90, 100), (100, 100)]


@pytest.mark.parametrize(
    ("method", "goal"),
    [("quadratic", 0.1), pytest.param("gaussian-process", 1e-3, marks=pytest.mark.slow)],
)
def test_sixty_four_parties_are_estimated(method, goal):
    game = family("saturating", 64, 1)
    estimate = estimate_flows(game.evaluate, 64, 1500, method=method)
    assert relative_error(estimate, game.flows) < goal
    assert len(set(estimate.coalitions)) == 1500


@pytest.mark.parametrize("method", ["gaussian-process", "stratified"])
def test_more_parties_than_a_word_has_bits_are_estimated(method):
    """Beyond 64 parties a coalition fits no machine word; nothing may be cut off on the way."""
    game = family("saturating", 100, 1)
    asked = []

    def evaluate(members):
        assert members.dtype == np.bool_
        asked.extend(bitmasks(members))
        return game.evaluate(members)

    estimate = estimate_flows(evaluate, 100, 510, method=method)
    assert estimate.coalitions == tuple(asked)
    assert asked[0] == 2**100 - 1
    assert len(set(asked)) == 510
    np.testing.assert_allclose(estimate.own_values, game.evaluate(np.eye(100)))
    np.testing.assert_allclose(
        estimate.flows.sum(axis=1), estimate.grand_value - estimate.own_values, atol=1e-12
    )
    assert relative_error(estimate, game.flows) < 0.3


def test_noisy_values_are_smoothed_not_believed(rng):
    game = family("saturating", 10, 2)
    noise = 0.005

    def evaluate(coalitions):
        return game.evaluate(coalitions) + noise * rng.standard_normal(len(coalitions))

    estimate = estimate_flows(evaluate, 10, 500, method="gaussian-process")
    assert relative_error(estimate, game.flows) < 0.06


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "'magic'; expected one of gaussian-process"),
        ({"n_parties": 257}, "257; expected 2 to 256"),
        ({"n_parties": 1}, "1; expected 2 to 256"),
        ({"n_parties": 200, "evaluations": 10**5}, "allow 3,355 evaluations"),
        ({"n_parties": 65, "choose": "flows"}, "65 parties and 100 evaluations"),
        (
            {"evaluations": 8},
            "8 evaluations for 8 parties; method 'gaussian-process' needs at least 9",
        ),
        ({"evaluations": 50, "method": "permutation"}, "needs at least 57"),
        ({"batch_size": 0}, "Batch size is 0"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    arguments = {"n_parties": 8, "evaluations": 100} | change
    with pytest.raises(EstimationError, match=message):
        estimate_flows(lambda coalitions: np.zeros(len(coalitions)), **arguments)


def test_bad_answers_are_refused():
    with pytest.raises(EstimationError, match=r"returned shape \(\) for 20 coalitions"):
        estimate_flows(lambda coalitions: 1.0, 8, 20)
    with pytest.raises(EstimationError, match=r"Value of coalition 255 .* is nan"):
        estimate_flows(lambda coalitions: np.full(len(coalitions), np.nan), 8, 20)


def test_a_previous_estimate_of_another_game_is_refused():
    game = family("saturating", 8, 1)
    first = estimate_flows(game.evaluate, 8, 30)
    with pytest.raises(
        EstimationError, match="for 8 parties; expected one that 'gaussian-process' for 9"
    ):
        estimate_flows(game.evaluate, 9, 60, previous=first)


def test_an_allocation_of_estimated_flows_tells_its_errors():
    game = family("coverage", 10, 4)
    budgets = np.full(10, 0.03)
    truth = allocate(game.table(), budgets)
    misses, told = [], []
    for seed in range(8):
        estimate = estimate_flows(game.evaluate, 10, 200, seed, "stratified")
        found = allocate_estimate(estimate, budgets, draws=60)
        misses.append(found.allocation.adjustment_factors - truth.adjustment_factors)
        told.append(found.factor_errors)
    ratio = np.sqrt(np.mean(np.square(told)) / np.mean(np.square(misses)))
    assert 0.5 < ratio < 3


def test_exact_flows_leave_no_error_in_the_allocation():
    game = family("saturating", 6, 1)
    found = allocate_estimate(estimate_flows(game.evaluate, 6, 63), np.full(6, 0.1), draws=5)
    assert found.factor_errors.max() < 1e-14
    assert found.payoff_errors.max() < 1e-14
    assert found.n_raised == 0


def test_flows_negative_beyond_noise_are_refused(rng):
    values = rng.random(64)
    values[[0, 63]] = 0, 1
    estimate = estimate_flows(ValueTable(values).evaluate, 6, 63)
    with pytest.raises(NegativeFlowError, match="standard errors: the game is not monotone"):
        allocate_estimate(estimate)


def test_rows_without_negative_entries_are_the_nearest_ones(rng):
    flows = rng.normal(0.1, 0.2, (6, 6))
    np.fill_diagonal(flows, 0)
    row_sums = np.full(6, 0.7)
    nearest = non_negative_rows(flows, row_sums)
    np.testing.assert_allclose(nearest.sum(axis=1), row_sums, atol=1e-14)
    assert nearest.min() >= 0
    off = ~np.eye(6, dtype=bool)
    for _ in range(200):
        other = rng.dirichlet(np.ones(5), 6) * 0.7
        assert ((nearest - flows)[off] ** 2).sum() <= ((other.ravel() - flows[off]) ** 2).sum()


def test_an_estimate_is_measured_against_the_truth():
    game = family("coverage", 12, 2)
    estimate = estimate_flows(game.evaluate, 12, 500)
    error = estimate_error(estimate, game.flows)
    assert error.relative_rms == pytest.approx(relative_error(estimate, game.flows))
    assert error.rms < error.largest
    assert 0.7 < error.share_within_two_errors <= 1
    with pytest.raises(EstimationError, match=r"\(3, 3\); expected \(12, 12\)"):
        estimate_error(estimate, np.zeros((3, 3)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("method", ESTIMATORS)
def test_most_true_flows_lie_within_two_standard_errors(method, name):
    found = []
    for seed in range(6):
        game = family(name, 8, seed)
        found.append(
            estimate_error(estimate_flows(game.evaluate, 8, 120, seed, method), game.flows)
        )
    assert np.mean([error.share_within_two_errors for error in found]) > 0.85
    # Not by claiming too much, but for a sample of which one half suggests quite another game.
    told = np.median([error.claimed_rms for error in found])
    wrong = np.median([error.rms for error in found])
    # A process may be exact and, as it should, not know it.
    assert told < 2.5 * wrong or told < 0.1 * found[0].rms_flow or name == "additive"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("n_parties", "evaluations"), [(3, 4), (3, 5), (4, 8), (5, 12), (12, 13), (12, 20), (12, 40)]
)
def test_no_tiny_sample_claims_to_be_exact(name, n_parties, evaluations):
    off = ~np.eye(n_parties, dtype=bool)
    found = []
    for seed in range(6):
        game = family(name, n_parties, seed)
        estimate = estimate_flows(game.evaluate, n_parties, evaluations, seed)
        assert estimate.standard_errors[off].min() > 0
        found.append(estimate_error(estimate, game.flows))
    told = np.sqrt(np.mean([error.claimed_rms**2 for error in found]))
    assert told > 0.5 * np.sqrt(np.mean([error.rms**2 for error in found]))


@pytest.mark.parametrize("method", SHARED)
def test_a_sample_in_which_only_size_matters_proves_nothing(method):
    # Only everybody together is worth anything; a few absent parties might not be needed.
    estimate = estimate_flows(lambda drawn: drawn.all(axis=1).astype(float), 12, 60, 1, method)
    assert estimate.standard_errors[~np.eye(12, dtype=bool)].min() > 0.01


@pytest.mark.parametrize("evaluations", [22, 42, 51])
def test_one_order_a_payer_does_not_claim_to_be_exact(evaluations):
    game = family("airport", 6, 1)
    estimate = estimate_flows(game.evaluate, 6, evaluations + 9, method="permutation")
    assert estimate.standard_errors[~np.eye(6, dtype=bool)].min() > 0


def test_permutations_of_a_fully_known_game_come_to_an_end():
    game = family("coverage", 6, 1)
    estimate = estimate_flows(game.evaluate, 6, 63, method="permutation")
    assert relative_error(estimate, game.flows) < 0.2


@pytest.mark.parametrize("evaluations", [60, 200])
def test_shapley_values_are_exact_where_their_odd_part_is_a_sum(evaluations):
    game = family("glove", 10, 3)  # pairs of gloves: v(C) - v(N without C) is a sum over parties
    own = game.evaluate(np.eye(10))
    estimate = estimate_flows(game.evaluate, 10, evaluations, 3)
    found, truth = (decompose(f, own).sum(axis=1) for f in (estimate.flows, game.flows))
    np.testing.assert_allclose(found, truth, rtol=2e-3)
    assert np.abs(estimate.flows - game.flows).max() > 0.01  # the flows are not known by that
