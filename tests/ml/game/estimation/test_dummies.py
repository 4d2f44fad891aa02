"""Estimates that know who adds nothing: the same game, no evaluation for what is known."""

import numpy as np
import pytest

from ml.game import (
    ValueTable,
    allocate_estimate,
    conditional_shapley,
    estimate_flows,
    estimate_with_dummies,
    family,
    with_dummy,
)

GAME = family("coverage", 5, 1)


def with_two_dummies():
    """Parties 1 and 4 add nothing; the others are those of the game."""
    coalitions = np.arange(128)
    others = coalitions & 1 | coalitions >> 1 & 6 | coalitions >> 2 & 24
    return ValueTable(GAME.table().values[others])


def estimated(evaluations, asked):
    table = with_two_dummies()

    def evaluate(members):
        asked.extend(map(tuple, members.tolist()))
        return table.evaluate(members)

    return table, estimate_with_dummies(
        lambda ask, n: estimate_flows(ask, n, evaluations), evaluate, 7, (1, 4)
    )


def test_all_coalitions_of_the_others_give_the_exact_flows_of_everybody():
    asked = []
    table, estimate = estimated(31, asked)
    assert len(asked) == 31
    np.testing.assert_allclose(estimate.flows, conditional_shapley(table.values), atol=1e-9)
    assert not estimate.flows[:, [1, 4]].any()
    assert estimate.own_values[[1, 4]].tolist() == [0, 0]
    assert estimate.grand_value == table.grand_value
    # Everybody together, and else coalitions without dummies: what a round of them trains.
    assert all(all(row) or not (row[1] or row[4]) for row in asked)
    assert sum(all(row) for row in asked) == 1
    assert estimate.coalitions[[all(row) for row in asked].index(True)] == 127


def test_rows_and_their_errors_obey_eq_4_with_dummies_too():
    table, estimate = estimated(18, [])
    gains = table.grand_value - estimate.own_values
    np.testing.assert_allclose(estimate.flows.sum(axis=1), gains, atol=1e-12)
    assert len(estimate.scatter)
    np.testing.assert_allclose(estimate.scatter.sum(axis=2), 0, atol=1e-12)
    errors = estimate.standard_errors
    assert not errors[:, [1, 4]].any()
    # A dummy pays Shapley values: their errors, by eq. (6), not those of single flows.
    others = [0, 2, 3, 5, 6]
    shapley = estimate.scatter[:, others].sum(axis=1) / 5
    np.testing.assert_allclose(errors[1], np.sqrt((shapley**2).sum(axis=0)), atol=1e-12)
    assert errors[1, others].min() > 0


def test_a_dummy_buys_and_is_never_paid():
    _, estimate = estimated(18, [])
    budgets = np.array([np.inf, 0.1, np.inf, np.inf, 0.0, np.inf, np.inf])
    found = allocate_estimate(estimate, budgets)
    assert found.allocation.payoffs[1] == pytest.approx(-0.1)
    assert found.allocation.payoffs[4] == pytest.approx(0, abs=1e-15)
    assert found.allocation.adjustment_factors[4] == 0
    assert found.payoff_errors[1] == pytest.approx(0, abs=1e-9)


def test_errors_over_seeds_reach_what_a_dummy_pays(rng):
    """With noise of seeds in v(N) and v(i), rows still leave one v(N)."""
    tables = [with_dummy(ValueTable(np.append(0, np.sort(rng.random(7))))) for _ in range(3)]

    def evaluate(members):
        return [table.evaluate(members) for table in tables]

    found = estimate_with_dummies(lambda ask, n: estimate_flows(ask, n, 7), evaluate, 4, (3,))
    moved = found.scatter.sum(axis=2) + found.own_scatter
    np.testing.assert_allclose(moved, moved[:, :1] * np.ones(4), atol=1e-12)
    assert np.abs(moved).max() > 0


def test_without_dummies_nothing_is_changed():
    plain = estimate_flows(GAME.evaluate, 5, 18)
    found = estimate_with_dummies(lambda ask, n: estimate_flows(ask, n, 18), GAME.evaluate, 5, ())
    assert np.array_equal(found.flows, plain.flows)
    assert found.coalitions == plain.coalitions
