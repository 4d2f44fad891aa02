"""A certificate is refused for each reason that its card names, and by each party's own measure."""

import numpy as np
import pytest
from scipy import sparse

from ml.game import Certificate, adjustment_factors, check_certificate
from ml.game.clearing.certificate import gap_rounding

INF = np.inf
FLOWS = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])
BUDGETS = np.array([0.2, 0.0, INF])
RESULT = adjustment_factors(FLOWS, BUDGETS)
DUALS = RESULT.certificate.dual_values


def accepted(flows=FLOWS, budgets=BUDGETS, factors=None, duals=DUALS, **more):
    factors = RESULT.factors if factors is None else factors
    certificate = Certificate(np.asarray(duals, dtype=float), 0.0, 0.0)
    return check_certificate(flows, budgets, factors, certificate, **more)


def test_the_right_answer_is_accepted_in_any_form():
    assert accepted()
    assert accepted(sparse.csr_array(FLOWS))
    assert accepted(FLOWS.tolist(), BUDGETS.tolist(), RESULT.factors.tolist(), caps=[1, 1, 1])
    assert DUALS[0] > 0 == DUALS[2]


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("factors", [*RESULT.factors, 1.0]),
        ("budgets", [0.2, 0.0]),
        ("duals", [0.0, 0.0]),
        ("caps", [1.0, 1.0]),
        ("factors", [np.nan, 1, 1]),
        ("duals", [np.nan, 0, 0]),
        ("duals", [INF, 0, 0]),
        ("budgets", [np.nan, 0, INF]),
        ("duals", DUALS - [0, 0.1, 0]),
        ("duals", [1, 0, 0.1]),  # of a party without any limit
        ("duals", DUALS * 1.01),
        ("duals", DUALS * 0.99),
        ("duals", np.zeros(3)),
    ],
)
def test_what_does_not_fit_or_proves_nothing_is_refused(changed, value):
    assert not accepted(**{changed: value})


@pytest.mark.parametrize("duals", [[-0.01, 0, 0], [0.01, 0, 0]])
def test_dual_values_are_not_negative_and_none_without_any_limit(duals):
    """Everybody pays all: such values would only lower the bound below what is paid."""
    unlimited = [INF, 10.0, 10.0] if duals[0] > 0 else [10.0, INF, INF]
    assert accepted(budgets=unlimited, factors=np.ones(3), duals=np.zeros(3))
    assert not accepted(budgets=unlimited, factors=np.ones(3), duals=duals)


@pytest.mark.parametrize("party", range(3))
@pytest.mark.parametrize("step", [1e-8, -1e-8])
def test_each_factor_is_held_to_its_own_equation(party, step):
    factors = RESULT.factors.copy()
    factors[party] += step
    assert not accepted(factors=factors)
    # What the caller allows is taken.
    assert accepted(factors=factors, tolerance=1e-6)


def test_a_factor_below_zero_or_above_its_cap_is_refused():
    # Nobody owes anything: only the ranges decide.
    nothing, no_limit = np.zeros((2, 2)), [INF, INF]
    for factors, fits in (([1, 1], True), ([1.1, 1], False), ([1, -0.1], False), ([0, 1], True)):
        assert fits == accepted(nothing, no_limit, factors, [0, 0])
    assert accepted(nothing, no_limit, [0.5, 1], [0, 0], caps=[0.5, 1])
    assert not accepted(nothing, no_limit, [0.6, 1], [0, 0], caps=[0.5, 1])


@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_a_circle_that_no_money_leaves_must_hold_somebody_at_its_cap(form):
    # Two pay each other and nobody else: half of their factors spends every budget of 0.
    flows = form(np.array([[0, 1.0, 0], [1.0, 0, 0], [1.0, 0, 0]]))
    budgets = [0.0, 0.0, 0.0]
    duals = [0.0, 0.0, 1.0]
    assert accepted(flows, budgets, [1, 1, 0], duals)
    assert not accepted(flows, budgets, [0.5, 0.5, 0], duals)


def test_the_rounding_of_a_gap_grows_with_the_dual_values_and_stays_small():
    costs = np.array([1.0, 3.0])
    epsilon = np.finfo(float).eps
    assert gap_rounding(costs, np.array([2.0, 10.0])) == pytest.approx(8 * epsilon * 32)
    assert gap_rounding(costs, np.array([1e20, 0.0])) == pytest.approx(4e-6)
