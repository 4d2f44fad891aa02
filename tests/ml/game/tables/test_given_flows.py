"""Flows from elsewhere: eq. (4) within a stated tolerance, and nothing that is no flow."""

import numpy as np
import pytest

from ml.errors import FlowsError, NegativeFlowError
from ml.game import GivenFlows, allocate_flows, family, sparse_flows
from ml.game.tables.given_flows import ROW_TOLERANCE

FLOWS = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])
OWN = [0.2, 0.5, 0.4]


def changed(payer, payee, flow):
    flows = FLOWS.copy()
    flows[payer, payee] = flow
    return flows


def test_flows_of_a_game_are_taken():
    given = GivenFlows(FLOWS, OWN, 1.0)
    assert given.n_parties == 3
    assert not given.is_sparse
    np.testing.assert_allclose(given.own_values, OWN, atol=1e-15)


@pytest.mark.parametrize("share", [0.5, -0.5])
def test_rounding_within_the_tolerance_goes_to_the_own_value(share):
    given = GivenFlows(changed(0, 1, 0.35 + share * ROW_TOLERANCE), OWN, 1.0)
    np.testing.assert_allclose(given.own_values + given.flows.sum(axis=1), 1.0, atol=1e-15)
    allocate_flows(given.flows, given.own_values, given.grand_value)


@pytest.mark.parametrize("share", [2, -2])
def test_rows_that_do_not_add_up_are_named(share):
    with pytest.raises(
        FlowsError, match=r"v\(i\) of party 1 .* within 1e-09, eq\. \(4\)"
    ) as caught:
        GivenFlows(changed(1, 0, 0.15 + share * ROW_TOLERANCE), OWN, 1.0)
    assert caught.value.party == 1


@pytest.mark.parametrize(
    ("flows", "own", "grand", "message"),
    [
        (changed(0, 0, 0.1), OWN, 1.0, "Party 0 pays itself 0.1"),
        (changed(0, 1, np.nan), OWN, 1.0, "Flows hold NaN or infinity"),
        (FLOWS, [0.2, np.inf, 0.4], 1.0, "Own values hold NaN or infinity"),
        (FLOWS, OWN, np.nan, r"v\(N\) hold NaN"),
        (FLOWS, OWN, -1.0, r"v\(N\) is -1.0"),
        (FLOWS, [-0.2, 0.5, 0.4], 1.0, r"v\(i\) of party 0 is -0.2"),
        (FLOWS, OWN[:2], 1.0, r"shape \(3, 3\) and own values \(2,\)"),
        (FLOWS[:1, :1], [1.0], 1.0, "at least 2 parties"),
        (FLOWS.astype(complex), OWN, 1.0, "type complex128"),
    ],
)
def test_what_is_no_flow_is_refused_by_name(flows, own, grand, message):
    with pytest.raises(FlowsError, match=message):
        GivenFlows(flows, own, grand)


def test_a_negative_flow_is_named_with_payer_and_payee():
    flows = changed(2, 1, -0.1)
    flows[2, 0] = 0.7
    for form in (flows, as_sparse(flows)):
        with pytest.raises(NegativeFlowError, match=r"from party 2 to party 1 is -0\.1") as caught:
            GivenFlows(form, OWN, 1.0)
        assert (caught.value.party, caught.value.coalition) == (2, 0b10)


def as_sparse(flows):
    payers, payees = np.nonzero(flows)
    return sparse_flows(payers, payees, flows[payers, payees], len(flows))


@pytest.mark.parametrize("name", ["coverage", "unanimity", "glove"])
def test_sparse_flows_are_allocated_like_dense_ones(name, rng):
    game = family(name, 30)
    own, grand = game.evaluate(np.eye(30)), float(game.evaluate(np.ones((1, 30)))[0])
    given = GivenFlows(as_sparse(game.flows), own, grand)
    assert given.is_sparse
    budgets = rng.uniform(0, 0.1, 30)
    found = allocate_flows(given.flows, given.own_values, grand, budgets)
    dense = allocate_flows(game.flows, own, grand, budgets)
    for figure in ("payoffs", "adjustment_factors", "shapley", "model_values"):
        np.testing.assert_allclose(getattr(found, figure), getattr(dense, figure), atol=1e-12)


@pytest.mark.parametrize(
    ("payers", "payees", "amounts", "message"),
    [
        ([0, 1], [1], [0.5, 0.5], "three lists of the same length"),
        ([0, 3], [1, 0], [0.5, 0.5], "Payer 3 of 3"),
        ([0, 1], [1, -1], [0.5, 0.5], "Payee -1 of 3"),
        ([0, 0], [1, 1], [0.5, 0.5], "there twice"),
        ([0.0, 1.0], [1, 0], [0.5, 0.5], "expected party numbers"),
    ],
)
def test_sparse_flows_that_name_nobody_are_refused(payers, payees, amounts, message):
    with pytest.raises(FlowsError, match=message):
        sparse_flows(payers, payees, amounts, 3)


def test_all_units_of_value_are_taken_but_those_without_digits():
    for grand in (1e-300, 1e-5, 1.0, 3e299):
        given = GivenFlows(grand * FLOWS, grand * np.array(OWN), grand)
        np.testing.assert_allclose(given.own_values / grand, OWN, atol=1e-14)
    assert GivenFlows(np.zeros((3, 3)), np.zeros(3), 0.0).grand_value == 0
    for grand in (1e-301, 4e299):
        with pytest.raises(FlowsError, match=r"expected 0, or 1e-300 to 3\.33e\+299"):
            GivenFlows(grand * FLOWS, grand * np.array(OWN), grand)
