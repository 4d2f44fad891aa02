import json
from pathlib import Path

import pytest

from ml.errors import MlError, NotMonotoneError
from settlement.calculator.calculator import calculate, readable
from settlement.calculator.values_file import ValuesFileError

THREE = {"parties": ["a", "b", "c"], "values": [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]}
PUBLISHED = Path(__file__).parents[2] / "data" / "mnist_five_parties.json"
NAMES = ("0", "1-2", "0-3", "3-5", "6-9")


@pytest.fixture
def write(tmp_path):
    def write_document(document):
        path = tmp_path / "values.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write_document


def test_the_three_parties_get_the_figures_of_the_guide(write):
    result = calculate(write(THREE), ["a=0.2"])
    assert list(result)[:7] == [
        "parties",
        "flows",
        "shapley",
        "payoffs_unlimited",
        "adjustment_factors",
        "payoffs",
        "model_values",
    ]
    assert result["payoffs_unlimited"] == pytest.approx([-0.4, 0.2, 0.2])
    assert result["adjustment_factors"] == pytest.approx([0.75, 1, 1])
    assert result["payoffs"] == pytest.approx([-0.2, 0.1125, 0.0875])
    assert result["model_values"] == pytest.approx([0.8, 1, 1])
    assert result["monotone_violations"]["broken"] == 0
    assert "a       0.2000           -0.4000  0.7500" in readable(result)


@pytest.mark.parametrize("method", ["clearing", "linear-programme"])
@pytest.mark.parametrize(
    ("budgets", "factors"),
    [
        ([f"{name}=0" for name in NAMES], [0.1013, 0.2402, 0.5929, 0.6002, 1]),
        (
            ["0=0.3", *(f"{name}=0" for name in NAMES[1:])],
            [0.4580, 0.3178, 0.7571, 0.7887, 1],
        ),
    ],
)
def test_the_published_table_gives_the_factors_of_the_paper(budgets, factors, method):
    result = calculate(PUBLISHED, budgets, monotone="keep", method=method)
    assert result["adjustment_factors"] == pytest.approx(factors, abs=1e-4)
    unlimited = [-0.7320, -0.4367, 0.0477, 0.1810, 0.9400]
    assert result["payoffs_unlimited"] == pytest.approx(unlimited, abs=1e-4)
    assert result["monotone_violations"]["broken"] == 5


def test_a_table_that_is_not_monotone_is_refused_covered_or_kept(write):
    path = write({"parties": ["a", "b"], "values": [0, 0.5, 0.3, 0.4]})
    with pytest.raises(NotMonotoneError, match="1 of 4 edges"):
        calculate(path)
    assert calculate(path, monotone="above")["model_values"] == pytest.approx([0.5, 0.5])
    with pytest.raises(MlError, match="negative"):
        calculate(path, monotone="keep")


def test_a_cap_limits_the_model_that_is_bought(write):
    assert calculate(write(THREE), caps=["a=0.6"])["model_values"][0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is no JSON"),
        ([1, 2], "an object"),
        ({"parties": ["a", "b"]}, '"values"'),
        ({"parties": "ab", "values": [0, 1]}, "list of names"),
        ({"parties": ["a", "a"], "values": [0, 0, 0, 0]}, "named twice"),
        ({"parties": ["a", "b"], "values": [0, 0.1, 0.2]}, "3 values for 2 parties"),
        ({"parties": ["a", "b"], "values": [0, 0.1, 0.2, "x"]}, r"values\[3\] is 'x'"),
        ({"parties": ["a", "b"], "values": [0, 0.1, 0.2, True]}, r"values\[3\] is True"),
        ('{"parties": ["a", "b"], "values": [0, 0.1, 0.2, NaN]}', "nan"),
        ({"parties": ["a", "b"], "values": [0.5, 0.1, 0.2, 0.9]}, "Empty coalition"),
        ({"parties": ["a"], "values": [0, 0.1]}, "2"),
        ({"parties": ["a", "b"], "values": [0, 0, 0, 10**400]}, r"values\[3\] is above"),
        ({"parties": ["a", "b"], "values": [0, 0, 0, 1e308]}, r"values\[3\] is above"),
        ("[" * 100_000, "nested deeper than 64"),
        ({"parties": ["a", "b\n"], "values": [0, 0, 0, 1]}, "no name that can be printed"),
        ({"parties": ["a", "\ud800"], "values": [0, 0, 0, 1]}, "no name that can be printed"),
    ],
)
def test_bad_values_are_refused_with_what_was_found(write, document, message):
    with pytest.raises((ValuesFileError, MlError), match=message):
        calculate(write(document))


@pytest.mark.parametrize("option", ["z=1", "a", "a=-1", "a=nan", "a=lots", "=1"])
def test_bad_budgets_are_refused(write, option):
    with pytest.raises(ValuesFileError, match="--budget"):
        calculate(write(THREE), [option])


def test_a_budget_that_is_given_twice_is_refused(write):
    with pytest.raises(ValuesFileError, match="a has a budget already"):
        calculate(write(THREE), ["a=0.1", "a=0.3"])
