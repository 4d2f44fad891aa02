"""Exact flows: equations (4) to (7), the permutation form, offsets, bad tables."""

from fractions import Fraction

import numpy as np
import pytest

from ml.errors import FlowsError, ValueTableError
from ml.game import ValueTable, conditional_shapley, decompose, payoffs, shapley_values
from tests.ml.game.helpers import (
    exact_flows,
    exact_shapley,
    permutation_flow,
    random_monotone_table,
)


@pytest.mark.parametrize("n_parties", range(2, 9))
def test_flows_equal_exact_rationals_eq_5(n_parties, rng):
    values = random_monotone_table(n_parties, rng)
    exact = np.array([[float(flow) for flow in row] for row in exact_flows(values)])
    np.testing.assert_allclose(conditional_shapley(values), exact, atol=2e-15, rtol=0)


@pytest.mark.parametrize("n_parties", range(2, 7))
def test_flows_equal_the_permutation_form_remark_3_10(n_parties, rng):
    values = random_monotone_table(n_parties, rng)
    exact = np.array([Fraction(float(value)) for value in values], dtype=object)
    flows = conditional_shapley(values)
    for payer in range(n_parties):
        for payee in range(n_parties):
            if payer != payee:
                flow = float(permutation_flow(exact, payer, payee))
                assert flows[payer, payee] == pytest.approx(flow, abs=2e-15)


@pytest.mark.parametrize("n_parties", [2, 5, 11, 12])
def test_rows_sum_to_what_the_others_add_eq_4(n_parties, rng):
    values = random_monotone_table(n_parties, rng)
    own_gains = values[-1] - values[1 << np.arange(n_parties)]
    np.testing.assert_allclose(conditional_shapley(values).sum(axis=1), own_gains, atol=1e-14)


@pytest.mark.parametrize("n_parties", [2, 5, 11, 12])
def test_flows_add_up_to_shapley_values_eq_6(n_parties, rng):
    values = random_monotone_table(n_parties, rng)
    parts = decompose(conditional_shapley(values), values[1 << np.arange(n_parties)])
    np.testing.assert_allclose(parts.sum(axis=1), shapley_values(values), atol=1e-14)


@pytest.mark.parametrize("n_parties", range(2, 8))
def test_shapley_values_equal_exact_rationals(n_parties, rng):
    values = random_monotone_table(n_parties, rng)
    exact = [float(value) for value in exact_shapley(values)]
    np.testing.assert_allclose(shapley_values(values), exact, atol=2e-15)


def test_payoffs_are_columns_minus_rows_eq_7(rng):
    values = random_monotone_table(6, rng)
    by_shapley = 6 * shapley_values(values) - values[-1]
    np.testing.assert_allclose(payoffs(conditional_shapley(values)), by_shapley, atol=1e-14)


def test_flows_of_a_monotone_table_are_not_negative(rng):
    for n_parties in range(2, 9):
        assert conditional_shapley(random_monotone_table(n_parties, rng)).min() > -1e-16


def test_a_function_of_size_moves_no_flow_but_rows(rng):
    values = random_monotone_table(6, rng)
    sizes = np.bitwise_count(np.arange(64))
    shifted = values + np.where((sizes > 1) & (sizes < 6), 3.0 * sizes, 0.0)
    difference = conditional_shapley(shifted) - conditional_shapley(values)
    np.testing.assert_allclose(difference, 0, atol=1e-14)


@pytest.mark.parametrize("n_parties", [3, 8, 12])
def test_flows_are_exact_under_a_large_offset(n_parties, rng):
    steps = np.round(random_monotone_table(n_parties, rng) * 2**20) / 2**20
    offset = 2.0**20
    shifted = steps + np.where(np.arange(len(steps)) > 0, offset, 0.0)
    difference = np.abs(conditional_shapley(shifted) - conditional_shapley(steps))
    assert difference.max() <= 1e-15  # 1e-21 of the largest value


def test_float32_tables_are_summed_in_float64(rng):
    values = random_monotone_table(12, rng).astype(np.float32)
    wide = conditional_shapley(values.astype(np.float64))
    np.testing.assert_array_equal(conditional_shapley(values), wide)


@pytest.mark.parametrize("length", [0, 3, 7, 12])
def test_a_length_that_is_no_power_of_two_is_refused(length):
    with pytest.raises(ValueTableError, match=f"Value table has {length} entries; expected 2"):
        conditional_shapley(np.zeros(length))


