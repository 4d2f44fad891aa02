"""Other schemes and the properties that each satisfies (Sec. 3.1, App. D)."""

import numpy as np
import pytest

from ml.errors import SchemeError, ValueTableError
from ml.game import (
    SCHEMES,
    ValueTable,
    alpha_beta_scheme,
    compare_schemes,
    conditional_shapley,
    family,
    payoffs,
    replicate_party,
    rho_shapley_scheme,
    shapley_values,
    with_dummy,
)
from ml.game.comparison.schemes import conditional_shapley_scheme


@pytest.fixture(scope="module")
def reports():
    table = family("saturating", 5, 1).table()
    return {report.name: report for report in compare_schemes(table)}


HELD = {
    "conditional Shapley": {
        "symmetry",
        "linearity",
        "balance",
        "dummy party",
        "fair cost",
        "individual rationality",
        "weak efficiency",
    },
    "Shapley value": {"symmetry", "linearity", "individual rationality", "weak efficiency"},
    "alpha-beta (1, 1/n)": {
        "symmetry",
        "linearity",
        "balance",
        "individual rationality",
        "weak efficiency",
    },
    "rho-Shapley (rho = 1)": {
        "symmetry",
        "balance",
        "dummy party",
        "individual rationality",
        "weak efficiency",
    },
    "leave-one-out": {"symmetry", "linearity", "balance", "weak efficiency"},
    "equal split": {
        "symmetry",
        "linearity",
        "balance",
        "fair cost",
        "individual rationality",
        "weak efficiency",
    },
}


@pytest.mark.parametrize("name", SCHEMES)
def test_each_scheme_satisfies_what_it_should(reports, name):
    held = {key for key, check in reports[name].properties.items() if check.holds}
    assert held - {"replication robustness"} >= HELD[name]


@pytest.mark.parametrize(
    ("name", "missed"),
    [
        ("Shapley value", "balance"),
        ("Shapley value", "dummy party"),
        ("Shapley value", "fair cost"),
        ("alpha-beta (1, 1/n)", "dummy party"),
        ("rho-Shapley (rho = 1)", "linearity"),
        ("rho-Shapley (rho = 1)", "fair cost"),
        ("leave-one-out", "fair cost"),
        ("equal split", "dummy party"),
    ],
)
def test_a_property_that_is_missed_is_missed_by_a_number(reports, name, missed):
    check = reports[name].properties[missed]
    assert not check.holds
    assert check.violation > 1e-3
    assert check.detail


def test_only_the_conditional_shapley_scheme_satisfies_all_of_section_3_1(reports):
    names = [
        name
        for name, report in reports.items()
        if all(check.holds for key, check in report.properties.items() if "replic" not in key)
    ]
    assert names == ["conditional Shapley"]


def test_the_scheme_is_what_the_flows_pay_theorem_of_eq_7(rng):
    table = family("coverage", 6, 2).table()
    np.testing.assert_allclose(
        conditional_shapley_scheme(table).payoffs,
        payoffs(conditional_shapley(table.values)),
        atol=1e-14,
    )


def test_a_replica_pays_for_what_it_already_has_app_d(published_table):
    # Whoever takes part twice pays for two grand models and is paid once for its data.
    before = conditional_shapley_scheme(published_table).payoffs
    for party in range(5):
        twice = conditional_shapley_scheme(replicate_party(published_table, party)).payoffs
        assert twice[party] + twice[-1] < before[party]


def test_the_alpha_beta_family_holds_its_named_members_remark_3_6():
    table = family("coverage", 5, 1).table()
    phi = shapley_values(table.values)
    np.testing.assert_allclose(alpha_beta_scheme(1, 0)(table).payoffs, phi)
    exact = conditional_shapley_scheme(table).payoffs
    np.testing.assert_allclose(alpha_beta_scheme(5, 1)(table).payoffs, exact, atol=1e-14)
    for beta in (0.1, 0.5, 2.0):
        assert abs(alpha_beta_scheme(5 * beta, beta)(table).payoffs.sum()) < 1e-14


def test_rho_shapley_models_run_from_equal_to_proportional(three_parties):
    np.testing.assert_allclose(rho_shapley_scheme(0)(three_parties).model_values, 1)
    np.testing.assert_allclose(rho_shapley_scheme(1)(three_parties).model_values, [0.5, 1, 1])


def test_copies_and_dummies_are_what_they_say(three_parties):
    copied = replicate_party(three_parties, 1)
    assert copied.value(0b1000) == copied.value(0b1010) == three_parties.value(0b010)
    assert copied.value(0b1001) == three_parties.value(0b011)
    dummy = with_dummy(three_parties)
    assert dummy.value(0b1000) == 0
    assert dummy.value(0b1101) == three_parties.value(0b101)


def test_a_table_too_large_to_compare_is_refused():
    values = np.zeros(2**26, dtype=np.float32)
    values.flags.writeable = False
    with pytest.raises(ValueTableError, match="26 parties; expected at most 25"):
        compare_schemes(ValueTable(values))


@pytest.mark.parametrize("rho", [-0.5, np.nan, np.inf])
def test_a_rho_that_makes_no_sense_is_refused(rho):
    with pytest.raises(SchemeError, match=f"rho is {rho}; expected"):
        rho_shapley_scheme(rho)


def test_an_alpha_or_beta_that_is_no_number_is_refused():
    with pytest.raises(SchemeError, match="alpha is nan and beta 1"):
        alpha_beta_scheme(np.nan, 1.0)


def test_an_omnipotent_party_gains_by_a_replica_because_it_costs_nothing():
    # Who lacks nothing pays nothing for the second model: App. D's price of a replica is zero.
    table = family("omnipotent", 4).table()
    scheme = {"conditional Shapley": conditional_shapley_scheme}
    check = compare_schemes(table, scheme)[0].properties["replication robustness"]
    assert check.violation > 0.01
    assert check.detail == "party 0"
