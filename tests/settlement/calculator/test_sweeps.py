"""A sweep is the calculator at every value, from a file or from a round."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from settlement.calculator.calculator import calculate
from settlement.calculator.values_file import ValuesFileError

THREE = {"parties": ["a", "b", "c"], "values": [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]}
FIGURES = ("adjustment_factors", "payoffs", "model_values")


@pytest.fixture
def three(tmp_path):
    path = tmp_path / "three.json"
    path.write_text(json.dumps(THREE))
    return path


def swept(fairround, *arguments):
    return json.loads(fairround("sweep", *arguments, "--json"))


def test_a_sweep_over_a_budget_is_the_calculator_at_each_value(fairround, three):
    result = swept(
        fairround, three, "--over", "budget", "--party", "a", "--to", 0.4, "--steps", 5,
        "--budget", "b=0", "--cap", "c=0.9",
    )  # fmt: skip
    assert result["values"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for k, value in enumerate(result["values"]):
        alone = calculate(three, [f"a={value}", "b=0"], ["c=0.9"])
        for figure in FIGURES:
            assert result[figure][k] == pytest.approx(alone[figure], abs=1e-12)


def test_a_sweep_names_a_negative_flow_as_calculate_does(fairround, tmp_path):
    path = tmp_path / "values.json"
    values = [0, 0.6, 0.1, 0.4, 0.1, 0.75, 0.3, 0.65]
    path.write_text(json.dumps({"parties": ["a", "b", "c"], "values": values}))
    asked = ("sweep", path, "--monotone", "keep", "--over", "budget", "--party", "a", "--to", 1)
    told = fairround(*asked, code=1)
    assert 'Party 0 is "a", 1 is "b".' in told
    assert told == fairround("calculate", path, "--monotone", "keep", code=1)


def test_a_sweep_takes_a_flow_below_zero_by_rounding_for_zero(fairround, tmp_path):
    """Where nobody adds anything to anybody, even the largest flow may be rounding."""
    path = tmp_path / "values.json"
    values = [0.0] + [0.9] * 7
    values[3] = float(np.nextafter(0.9, 1))  # an edge that is not monotone
    path.write_text(json.dumps({"parties": ["a", "b", "c"], "values": values}))
    asked = ("--over", "budget", "--party", "a", "--to", 0, "--steps", 1)
    result = swept(fairround, path, "--monotone", "keep", *asked)
    assert result["payoffs"] == [[0, 0, 0]]
    assert calculate(path, ["a=0"], monotone="keep")["adjustment_factors"] == pytest.approx(
        result["adjustment_factors"][0]
    )


@pytest.mark.parametrize(
    ("unit", "budget", "rate"),
    [(1.0, "0.0000004", 10**6), (1e-9, "0.2e-9", 10**6), (1e12, "1e11", 10**12)],
)
def test_budgets_of_a_file_are_not_rounded_to_base_units(fairround, tmp_path, unit, budget, rate):
    path = tmp_path / "values.json"
    path.write_text(json.dumps(THREE | {"values": [unit * value for value in THREE["values"]]}))
    alone = calculate(path, [f"a={budget}"])
    assert 0.5 < alone["adjustment_factors"][0] < 1
    for moved in (
        ("--over", "budget", "--party", "b", "--from", unit, "--to", unit),
        ("--over", "rate", "--from", rate, "--to", rate),
    ):
        result = swept(
            fairround, path, *moved, "--steps", 1, "--budget", f"a={budget}", "--rate", rate
        )
        assert result["budgets"][0] == float(budget)
        for figure in FIGURES:
            np.testing.assert_allclose(result[figure][0], alone[figure], rtol=1e-12)


def test_shadow_prices_are_the_slopes_of_the_sweep(fairround, three):
    arguments = ("--over", "budget", "--party", "a", "--from", 0.05, "--to", 0.35, "--steps", 31)
    result = swept(fairround, three, *arguments, "--budget", "b=0.01", "--budget", "c=0")
    for figure in ("payoffs", "model_values"):
        slopes = np.diff(result[figure], axis=0) / np.diff(result["values"])[:, None]
        prices = np.array(result["shadow_prices"][figure])
        smooth = np.isclose(prices[:-1], prices[1:]).all(axis=1)
        assert smooth.any()
        assert np.abs(prices).max() > 0.1
        np.testing.assert_allclose(slopes[smooth], prices[:-1][smooth], atol=1e-9)


def test_a_sweep_over_a_cap_stops_the_model_at_the_cap(fairround, three):
    arguments = ("--over", "cap", "--party", "b", "--from", 0, "--to", 1, "--steps", 5)
    result = swept(fairround, three, *arguments)
    # A seller's cap of 0 is one at its own value, .5.
    assert [row[1] for row in result["model_values"]] == pytest.approx([0.5, 0.5, 0.5, 0.75, 1.0])


def test_a_dearer_unit_of_value_makes_budgets_in_base_units_buy_less(fairround, three):
    result = swept(
        fairround, three, "--over", "rate", "--from", 500_000, "--to", 2_000_000, "--steps", 4,
        "--budget", "a=200000 units",
    )  # fmt: skip
    lambdas = [row[0] for row in result["adjustment_factors"]]
    assert lambdas[0] == pytest.approx(1)
    assert lambdas[1] == pytest.approx(0.75)
    assert all(later < earlier for earlier, later in pairwise(lambdas))


def test_a_round_is_swept_from_its_posted_game_and_its_deposits(fairround, three, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder, "--template", "three-parties")
    arguments = (folder, "--over", "budget", "--party", "a", "--to", 0.4, "--steps", 3)
    assert "train" in fairround("sweep", *arguments, code=1)
    fairround("run", folder)
    result = swept(fairround, *arguments)
    assert result["budgets"] == pytest.approx([0.2, 0.5, 0.6])
    # What a party could lock: whole base units.
    assert swept(fairround, *arguments, "--budget", "b=0.0000019")["budgets"][1] == 0.000001
    alone = calculate(three, ["a=0.2", "b=0.5", "c=0.6"])
    for figure in FIGURES:
        assert result[figure][1] == pytest.approx(alone[figure], abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--over", "budget", "--to", 1), "needs --party"),
        (("--over", "rate", "--from", 1, "--to", 2, "--party", "a"), "takes no --party"),
        (("--over", "rate", "--from", 0, "--to", 2), "from 1 on"),
        (("--over", "budget", "--party", "d", "--to", 1), "expected one of: a, b, c"),
        (("--over", "budget", "--party", "a", "--to", "nan"), "two finite numbers"),
        (("--over", "budget", "--party", "a", "--to", 1, "--steps", 0), "--steps 0"),
        (("--over", "luck", "--to", 1), "budget, cap, rate"),
        (("--over", "cap", "--party", "b", "--from", -1, "--to", 1), "in order, from 0 on"),
    ],
)
def test_a_sweep_says_what_is_wrong(fairround, three, arguments, told):
    assert told in fairround("sweep", three, *arguments, code=1)


def test_a_sweep_prints_csv_and_latex(fairround, three):
    arguments = (three, "--over", "budget", "--party", "a", "--to", 0.4, "--steps", 2)
    assert "budget of a,a,b,c" in fairround("sweep", *arguments, "--format", "csv")
    assert fairround("sweep", *arguments, "--format", "latex").count(r"\end{tabular}") == 5


def test_a_sponsor_adds_an_equal_share_to_everybody_remark_3_6(three):
    plain, given = calculate(three, ["a=0.2"]), calculate(three, ["a=0.2"], sponsor=0.3)
    assert given["payoffs"] == plain["payoffs"]
    extra = np.array(given["payoffs_with_sponsor"]) - plain["payoffs"]
    np.testing.assert_allclose(extra, 0.1)


def test_a_sponsor_must_be_a_finite_amount(three):
    with pytest.raises(ValuesFileError, match="finite"):
        calculate(three, sponsor=float("nan"))


def test_schemes_are_compared_under_budgets_and_with_a_sponsor(fairround, three):
    asked = ("calculate", three, "--budget", "a=0.1", "--sponsor", "0.3", "--json")
    alone = json.loads(fairround(*asked))
    schemes = {s["name"]: s for s in json.loads(fairround(*asked, "--compare"))["schemes"]}
    assert schemes["conditional Shapley"]["payoffs"] == pytest.approx(alone["payoffs"])
    sponsored = schemes["conditional Shapley and a sponsor"]
    assert sponsored["payoffs"] == pytest.approx(alone["payoffs_with_sponsor"])
    assert sponsored["model_values"] == pytest.approx(alone["model_values"])
    assert sponsored["properties"]["budgets"]["holds"]


def test_help_and_readme_say_which_schemes_keep_budgets(fairround, three):
    """Those whose payoffs move with a budget, and no others."""

    def payoffs(*budget):
        compared = json.loads(fairround("calculate", three, "--compare", "--json", *budget))
        return {scheme["name"]: scheme["payoffs"] for scheme in compared["schemes"]}

    free, limited = payoffs(), payoffs("--budget", "a=0.1")
    kept = [name for name in free if free[name] != limited[name]]
    assert kept == ["conditional Shapley", "ratio Shapley", "leave-one-out", "equal split"]
    told = " ".join(fairround("calculate", "--help").split())
    assert "ratio Shapley, leave-one-out and equal split keep budgets" in told
    readme = " ".join((Path(__file__).parents[3] / "README.md").read_text().split())
    assert "Ratio Shapley, leave-one-out and equal split keep the same budgets" in readme
