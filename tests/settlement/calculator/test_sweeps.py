"""A sweep is the calculator at every value, from a file or from a round."""

import json
from itertools import pairwise

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
    asked = ("calculate", three, "--compare", "--budget", "a=0.2", "--sponsor", "0.3", "--json")
    schemes = {s["name"]: s for s in json.loads(fairround(*asked))["schemes"]}
    assert schemes["conditional Shapley"]["payoffs"] == pytest.approx([-0.2, 0.1125, 0.0875])
    sponsored = schemes["conditional Shapley and a sponsor"]
    assert sum(sponsored["payoffs"]) == pytest.approx(0.3)
