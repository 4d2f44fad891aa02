"""Monotone covers against their definitions."""

import numpy as np
import pytest
from scipy.optimize import minimize

from ml.errors import NotMonotoneError, ValueTableError
from ml.game import ValueTable, best_coalitions, cover, made_monotone
from tests.ml.game.helpers import subsets


def noisy_table(n_parties, rng, spread=0.1):
    sizes = np.bitwise_count(np.arange(2**n_parties))
    values = np.abs(sizes / n_parties + spread * rng.standard_normal(2**n_parties))
    values[0] = 0
    return ValueTable(values)


def test_above_is_the_best_sub_coalition(rng):
    table = noisy_table(5, rng)
    expected = [max(table.value(sub) for sub in subsets(c)) for c in range(32)]
    assert cover(table, "above").table.values.tolist() == expected


def test_below_is_the_worst_super_coalition(rng):
    table = noisy_table(5, rng)
    expected = [min(table.value(c | sub) for sub in subsets(31 & ~c)) for c in range(32)]
    assert cover(table, "below").table.values.tolist() == expected


def test_mean_is_half_way_between_above_and_below(rng):
    table = noisy_table(6, rng)
    half = (cover(table, "above").table.values + cover(table, "below").table.values) / 2
    np.testing.assert_array_equal(cover(table, "mean").table.values, half)


def test_isotonic_is_the_nearest_monotone_table(rng):
    table = noisy_table(3, rng, spread=0.4)
    edges = [(c, c | 1 << i) for c in range(1, 8) for i in range(3) if not c >> i & 1]
    constraints = [{"type": "ineq", "fun": lambda v, a=a, b=b: v[b] - v[a]} for a, b in edges]
    target = np.asarray(table.values)
    nearest = minimize(
        lambda v: ((v - target) ** 2).sum(), target, constraints=constraints, tol=1e-14
    )
    found = cover(table, "isotonic").table.values
    np.testing.assert_allclose(found[1:], nearest.x[1:], atol=1e-6)


@pytest.mark.parametrize("n_parties", [4, 8])
def test_isotonic_meets_the_conditions_of_a_projection(n_parties, rng):
    table = noisy_table(n_parties, rng, spread=0.3)
    found = np.asarray(cover(table, "isotonic").table.values)
    residual = np.asarray(table.values) - found
    # The residual of a projection onto a cone is orthogonal to the point ...
    assert abs(residual @ found) < 1e-10
    # ... and makes an obtuse angle with every monotone table.
    for _ in range(50):
        other = np.asarray(cover(noisy_table(n_parties, rng), "above").table.values)
        assert residual @ other <= 1e-10


def test_what_isotonic_pools_has_one_value_to_the_last_digit(rng):
    values = np.sort(np.asarray(cover(noisy_table(7, rng), "isotonic").table.values))
    steps = np.diff(values)
    assert (steps == 0).sum() > 20
    assert steps[steps > 0].min() > 1e-9


@pytest.mark.parametrize("kind", ["above", "below", "mean", "isotonic"])
def test_a_cover_is_monotone_and_reports_what_it_did(kind, rng):
    table = noisy_table(6, rng)
    made = cover(table, kind)
    report = table.monotonicity()
    assert made.table.monotonicity().is_monotone
    assert (made.n_broken, made.largest) == (report.n_broken, report.largest)
    change = np.abs(made.table.values - table.values)
    assert made.largest_change == change.max() > 0
    assert made.n_changed == (change > 0).sum()
    assert 0 < made.payoffs_moved < 1
    assert kind in made.summary()


@pytest.mark.parametrize("kind", ["above", "below", "mean", "isotonic"])
def test_a_cover_of_a_monotone_table_changes_nothing(kind, three_parties):
    made = cover(three_parties, kind)
    np.testing.assert_array_equal(made.table.values, three_parties.values)
    assert (made.n_broken, made.n_changed, made.payoffs_moved) == (0, 0, 0.0)


def test_an_unknown_cover_is_refused(three_parties):
    with pytest.raises(ValueTableError, match="'median'; expected one of above"):
        cover(three_parties, "median")


def test_the_best_coalition_is_whose_model_stands_under_the_cover_from_above(rng):
    table = noisy_table(5, rng)
    best = best_coalitions(table.values)
    covered = cover(table, "above").table
    assert (best != np.arange(32)).any()
    for coalition in range(32):
        assert int(best[coalition]) & ~coalition == 0  # one of its own sub-coalitions
        assert table.value(int(best[coalition])) == covered.value(coalition)
        if covered.value(coalition) == table.value(coalition):
            assert best[coalition] == coalition  # itself, where none is better


@pytest.mark.parametrize("kind", ["above", "below", "mean", "isotonic"])
@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])
def test_the_unit_of_value_moves_no_cover(kind, unit, rng):
    table = noisy_table(6, rng, spread=0.3)
    made = cover(ValueTable(unit * table.values), kind)
    plain = cover(table, kind)
    np.testing.assert_allclose(made.table.values / unit, plain.table.values, atol=1e-12)
    assert (made.n_broken, made.n_changed) == (plain.n_broken, plain.n_changed)


def test_what_is_to_be_refused_kept_or_covered_is(rng, three_parties):
    table = noisy_table(4, rng, spread=0.3)
    assert made_monotone(table, "keep") == (table, None)
    assert made_monotone(three_parties, "refuse") == (three_parties, None)
    assert made_monotone(three_parties, "above") == (three_parties, None)
    with pytest.raises(NotMonotoneError, match="expected none"):
        made_monotone(table, "refuse")
    covered, report = made_monotone(table, "below")
    assert report is not None
    assert covered is report.table
    assert report.kind == "below"
    with pytest.raises(ValueTableError, match="'median'; expected one of refuse, keep"):
        made_monotone(table, "median")
