"""What pages are drawn from: the same figures as in the rows, and plain JSON."""

import json
import shlex

import numpy as np
import pytest

from settlement.cli.main import main
from settlement.simulation import page_data
from settlement.simulation.page_data import attack_document, page_document
from settlement.simulation.simulating import simulate
from settlement.simulation.tables.scenario import RoundRules
from settlement.simulation.tree import tree_of

SMALL = """
[scenario]
name = "page"
replicates = 4
rounds = 2
[game]
kind = "family"
[[party]]
name = "payer"
budget = [0.0, 0.4]
[[party]]
name = "other"
count = 2
behaviour = { name = "hides_budget", shows = 0.5 }
[[expect]]
that = "payoff(payer) > 9000000"
says = "A claim that is wrong"
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a page")
    (folder / "scenario.toml").write_text(SMALL)
    return simulate(folder)


@pytest.fixture(scope="module")
def document(played):
    return page_document(played)


def test_the_document_is_plain_json_without_nan(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_means_bands_and_percentiles_follow_from_the_rows(document, played):
    assert len(document["behaviours"]) == 4  # two cells, two behaviours
    for row in document["behaviours"]:
        found = played.query(
            "SELECT replicate, utility, utility - utility_alone FROM parties "
            "WHERE cell = ? AND kind || ': ' || behaviour = ?",
            (row["cell"], row["group"]),
        )
        utility = row["figures"]["utility"]
        assert utility["mean"] == pytest.approx(np.mean([u for _, u, _ in found]))
        means = [np.mean([u for k, u, _ in found if k == r]) for r in range(4)]
        assert utility["standard_error"] == pytest.approx(np.std(means, ddof=1) / 2)
        width = 2 * page_data.BAND * utility["standard_error"]
        assert utility["high"] - utility["low"] == pytest.approx(width)
        median = np.median([surplus for _, _, surplus in found])
        assert row["surplus_percentiles"]["50"] == pytest.approx(median)


def test_one_replicate_has_means_and_no_bands(tables, tmp_path):
    tables["scenario"]["replicates"] = 1
    found = page_document(simulate(tables, folder=tmp_path))
    json.dumps(found, allow_nan=False)
    assert found["behaviours"]
    for row in found["behaviours"]:
        assert row["figures"]["utility"]["mean"] is not None
        assert row["figures"]["utility"]["low"] is None


def test_sweeps_cells_and_periods_are_told(document, played):
    assert document["axes"] == [{"place": "party[0].budget", "name": "budget", "values": [0, 0.4]}]
    assert [cell["parameters"] for cell in document["cells"]] == [
        {"party[0].budget": 0.0},
        {"party[0].budget": 0.4},
    ]
    assert [row["n_rounds"] for row in document["settling"]] == [8, 8]
    assert {row["period"] for row in document["periods"]} == {0, 1}
    # the first party locks nothing in one cell and 400,000 in the other
    deposits = {
        row["cell"]: row["deposit_units"]
        for row in document["periods"]
        if row["group"] == "payer: honest" and row["period"] == 1
    }
    assert deposits == {0: 0.0, 1: 400_000.0}


def test_every_round_names_the_command_that_replays_it_and_it_does(document, capsys, tmp_path):
    assert len(document["rounds"]) == 16
    assert document["n_rounds_left_out"] == 0
    assert document["rounds"][0]["broken"]  # what broke an expectation comes first
    (claim,) = [v for v in document["summary"]["verdicts"] if not v["holds"]]
    assert claim["replay"][0] == document["rounds"][0]["replay"]
    name, *arguments = shlex.split(claim["replay"][0])  # the folder's name holds a blank
    assert name == "fairround"
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--to", str(tmp_path / "again"), "--json"])
    assert not stop.value.code
    assert json.loads(capsys.readouterr().out)["key"] == document["rounds"][0]["key"]


def test_long_lists_of_rounds_are_cut_and_counted(played, monkeypatch):
    monkeypatch.setattr(page_data, "MOST_ROUNDS", 5)
    found = page_document(played)
    assert len(found["rounds"]) == 5
    assert found["n_rounds_left_out"] == 11


def test_the_payoff_matrix_adds_up():
    rules = RoundRules(settlement="proof", exchange_rate=10**6, unit_scale=10**12)
    values = np.array([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    tree = tree_of(["a", "b", "c"], values, [200_000, 10**6, 10**6], rules, tier="auto")
    found = attack_document(tree)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    honest = found["lines"][0]
    assert honest["behaviour"] == "all honest"
    assert [party["payoff_units"] for party in honest["parties"]] == [-200_000, 112_500, 87_500]
    assert all(party["change"] == 0 for party in honest["parties"])
    for line in found["lines"]:
        assert sum(party["payoff_units"] for party in line["parties"]) == 0
        if line["gain"] is not None:
            who = found["parties"].index(line["who"])
            assert line["gain"] == line["parties"][who]["change"]
    assert found["regret"] == max(line["gain"] or 0 for line in found["lines"])
