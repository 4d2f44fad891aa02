import json

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


def test_comparing_schemes_takes_no_budgets(fairround, three):
    message = fairround("calculate", three, "--compare", "--budget", "a=1", code=2)
    assert "takes no --budget" in message


def test_allocate_is_for_rounds_and_calculate_for_files(fairround, three, tmp_path):
    assert "No such option" in fairround("allocate", tmp_path, "--budget", "a=1", code=2)
    assert "Missing argument 'FILE'" in fairround("calculate", code=2)
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
