"""Means by size, quadratic surrogates and orders: flows by their definitions, written out."""

from math import comb, sqrt

import numpy as np
import pytest

from ml.game import conditional_shapley
from ml.game.estimation.permutations import (
    by_permutations,
    permutation_coalitions,
    permutation_order,
)
from ml.game.estimation.quadratic import by_quadratic
from ml.game.estimation.size_means import (
    _pair_rows,
    _spreads,
    _with_less_without,
    by_size,
    comes_up_again,
    step_variance,
    unseen_variance,
)
from ml.game.tables.coalitions import membership

N = 6
BITS = membership(N)[1:]


def a_sample(rng, drawn=25):
    """Everybody, each party alone, and some others; random values without any structure."""
    certain = np.r_[62, 2 ** np.arange(N) - 1]
    others = rng.permutation(np.setdiff1d(np.arange(63), certain))[:drawn]
    places = np.r_[certain, others]
    return BITS[places], rng.random(len(places))


def mean(values, chosen):
    return values[chosen].mean() if chosen.any() else None


def test_flows_by_size_are_differences_of_means_with_and_without(rng):
    bits, values = a_sample(rng)
    sizes, own = bits.sum(axis=1), values[1:7]
    expected = np.zeros((N, N))
    for i in range(N):
        for j in set(range(N)) - {i}:
            for size in range(2, N):
                with_i = (sizes == size) & (bits[:, i] == 1)
                together = mean(values, with_i & (bits[:, j] == 1))
                apart = mean(values, with_i & (bits[:, j] == 0))
                if together is None or apart is None:  # what j makes of all coalitions
                    together = mean(values, (sizes == size) & (bits[:, j] == 1))
                    apart = mean(values, (sizes == size) & (bits[:, j] == 0))
                if together is not None and apart is not None:
                    expected[i, j] += (together - apart) / (N - 1)
        # Rows are known to sum to v(N) - v(i): each row's mean is put right.
        others = np.arange(N) != i
        missing = values[0] - own[i] - expected[i].sum()
        expected[i, others] += missing / (N - 1)
    weights, scatter = by_size(bits, values)
    np.testing.assert_allclose(np.tensordot(values, weights, 1), expected, atol=1e-13)
    np.testing.assert_allclose(scatter.sum(axis=2), 0, atol=1e-13)


def test_errors_by_size_are_those_of_means_drawn_without_replacement(rng):
    # All sizes complete but one, of which half of the coalitions were drawn, each party alike.
    kept = [0b000111, 0b111000, 0b010101, 0b101010, 0b011100, 0b100011, 0b001110, 0b110001,
            0b100101, 0b011010]  # fmt: skip
    sizes = np.bitwise_count(np.arange(1, 64))
    bits = BITS[(sizes != 3) | np.isin(np.arange(1, 64), kept)]
    found = np.zeros((N, N))
    told = np.zeros((N, N))
    for _ in range(400):
        values = rng.standard_normal(63)
        truth = conditional_shapley(np.r_[0.0, values])
        seen = values[(sizes != 3) | np.isin(np.arange(1, 64), kept)]
        weights, scatter = by_size(bits, seen)
        found += (np.tensordot(seen, weights, 1) - truth) ** 2
        told += (scatter**2).sum(axis=0)
    off = ~np.eye(N, dtype=bool)
    assert np.sqrt(told[off].sum() / found[off].sum()) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(("is_rest", "draws"), [(False, 2.0), (True, 1.0)])
def test_what_was_never_drawn_is_as_uncertain_as_draws(is_rest, draws):
    pairs = BITS[(BITS.sum(axis=1) == 2) & (BITS[:, 0] == 1)][:2]  # {0, 1} and {0, 2}
    *_, gaps = _with_less_without(pairs, 2, is_rest)
    drawn = np.zeros((N, N), dtype=bool)
    drawn[0, 1] = drawn[0, 2] = True  # with j and without, among those that hold i
    np.testing.assert_array_equal(gaps, draws * ~(drawn | np.eye(N, dtype=bool)))


