"""Closed-form games: their formulas against the exact kernel, and what each one stands for."""

import numpy as np
import pytest

from ml.errors import EstimationError
from ml.game import FAMILIES, conditional_shapley, family, payoffs


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("n_parties", [2, 3, 5, 8, 13])
def test_flows_by_formula_equal_the_exact_flows(name, n_parties):
    for seed in (0, 1):
        game = family(name, n_parties, seed)
        flows = conditional_shapley(game.table().values)
        np.testing.assert_allclose(game.flows, flows, atol=1e-14)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_monotone_scores(name):
    table = game_table = family(name, 9).table()
    assert table.monotonicity().largest < 1e-15
    assert game_table.grand_value <= 1 + 1e-12


@pytest.mark.parametrize("name", FAMILIES)
def test_families_reach_two_hundred_parties(name):
    game = family(name, 200)
    own = game.evaluate(np.eye(200))
    grand = game.evaluate(np.ones((1, 200)))[0]
    np.testing.assert_allclose(game.flows.sum(axis=1), grand - own, atol=1e-12)
    assert game.flows.min() >= 0


def test_a_dummy_receives_nothing_and_pays_for_all():
    game = family("dummy", 6)
    assert not game.flows[:, -1].any()
    assert payoffs(game.flows)[-1] == pytest.approx(-game.table().grand_value)


def test_an_omnipotent_party_pays_nothing():
    game = family("omnipotent", 6)
    assert not game.flows[0].any()
    assert payoffs(game.flows)[0] > 0


def test_a_replica_is_paid_what_its_original_is_and_nothing_by_it():
    game = family("replicated", 6)
    np.testing.assert_allclose(game.flows[1:-1, 0], game.flows[1:-1, -1], atol=1e-15)
    assert game.flows[0, -1] == game.flows[-1, 0] == 0


def test_unknown_families_and_sizes_are_refused():
    with pytest.raises(EstimationError, match="'poker'; expected one of additive"):
        family("poker", 5)
    with pytest.raises(EstimationError, match="1 parties; expected 2 to 256"):
        family("additive", 1)
    with pytest.raises(EstimationError, match="27 parties; a table takes at most 26"):
        family("additive", 27).table()


def test_families_are_what_they_are_called():
    def worth(name, *members, n_parties=5):
        row = np.isin(np.arange(n_parties), members)[None]
        return float(family(name, n_parties, 1).evaluate(row)[0])

    # Even parties hold left gloves: 0, 2 and 4 against 1 and 3.
    assert [worth("glove", 0, 2, 4), worth("glove", 0, 1, 2), worth("glove", 0, 1, 2, 3)] == [
        0.0,
        0.5,
        1.0,
    ]
    assert [worth("unanimity", 0, 1), worth("unanimity", 0, 2, 3, 4)] == [1.0, 0.0]
    assert worth("additive", 0, 3) == pytest.approx(worth("additive", 0) + worth("additive", 3))
    assert worth("airport", 1, 3) == worth("airport", 3) > worth("airport", 1)
    left = [1 - worth("saturating", party) for party in (1, 2)]
    assert worth("saturating", 1, 2) == pytest.approx(1 - np.prod(left))
    assert worth("omnipotent", 0) == worth("omnipotent", 0, 1, 2) == 1.0 > worth("omnipotent", 1)
    for name in FAMILIES:
        expected = 1 - np.exp(-3) if name in ("saturating", "dummy") else 1.0
        assert worth(name, *range(5)) == pytest.approx(expected)
