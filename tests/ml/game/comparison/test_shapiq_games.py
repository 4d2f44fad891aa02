"""Games of shapiq go in, ours come out as theirs; where shapiq is installed."""

import sys

import numpy as np
import pytest

from ml.errors import EstimationError
from ml.game import (
    ValueTable,
    decompose,
    estimate_flows,
    expected_game,
    family,
    shapiq_game,
    shapiq_values,
)
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


def shapley_of(game):
    """Exact Shapley values by shapiq."""
    import shapiq

    exact = shapiq.ExactComputer(game=game, n_players=game.n_players)("SV")
    return [exact[(party,)] for party in range(game.n_players)]


@pytest.mark.filterwarnings("ignore:The 'shapiq_games' package:ImportWarning")
def test_a_benchmark_game_of_shapiq_has_the_shapley_values_that_shapiq_finds():
    """Its own games, of 1.4 and of 1.8; normalised, so that nobody at all is worth nothing."""
    synthetic = pytest.importorskip(
        "shapiq_games.synthetic", reason="shapiq is not installed (extra bench)"
    )
    game = synthetic.SOUM(6, 10, random_state=1, normalize=True)
    estimate = estimate_flows(game, 6, 63)
    shapley = decompose(estimate.flows, estimate.own_values).sum(axis=1)
    np.testing.assert_allclose(shapley, shapley_of(game), atol=1e-12)
    assert np.ptp(shapley) > 0.5


def test_the_game_behind_an_estimate_is_a_game_of_shapiq():
    pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")
    estimate = estimate_flows(family("coverage", 6).evaluate, 6, 40)
    game = shapiq_game(expected_game(estimate), 6)
    found = shapiq_values(estimate)
    np.testing.assert_allclose(shapley_of(game), [found[(party,)] for party in range(6)], atol=1e-8)


@pytest.fixture
def pyplot(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "plot", ["force", "network", "si_graph", "stacked_bar", "upset", "waterfall"]
)
def test_plots_of_shapiq_draw_our_games_and_estimates(pyplot, plot):
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")
    game = family("coverage", 6)
    pairs = shapiq.ExactComputer(game=shapiq_game(game.evaluate, 6), n_players=6)("k-SII", 2)
    drawn = [pairs]
    if plot != "network":  # draws pairs alone
        drawn.append(shapiq_values(estimate_flows(game.evaluate, 6, 40)))
    for values in drawn:
        pyplot.close("all")
        getattr(values, f"plot_{plot}")(show=False)
        (number,) = pyplot.get_fignums()
        assert any(axes.has_data() or axes.texts for axes in pyplot.figure(number).axes)


@pytest.mark.parametrize("name", ["KernelSHAP", "PermutationSamplingSV", "SVARM"])
def test_approximators_of_shapiq_run_on_our_games(name):
    shapiq = pytest.importorskip("shapiq", reason="shapiq is not installed (extra bench)")
    game = family("coverage", 6)
    approximate = getattr(shapiq, name)(n=6, random_state=0).approximate
    found = approximate(budget=62, game=shapiq_game(game.evaluate, 6))
    exact = shapley_of(shapiq_game(game.evaluate, 6))
    for party in range(6):
        assert found[(party,)] == pytest.approx(exact[party], abs=0.1)


def test_benchmarks_of_shapiq_run_on_our_games():
    """From version 1.8 on: a benchmark is a game with a computer of its exact values."""
    benchmark = pytest.importorskip("shapiq_benchmark", reason="shapiq below 1.8 has none")
    shapiq = pytest.importorskip("shapiq")
    game = shapiq_game(family("coverage", 6).evaluate, 6)
    found = benchmark.run(
        benchmark.Benchmark(game), [shapiq.KernelSHAP], budgets=[40], index="SV", order=1
    )
    assert found["status"].tolist() == ["ok"]
    assert found["mae"].item() < 0.1
