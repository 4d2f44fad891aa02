"""The paper's properties of flows and of their adjustment, each by its name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.game import (
    ValueTable,
    adjustment_factors,
    allocate,
    conditional_shapley,
    decompose,
    payoffs,
    replicate_party,
    shapley_values,
    with_dummy,
)
from tests.ml.game.helpers import random_monotone_table

GAMES = st.tuples(st.integers(0, 2**32), st.integers(2, 7))


def table_of(seed, n_parties):
    return random_monotone_table(n_parties, np.random.default_rng(seed))


@settings(max_examples=50, deadline=None)
@given(GAMES)
def test_a_flow_is_the_shapley_value_of_the_game_given_the_payer_lemma_3_7(game):
    values = table_of(*game)
    n_parties = game[1]
    flows = conditional_shapley(values)
    if n_parties == 2:
        np.testing.assert_allclose(flows[0, 1], values[3] - values[1])
        return
    for payer in range(n_parties):
        # Coalitions that hold the payer, as a game of the others.
        given_payer = np.array([c for c in range(len(values)) if c >> payer & 1])
        reduced = values[given_payer] - values[1 << payer]
        others = np.delete(np.arange(n_parties), payer)
        np.testing.assert_allclose(flows[payer, others], shapley_values(reduced), atol=1e-14)


def test_flows_pay_nothing_to_a_conditional_dummy_party(rng):
    values = random_monotone_table(5, rng)
    # Party 3 adds nothing where party 1 is, and something elsewhere.
    for coalition in range(32):
        if coalition >> 1 & 1 and coalition >> 3 & 1:
            values[coalition] = values[coalition & ~(1 << 3)]
    flows = conditional_shapley(values)
    assert flows[1, 3] == pytest.approx(0, abs=1e-15)
    assert flows[0, 3] > 0


def test_flows_pay_conditionally_symmetric_parties_alike(rng):
    values = random_monotone_table(5, rng)
    coalitions = np.arange(32)
    bit_2, bit_4 = coalitions >> 2 & 1, coalitions >> 4 & 1
    swapped = coalitions & ~0b10100 | bit_2 << 4 | bit_4 << 2
    with_0 = coalitions & 1 == 1
    values[with_0] = ((values + values[swapped]) / 2)[with_0]
    flows = conditional_shapley(values)
    assert flows[0, 2] == pytest.approx(flows[0, 4], abs=1e-15)
    assert flows[1, 2] != pytest.approx(flows[1, 4], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(GAMES, st.floats(0.1, 10), st.floats(0.1, 10))
def test_flows_are_linear_in_the_values(game, first, second):
    seed, n_parties = game
    one, two = table_of(seed, n_parties), table_of(seed + 1, n_parties)
    together = conditional_shapley(first * one + second * two)
    apart = first * conditional_shapley(one) + second * conditional_shapley(two)
    np.testing.assert_allclose(together, apart, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(GAMES)
def test_equations_1_4_6_and_7_hold_on_every_game(game):
    values, n_parties = table_of(*game), game[1]
    flows, own = conditional_shapley(values), values[1 << np.arange(game[1])]
    phi = shapley_values(values)
    np.testing.assert_allclose(flows.sum(axis=1), values[-1] - own, atol=1e-13)
    np.testing.assert_allclose(decompose(flows, own).sum(axis=1), phi, atol=1e-13)
    np.testing.assert_allclose(payoffs(flows), n_parties * phi - values[-1], atol=1e-13)
    assert abs(payoffs(flows).sum()) < 1e-13


@settings(max_examples=50, deadline=None)
@given(GAMES)
def test_nobody_is_worse_off_than_alone(game):
    values = table_of(*game)
    own = values[1 << np.arange(game[1])]
    assert (payoffs(conditional_shapley(values)) + values[-1] >= own - 1e-13).all()


def test_a_dummy_party_pays_for_the_whole_model(rng):
    table = with_dummy(ValueTable(random_monotone_table(4, rng)))
    flows = conditional_shapley(table.values)
    assert np.abs(flows[:, -1]).max() < 1e-15
    assert payoffs(flows)[-1] == pytest.approx(-table.grand_value)


def test_replicas_pay_each_other_nothing_and_are_paid_alike_app_d(rng):
    table = replicate_party(ValueTable(random_monotone_table(4, rng)), 2)
    flows = conditional_shapley(table.values)
    assert flows[2, 4] == pytest.approx(0, abs=1e-15)
    assert flows[4, 2] == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(flows[:2, 2], flows[:2, 4], atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(GAMES, st.floats(0, 0.5), st.booleans())
def test_an_allocation_keeps_every_promise_of_section_4(game, budget, has_caps):
    table = ValueTable(table_of(*game))
    rng = np.random.default_rng(game[0])
    budgets = budget * rng.random(game[1])
    own = table.own_values
    caps = own + rng.random(game[1]) if has_caps else None
    allocation = allocate(table, budgets, caps)
    factors = allocation.adjustment_factors
    assert ((factors >= 0) & (factors <= 1)).all()
    assert abs(allocation.payoffs.sum()) < 1e-12
    assert (allocation.payoffs >= -budgets - 1e-12).all()
    expected = own + factors * (table.grand_value - own)
    np.testing.assert_allclose(allocation.model_values, expected, atol=1e-14)
    assert (allocation.model_values >= own).all()
    assert (allocation.model_values <= table.grand_value + 1e-12).all()
    if has_caps:
        assert (allocation.model_values <= np.minimum(caps, table.grand_value) + 1e-12).all()
    else:
        assert allocation.model_values.max() == pytest.approx(table.grand_value)
        below = factors < 1 - 1e-9
        np.testing.assert_allclose(allocation.payoffs[below], -budgets[below], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(GAMES, st.integers(0, 6))
def test_a_larger_budget_lowers_nobodys_model_third_observation(game, richer):
    table = ValueTable(table_of(*game))
    flows = conditional_shapley(table.values)
    budgets = 0.1 * np.random.default_rng(game[0]).random(game[1])
    before = adjustment_factors(flows, budgets).factors
    budgets[richer % game[1]] += 0.1
    after = adjustment_factors(flows, budgets).factors
    assert (after >= before - 1e-12).all()
