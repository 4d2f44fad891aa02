"""Games of shapiq go in, ours come out as theirs; where shapiq is installed."""

import sys

import numpy as np
import pytest

from ml.errors import EstimationError
from ml.game import ValueTable, decompose, estimate_flows, family, shapiq_game, shapiq_values
from ml.game.tables.coalitions import membership

THREE = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])


def test_without_shapiq_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "shapiq", None)
    with pytest.raises(EstimationError, match=r"fairround\[bench\]"):
        shapiq_game(THREE.evaluate, 3)
    with pytest.raises(EstimationError, match=r"fairround\[bench\]"):
        shapiq_values(estimate_flows(THREE.evaluate, 3, 7))


def test_any_callable_on_a_boolean_matrix_is_a_game():
    """What shapiq's games are, written out: rows of booleans in, one number a row out."""

    def game(coalitions):
        assert coalitions.dtype == np.bool_
        assert coalitions.ndim == 2
        return coalitions.sum(axis=1) ** 2 / 25

    estimate = estimate_flows(game, 5, 31)
    shapley = decompose(estimate.flows, estimate.own_values).sum(axis=1)
    np.testing.assert_allclose(shapley, 0.2, atol=1e-12)


def test_a_table_is_a_game_of_shapiq():
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")
    game = shapiq_game(THREE.evaluate, 3, ["a", "b", "c"])
    assert isinstance(game, shapiq.Game)
    np.testing.assert_allclose(game(membership(3).astype(bool)), THREE.values)
    assert game.player_name_lookup.keys() == {"a", "b", "c"}
    exact = shapiq.ExactComputer(game=game, n_players=3)("SV")
    np.testing.assert_allclose([exact[(party,)] for party in range(3)], [0.2, 0.4, 0.4])


def test_an_estimate_is_values_of_shapiq():
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")
    game = family("coverage", 8)
    values = shapiq_values(estimate_flows(game.evaluate, 8, 200))
    assert isinstance(values, shapiq.InteractionValues)
    exact = shapiq.ExactComputer(game=shapiq_game(game.evaluate, 8), n_players=8)("SV")
    for party in range(8):
        assert values[(party,)] == pytest.approx(exact[(party,)], abs=0.01)


def test_a_game_of_shapiq_is_estimated_as_it_is():
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")

    class Voting(shapiq.Game):
        def value_function(self, coalitions):
            return 0.5 + (coalitions @ np.array([4, 3, 2, 1]) > 5)

    game = Voting(4, normalize=True, normalization_value=0.5)
    estimate = estimate_flows(game, 4, 15)
    exact = shapiq.ExactComputer(game=game, n_players=4)("SV")
    shapley = decompose(estimate.flows, estimate.own_values).sum(axis=1)
    np.testing.assert_allclose(shapley, [exact[(party,)] for party in range(4)], atol=1e-12)
