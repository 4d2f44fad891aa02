"""Pages of simulations and payoff matrices in a real browser, drawn from rounds played."""

import json

import numpy as np
import pytest

from settlement.cli.main import main
from settlement.report.page import attack_page, simulation_page
from settlement.simulation.page_data import attack_document, page_document
from settlement.simulation.simulating import simulate
from settlement.simulation.tables.scenario import RoundRules
from settlement.simulation.tree import tree_of
from tests.settlement.report.page.conftest import OVERLAPS, SETTLE_MS, serious_faults

NASTY = "</script><script>window.hacked = 1</script> 😀 \"'&<b> שלום"

SCENARIO = f"""
[scenario]
name = {json.dumps(NASTY, ensure_ascii=False)}
replicates = 3
rounds = 2
[game]
kind = "family"
[round]
settlement = ["proof", "signatures"]
[[party]]
name = "payer"
budget = {{ from = 0.0, to = 0.4, steps = 3 }}
[[party]]
name = "other"
count = 2
behaviour = {{ name = "hides_budget", shows = 0.5 }}
[[expect]]
that = "payoff(payer) > 9000000"
says = "A claim that is wrong: {{left}}"
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "scenario.toml").write_text(SCENARIO)
    return page_document(simulate(folder))


@pytest.fixture(scope="module")
def matrix():
    values = np.array([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    tree = tree_of(["a", NASTY, "c"], values, [200_000, 500_000, 600_000], RoundRules())
    return attack_document(tree)


def test_the_page_tells_what_broke_and_names_are_text(show, document):
    shown, trouble = show(simulation_page(document))
    assert trouble == []
    assert shown.inner_text("h1") == NASTY
    assert shown.evaluate("window.hacked") is None
    assert shown.inner_text("#verdict").startswith("✗ 1 of 4 expectations do not hold")
    wrong = shown.inner_text("#verdicts li.wrong")
    assert "A claim that is wrong" in wrong
    assert "36 rounds in 6 cells" in shown.inner_text("#story")


def test_the_figures_are_those_of_the_rows_whatever_is_chosen(show, document):
    shown, trouble = show(simulation_page(document))
    shown.select_option("#figure", "model_value")
    shown.select_option("#axis-0", "2")
    shown.select_option("#axis-1", "1")
    wanted = {"party[0].budget": 0.4, "round.settlement": "signatures"}
    (cell,) = [row["cell"] for row in document["cells"] if row["parameters"] == wanted]
    rows = [row for row in document["behaviours"] if row["cell"] == cell]
    assert len(rows) == 2
    drawn = shown.text_content("#ranges svg")
    for row in rows:
        figure = row["figures"]["model_value"]
        assert f"{row['group']}{figure['mean']:.4f} ± {figure['standard_error']:.4f}" in drawn
    # The same view again, from its address alone.
    address = shown.evaluate("location.hash")
    again, _ = show(simulation_page(document), address=address)
    assert again.text_content("#ranges svg") == drawn
    assert trouble == []


def test_a_sweep_draws_each_group_at_each_value(show, document):
    shown, _ = show(simulation_page(document))
    shown.select_option("#figure", "model_value")
    titles = shown.evaluate(
        "[...document.querySelectorAll('#sweep circle title')].map((e) => e.textContent)"
    )
    by_proof = [c for c in document["cells"] if c["parameters"]["round.settlement"] == "proof"]
    cells = {cell["parameters"]["party[0].budget"]: cell["cell"] for cell in by_proof}
    expected = [
        f"{row['group']}: {row['figures']['model_value']['mean']:.4f}"
        for group in ("other: hides_budget", "payer: honest")
        for budget in (0.0, 0.2, 0.4)
        for row in document["behaviours"]
        if row["cell"] == cells[budget] and row["group"] == group
    ]
    assert len(expected) == 6
    assert sorted(titles) == sorted(expected)


def test_a_lines_name_stands_at_its_right_end_also_where_values_descend(show, document):
    turned = json.loads(json.dumps(document))
    turned["axes"][0]["values"].reverse()
    places = """() => [...document.querySelectorAll("#sweep svg text")]
      .map((text) => [text.textContent, text.getAttribute("y")])"""
    drawn = [show(simulation_page(given))[0].evaluate(places) for given in (document, turned)]
    assert len(drawn[0]) > 5
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_of_swept_choices_do_not_overlap(show, document, width):
    text = json.dumps(document).replace('"proof"', '"lying_operator about any figure"')
    text = text.replace('"signatures"', '"lying_operator about the game"')
    shown, _ = show(simulation_page(json.loads(text)), width=width)
    shown.select_option("#axis", label="round.settlement")
    assert "about the game" in shown.text_content("#sweep svg")
    assert shown.evaluate(OVERLAPS) == []


def test_a_rounds_link_shows_the_command_that_replays_it(show, document):
    shown, trouble = show(simulation_page(document))
    shown.fill("#find", "3.1.1")
    shown.click("#round-table a >> text=3.1.1")
    shown.wait_for_timeout(SETTLE_MS)
    (wanted,) = [row["replay"] for row in document["rounds"] if row["key"] == "3.1.1"]
    assert shown.input_value("#command") == wanted
    shown.click("#copy")
    shown.wait_for_timeout(SETTLE_MS)
    assert shown.inner_text("#copied") in ("Copied.", "Selected: copy it with the keyboard.")
    # A link that was sent opens on that round.
    again, _ = show(simulation_page(document), address="#round=3.1.1")
    assert again.input_value("#command") == wanted
    assert trouble == []


def test_the_matrix_marks_who_deviates_and_says_whether_honesty_is_best(show, matrix):
    shown, trouble = show(attack_page(matrix, NASTY))
    assert trouble == []
    rows = shown.locator("#matrix-table tbody tr")
    assert rows.count() == len(matrix["lines"])
    for k in (1, len(matrix["lines"]) - 1):
        line = matrix["lines"][k]
        cells = [cell.inner_text() for cell in rows.nth(k).locator("td").all()]
        for party, told in zip(line["parties"], cells[1:4], strict=True):
            text = f"{abs(round(party['change'])):,}"
            assert text in told
            assert ("◂" in told) == (line["who"] == party["name"])
    assert shown.inner_text("#verdict").startswith("✓ Honest is a best reply")
    lost = json.loads(json.dumps(matrix)) | {"honest_is_best_reply": False, "regret": 12_345.0}
    shown, _ = show(attack_page(lost, "round"))
    assert "somebody gains 12,345 base units" in shown.inner_text("#verdict.wrong")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("which", ["simulation", "attack"])
def test_pages_are_legible_and_usable(show, document, matrix, which, width):
    text = simulation_page(document) if which == "simulation" else attack_page(matrix, "round")
    for dark in (False, True):
        shown, trouble = show(text, width=width, dark=dark)
        assert trouble == []
        assert shown.evaluate(OVERLAPS) == []
        assert serious_faults(shown) == []


def test_the_verbs_write_the_pages(tmp_path, capsys):
    folder = tmp_path / "scenario"
    folder.mkdir()
    text = SCENARIO.replace("payoff(payer) > 9000000", "conservation")
    (folder / "scenario.toml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["simulate", str(folder), "--twin-only"])
    assert not ended.value.code
    assert f"page: {folder / 'report.html'}" in capsys.readouterr().out
    assert (folder / "report.html").read_text("utf-8").count("default-src 'none'") == 1
