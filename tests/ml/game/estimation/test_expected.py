"""The game behind an estimate: its flows are the process's, measured values stay as measured."""

import numpy as np
import pytest

from ml.errors import EstimationError
from ml.game import (
    ValueTable,
    coalition_matrix,
    conditional_shapley,
    estimate_flows,
    expected_game,
    family,
)
from ml.game.tables.coalitions import membership


@pytest.mark.parametrize("evaluations", [45, 120])
@pytest.mark.parametrize("name", ["airport", "coverage", "saturating"])
def test_flows_of_the_expected_game_are_those_of_the_process(name, evaluations):
    """All 2**n expected values through eq. (5), beside the integrals that never list them."""
    estimate = estimate_flows(family(name, 8).evaluate, 8, evaluations, choose="flows")
    values = expected_game(estimate)(membership(8).astype(bool))
    np.testing.assert_allclose(conditional_shapley(values), estimate.flows, atol=1e-6)


def test_measured_coalitions_keep_the_mean_of_their_seeds():
    game = family("coverage", 8)

    def two_seeds(members):
        return np.stack([game.evaluate(members) - 0.01, game.evaluate(members) + 0.03])

    estimate = estimate_flows(two_seeds, 8, 60)
    expected = expected_game(estimate)
    measured = coalition_matrix(estimate.coalitions, 8)
    np.testing.assert_allclose(expected(measured), game.evaluate(measured) + 0.01, atol=1e-12)
    assert expected(np.zeros((1, 8), bool)) == 0


@pytest.mark.parametrize("method", ["gaussian-process", "quadratic", "stratified"])
def test_where_all_was_measured_the_expected_game_is_the_table(method, rng):
    values = rng.random(32)
    values[0] = 0
    estimate = estimate_flows(ValueTable(values).evaluate, 5, 31, method=method)
    np.testing.assert_array_equal(expected_game(estimate)(membership(5).astype(bool)), values)


@pytest.mark.parametrize(
    ("method", "evaluations"), [("quadratic", 100), ("stratified", 100), ("gaussian-process", 12)]
)
def test_an_estimate_without_a_process_has_no_game_behind_it(method, evaluations):
    estimate = estimate_flows(family("coverage", 8).evaluate, 8, evaluations, method=method)
    with pytest.raises(EstimationError, match="no game behind them"):
        expected_game(estimate)