def test_one_party_is_refused():
    with pytest.raises(ValueTableError, match="1 party; expected at least 2"):
        conditional_shapley([0.0, 1.0])


def test_more_parties_than_the_exact_method_takes_are_refused():
    table = np.broadcast_to(np.float64(0.0), 2**27)
    with pytest.raises(ValueTableError, match=r"27 parties; expected at most 26.*estimate_flows"):
        conditional_shapley(table)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad, rng):
    for coalition in (1, 3, 6, 7):
        values = random_monotone_table(3, rng)
        values[coalition] = bad
        with pytest.raises(ValueTableError, match=f"coalition {coalition} "):
            conditional_shapley(values)


def test_an_empty_coalition_with_a_value_is_refused():
    with pytest.raises(ValueTableError, match=r"Empty coalition has value 0\.1"):
        conditional_shapley([0.1, 0.2, 0.3, 0.4])


FORMS = {
    "big-endian": lambda values: values.astype(">f8"),
    "big-endian single": lambda values: values.astype(">f4"),
    "strided": lambda values: np.repeat(values, 2)[::2],
    "integer": lambda values: values.astype(np.int64),
    "unsigned": lambda values: values.astype(np.uint16),
    "object": lambda values: values.astype(object),
    "list": lambda values: values.tolist(),
    "read-only": lambda values: np.frombuffer(values.tobytes()),
    "nothing masked": np.ma.masked_array,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_parties", [3, 13])
def test_tables_of_any_form_have_the_same_flows(form, n_parties, rng):
    values = np.round(1000 * random_monotone_table(n_parties, rng))
    formed = FORMS[form](values)
    np.testing.assert_array_equal(conditional_shapley(formed), conditional_shapley(values))
    np.testing.assert_allclose(shapley_values(formed), shapley_values(values), rtol=1e-12)
    np.testing.assert_array_equal(ValueTable(formed).values, values)


@pytest.mark.parametrize("read", [conditional_shapley, shapley_values, ValueTable])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0, 1, 2, 3 + 1j]), "complex128; expected real numbers"),
        (["0", "1", "2", "three"], "expected real numbers"),
        ([None, 1, 2, "three"], "cannot be read as numbers"),
        ([[0, 1], [2]], "cannot be read as numbers"),
        (np.array(["2022-11-28"] * 4, dtype="M8[D]"), "expected real numbers"),
        (np.ma.masked_equal([0, 1, 2, 3], 2), "masked entries"),
        ([1.0, 1.0, 2.0, 3.0], r"Empty coalition has value 1\.0"),
        ([0.0, 1.0, np.nan, 3.0], r"coalition 2 \{1\} is nan"),
        ([0.0, 1.0, np.inf, 3.0], r"coalition 2 \{1\} is inf"),
        ([[0.0, 1.0], [2.0, 3.0]], r"shape \(2, 2\)"),
    ],
)
def test_what_is_no_table_of_real_numbers_is_refused(read, values, message):
    with pytest.raises(ValueTableError, match=message):
        read(values)


@pytest.mark.parametrize("n_parties", [3, 13])
@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_the_unit_of_value_moves_no_digit(n_parties, unit, rng):
    values = random_monotone_table(n_parties, rng)
    flows = conditional_shapley(values * unit) / unit
    np.testing.assert_allclose(flows, conditional_shapley(values), atol=1e-14)


@pytest.mark.parametrize("n_parties", [3, 13])
def test_sums_that_overflow_are_refused(n_parties):
    values = np.where(np.arange(2**n_parties) % 2, 1.7e308, 0.0)
    values[-2] = -1.7e308
    with pytest.raises(ValueTableError, match="overflow"):
        conditional_shapley(values)
    with pytest.raises(ValueTableError, match=r"1\.7e\+308; expected 1e-300 to 1e\+300"):
        ValueTable(np.abs(values))


def test_flows_of_wrong_shape_are_refused():
    with pytest.raises(FlowsError, match=r"\(2, 3\)"):
        payoffs(np.zeros((2, 3)))
    with pytest.raises(FlowsError, match=r"\(3, 3\)"):
        decompose(np.zeros((3, 3)), [0.1, 0.2])
