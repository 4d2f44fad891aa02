"""Figures of a round: all that it has figures for, in three formats, the same bytes each time."""

import re

import numpy as np
import pytest

from settlement.errors import SettlementError
from settlement.report import figures
from tests.settlement.report.page.rounds import flows_of_many, stored_round, three_parties

pytest.importorskip("matplotlib", reason="matplotlib is not installed: fairround[plots]")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return figures.draw_figures(three_parties(), tmp_path_factory.mktemp("once") / "out")


def only(monkeypatch, *names):
    monkeypatch.setattr(figures, "FIGURES", {name: figures.FIGURES[name] for name in names})


def test_a_round_has_five_figures_in_three_formats(written):
    assert {path.name for path in written} == {
        f"{name}.{kind}" for name in figures.FIGURES for kind in ("svg", "pdf", "png")
    }
    begin = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}
    for path in written:
        assert path.read_bytes().startswith(begin[path.suffix])


def test_the_same_round_gives_the_same_bytes(written, monkeypatch, tmp_path):
    only(monkeypatch, "flows", "payoffs")
    before = {path.name: path for path in written}
    for one in figures.draw_figures(three_parties(), tmp_path):
        other = before[one.name]
        assert one.read_bytes() == other.read_bytes(), one.name


def test_an_estimated_round_has_no_table_to_draw_and_shows_its_errors(monkeypatch, tmp_path):
    only(monkeypatch, "values", "payoffs")
    flows, own = flows_of_many(14)
    names = ["$x_1$", "医院"] + [f"clinic {k}" for k in range(12)]
    stored = stored_round(names, [10_000] * 14, flows=flows, own=own, errors=[0.05] * 14)
    written = figures.draw_figures(stored, tmp_path)
    assert "values.svg" not in {path.name for path in written}
    assert "$x_1$" in (tmp_path / "payoffs.svg").read_text("utf-8")


def test_the_sweep_is_of_the_party_that_is_short_and_ends_at_its_whole_payoff(
    monkeypatch, tmp_path
):
    drawn = {}
    many = figures.allocate_many

    def watched(flows, batch, caps):
        drawn["batch"], drawn["found"] = batch, many(flows, batch, caps)
        return drawn["found"]

    monkeypatch.setattr(figures, "allocate_many", watched)
    only(monkeypatch, "budget-sweep")
    figures.draw_figures(three_parties(), tmp_path)
    assert np.ptp(drawn["batch"], axis=0).tolist() == pytest.approx([0.8, 0, 0])
    assert drawn["found"].payoffs[-1] == pytest.approx([-0.4, 0.2, 0.2])
    assert drawn["found"].payoffs[0, 0] == pytest.approx(0)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(SettlementError, match=re.escape("fairround[plots]")):
        figures.draw_figures(three_parties(), tmp_path)


def test_the_verb_writes_beside_the_round_and_leaves_its_seals_alone(fairround, tmp_path):
    folder = tmp_path / "round"
    fairround("init", folder)
    fairround("run", folder)
    told = fairround("plot", folder)
    assert str(folder / "figures" / "payoffs.pdf") in told
    assert len(told.splitlines()) == 15
    assert "ok    report" in fairround("verify", folder)
