import csv
import json

import numpy as np
import pytest

THREE = {"parties": ["a", "b", "c"], "values": [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]}


@pytest.fixture
def three(tmp_path):
    path = tmp_path / "three.json"
    path.write_text(json.dumps(THREE))
    return path


def test_calculate_compares_schemes_and_their_properties(fairround, three):
    compared = json.loads(fairround("calculate", three, "--compare", "--json"))
    schemes = {scheme["name"]: scheme for scheme in compared["schemes"]}
    assert schemes["conditional Shapley"]["payoffs"] == pytest.approx([-0.4, 0.2, 0.2])
    assert all(check["holds"] for check in schemes["conditional Shapley"]["properties"].values())
    assert not schemes["Shapley value"]["properties"]["balance"]["holds"]
    assert "replication robustness" in fairround("calculate", three, "--compare")


def test_comparing_schemes_takes_no_caps(fairround, three):
    message = fairround("calculate", three, "--compare", "--cap", "a=1", code=2)
    assert "takes no --cap" in message


def test_allocate_is_for_rounds_and_calculate_for_files(fairround, three, tmp_path):
    assert "No such option" in fairround("allocate", tmp_path, "--budget", "a=1", code=2)
    assert "is a directory" in fairround("calculate", tmp_path, code=2)


def test_calculate_names_bad_input_in_one_line(fairround, tmp_path):
    message = fairround("calculate", tmp_path / "none.json", code=1)
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1


def test_estimate_stands_beside_the_truth(fairround):
    asked = ("estimate", "--family", "saturating", "--parties", "12", "--evaluations", "500")
    result = json.loads(fairround(*asked, "--json"))
    assert result["n_evaluations"] == 500
    assert result["relative_rmse"] < 0.015
    assert "500 of 4095 coalitions" in fairround(*asked)


def test_estimate_refuses_an_unknown_family(fairround):
    assert "expected one of additive" in fairround("estimate", "--family", "nope", code=1)


def test_tables_come_as_csv_and_for_latex(fairround, three, tmp_path):
    lines = fairround("calculate", three, "--budget", "a=0.2", "--format", "csv").splitlines()
    rows = list(csv.reader(lines[1:5]))
    assert rows[0] == ["party", "shapley", "payoff unlimited", "lambda", "payoff", "model value"]
    assert [float(row[4]) for row in rows[1:]] == pytest.approx([-0.2, 0.1125, 0.0875])
    latex = fairround("calculate", three, "--compare", "--format", "latex")
    assert latex.count(r"\begin{tabular}{l") == latex.count(r"\end{tabular}") == 3
    fairround("init", tmp_path / "round")
    fairround("run", tmp_path / "round")
    found = fairround("report", tmp_path / "round", "--format", "csv")
    assert "a,b,112500" in found.splitlines()
    assert "party,payoff estimated" in fairround("estimate", "--parties", "4", "--format", "csv")


def test_a_name_cannot_be_a_formula_in_a_spreadsheet(fairround, tmp_path):
    names = {"parties": ["=1+1", "-x & 50%"], "values": [0, 0.2, 0.3, 1]}
    (tmp_path / "v.json").write_text(json.dumps(names))
    rows = fairround("calculate", tmp_path / "v.json", "--format", "csv").splitlines()
    assert rows[2].startswith("'=1+1,")
    assert rows[3].startswith("'-x & 50%,")
    assert r"-x \& 50\%" in fairround("calculate", tmp_path / "v.json", "--format", "latex")


def test_flows_are_allocated_like_the_values_that_they_follow_from(fairround, three, tmp_path):
    path = tmp_path / "flows.json"
    flows = [[0, 0.35, 0.45], [0.15, 0, 0.35], [0.25, 0.35, 0]]
    document = {"flows": flows, "own_values": [0.2, 0.5, 0.4], "grand_value": 1.0}
    path.write_text(json.dumps(document | {"parties": ["a", "b", "c"]}))
    budget = ("--budget", "a=0.2")
    for form in ("csv", "latex"):
        of_values = fairround("calculate", three, *budget, "--format", form)
        assert fairround("calculate", "--flows", path, *budget, "--format", form) == of_values
    text = fairround("calculate", "--flows", path, "--cap", "c=0.7")
    assert "edges" not in text
    assert "certified greatest" in text
    path.write_text(json.dumps(document | {"grand_value": 0.9}))
    message = fairround("calculate", "--flows", path, code=1)
    assert "v(i) of party 0 is 0.2 and its flows add up to 0.8, together 1; expected" in message
    assert len(message.splitlines()) == 1


def test_a_thousand_parties_are_calculated_and_their_flows_not_printed(fairround, tmp_path):
    n, path = 1000, tmp_path / "flows.npz"
    flows = np.full((n, n), 0.5 / (n - 1))
    np.fill_diagonal(flows, 0.0)
    np.savez(path, flows=flows, own_values=np.full(n, 0.5), grand_value=1.0)
    text = fairround("calculate", "--flows", path, "--budget", "7=0")
    assert len(text.splitlines()) == n + 3


@pytest.mark.parametrize(
    "arguments", [[], ["x.json", "--flows", "y.json"], ["--flows", "y.json", "--compare"]]
)
def test_files_that_cannot_be_meant_are_wrong_usage(fairround, arguments):
    assert "flows" in fairround("calculate", *arguments, code=2)