def test_the_variance_of_a_size_borrows_a_sample_from_its_neighbours(rng):
    bits, values = a_sample(rng)
    sizes = bits.sum(axis=1).astype(int)
    calm = 0.5 + 1e-3 * (values - 0.5)  # hardly any variance within sizes, beside the range
    calm[0] = 1.0
    half = np.where(rng.random(len(values)) < 0.2, np.nan, values - 0.5)
    for seen, left_out in ((values, None), (values, half), (calm, None)):
        squares, counts = {}, {}
        for size in range(N + 1):
            mine = seen[sizes == size] if left_out is None else left_out[sizes == size]
            mine = mine[~np.isnan(mine)] if 2 <= size < N else mine[:0]
            squares[size] = ((mine - mine.mean()) ** 2).sum() if len(mine) else 0.0
            counts[size] = max(len(mine) - 1, 0)
            if left_out is not None:
                squares[size], counts[size] = (mine**2).sum(), len(mine)
        unseen = unseen_variance(seen, 25)
        expected = []
        for size in range(N + 1):
            near = {other: 0.5 ** abs(size - other) for other in range(N + 1)}
            nearby = sum(near[k] * squares[k] for k in near) + unseen
            nearby /= sum(near[k] * counts[k] for k in near) + 1
            expected.append((squares[size] + nearby) / (counts[size] + 1))
        np.testing.assert_allclose(_spreads(sizes, seen, left_out), expected)


def test_a_pair_errs_together_as_far_as_pairs_deviate_together(rng):
    """Coalitions of 3 of 6 beside their rests; one without its rest keeps its own row."""
    bits = BITS[[62, 0, 1, 3, 7, 15, 31, 6, 55, 10, 51, 20]]
    assert [list(row) for row in (bits[7] + bits[8], bits[9] + bits[10])] == [[1] * 6] * 2
    sizes, values = bits.sum(axis=1).astype(int), rng.random(12)
    spreads, before = rng.random(7) + 0.5, rng.random((12, N, N))
    rows = before.copy()
    _pair_rows(rows, bits, sizes, values, spreads)
    means = {size: values[sizes == size].mean() for size in sizes}
    off = [(v - means[s]) / sqrt(spreads[s]) for v, s in zip(values, sizes, strict=True)]
    opposite = 1 + sum((off[a] - off[b]) ** 2 for a, b in ((7, 8), (9, 10)))
    alike = 1 + sum((off[a] + off[b]) ** 2 for a, b in ((7, 8), (9, 10)))
    correlation = (alike - opposite) / (alike + opposite)
    alone = [0, 1, 2, 3, 4, 5, 6, 11]
    np.testing.assert_array_equal(rows[alone], before[alone])
    for a, b in ((7, 8), (9, 10)):
        expected = before[a] ** 2 + before[b] ** 2 + 2 * correlation * before[a] * before[b]
        np.testing.assert_allclose(rows[a] ** 2 + rows[b] ** 2, expected, atol=1e-12)


def test_what_no_draw_has_shown_may_still_exist():
    # Two draws: chance 1 in 4 of something as large as the range.
    assert unseen_variance(np.array([0.0, 3.0, 1.0]), 2) == pytest.approx(9 * 0.25 * 0.75)
    equal = np.full(63, 0.4)
    equal[62] = 1.0
    sizes = BITS.sum(axis=1).astype(int)
    np.testing.assert_allclose(_spreads(sizes, equal, None), unseen_variance(equal, 56))


@pytest.mark.parametrize(("drawn", "has_pairs"), [(56, True), (45, False)])
def test_a_quadratic_game_has_the_flows_of_its_terms(drawn, has_pairs, rng):
    """A weight a party, something a size and, with enough samples, a weight a pair."""
    pairs = np.triu(rng.random((N, N)), 1) * has_pairs
    by_count = rng.random(N + 1)
    sizes = BITS.sum(axis=1).astype(int)
    game = BITS @ rng.random(N) + by_count[sizes] + np.einsum("ci,ij,cj->c", BITS, pairs, BITS)
    places = np.r_[
        62,
        2 ** np.arange(N) - 1,
        rng.permutation(np.setdiff1d(np.arange(62), 2 ** np.arange(N) - 1)),
    ][: 7 + drawn]
    weights, *_ = by_quadratic(BITS[places], game[places])
    exact = conditional_shapley(np.r_[0.0, game])
    np.testing.assert_allclose(np.tensordot(game[places], weights, 1), exact, atol=1e-6)


def test_every_pair_has_a_term_once_samples_allow(rng):
    """Of 127 coalitions 95 are drawn, so that means of the residual could not make up for one."""
    bits = membership(7)[1:]
    pairs = np.triu(rng.random((7, 7)), 1)
    game = bits @ rng.random(7) + np.einsum("ci,ij,cj->c", bits, pairs, bits)
    certain = np.isin(np.arange(1, 128), [*(1 << np.arange(7)), 127])
    places = np.flatnonzero(certain | (rng.random(127) < 0.75))
    assert 88 <= len(places) < 110
    weights, scatter, left_out = by_quadratic(bits[places], game[places])
    exact = conditional_shapley(np.r_[0.0, game])
    np.testing.assert_allclose(np.tensordot(game[places], weights, 1), exact, atol=1e-6)
    assert np.nanmax(np.abs(left_out)) < 1e-6
    assert np.isfinite(scatter).all()


def test_flows_of_orders_are_mean_marginals_remark_3_10(rng):
    coalitions = permutation_coalitions(4, 3, 14)
    places = {coalition: place for place, coalition in enumerate(coalitions)}
    values = rng.random(len(places))
    marginals = {}
    for payer, order, path in permutation_order(4, 3):
        if any(coalition not in places for coalition in path):
            break
        steps = [values[places[c]] for c in (1 << payer, *path, 15)]
        for party, gain in zip(order, np.diff(steps), strict=True):
            marginals.setdefault((payer, party), []).append(gain)
        if len(marginals.get((3, order[0]), [])) > 200:
            break
    weights, scatter = by_permutations(places, values, 4, 3)
    flows = np.tensordot(values, weights, 1)
    errors = np.sqrt((scatter**2).sum(axis=0))
    assert len(marginals) == len(scatter) == 12
    counts = np.array([len(marginals[i, (i + 1) % 4]) for i in range(4)])
    unseen = unseen_variance(values, int(counts.sum()))
    known = np.concatenate(list(marginals.values()))
    for (payer, payee), gains in marginals.items():
        assert flows[payer, payee] == pytest.approx(np.mean(gains), abs=1e-12)
        # Its own deviations, and four orders that deviate as those of all payers together.
        apart = np.concatenate([marginals[i, payee] for i in range(4) if i != payee])
        everybody = (np.var(apart) * len(apart) + unseen) / max(len(apart) - 2, 1)
        everybody = max(everybody, step_variance(known, len(apart)))
        mine = np.var(gains) * counts[payer]
        spread = (mine + 4 * everybody) / (counts[payer] - 1 + 4)
        assert errors[payer, payee] == pytest.approx(sqrt(spread / counts[payer]), rel=1e-9)


def test_orders_take_payers_by_turn_and_pay_for_whole_orders_only():
    seen = []
    for payer, order, path in permutation_order(5, 1):
        assert sorted([payer, *order]) == list(range(5))
        grown = [payer]
        for party, coalition in zip(order[:-1], path, strict=True):
            grown.append(party)
            assert coalition == sum(1 << member for member in grown)
        seen.append(payer)
        if len(seen) == 10:
            break
    assert seen == [0, 1, 2, 3, 4] * 2
    for most in (21, 22, 26, 31):
        coalitions = permutation_coalitions(5, 1, most)
        assert len(set(coalitions)) == len(coalitions) <= most
        assert coalitions[:6] == [31, 1, 2, 4, 8, 16]
    assert comb(5, 2) + comb(5, 3) + comb(5, 4) + 6 == len(permutation_coalitions(5, 1, 31))


def test_values_come_up_again_from_the_second_time_on():
    assert (
        comes_up_again(np.array([1.0, 1, 2, 3, 3, 3])).tolist() == [True] * 2 + [False] + [True] * 3
    )


def test_what_was_never_drawn_errs_by_as_much_as_is_missing():
    """Everybody and each party alone: all of a flow's variance is that of undrawn differences."""
    bits = BITS[[62, *(2 ** np.arange(N) - 1)]]
    values = np.linspace(0, 1, 7)[::-1]
    spreads = _spreads(bits.sum(axis=1).astype(int), values, None)
    _, scatter = by_size(bits, values)
    expected = 2 * spreads[2:N].sum() / (N - 1) ** 2
    found = (scatter**2).sum(axis=0)[~np.eye(N, dtype=bool)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
