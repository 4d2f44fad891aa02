"""Pictures, parquet files and the command line."""

import json
import sqlite3

import pytest

from settlement.chain.quick import choosing
from settlement.cli.main import main
from settlement.config.templates import write_template
from settlement.report import simulation_plots
from settlement.report.simulation_plots import PlotError, draw_all
from settlement.simulation.results import export
from settlement.simulation.results.database import TABLES
from settlement.simulation.results.export import ExportError, write_parquet
from settlement.simulation.results.summary import NOT_MODELLED
from settlement.simulation.simulating import simulate

SMALL = """
[scenario]
name = "small"
replicates = 3
[game]
kind = "family"
[round]
settlement = ["proof", "signatures"]
[[party]]
name = "payer"
budget = { from = 0.0, to = 0.4, steps = 3 }
[[party]]
name = "other"
count = 2
behaviour = { name = "honest", looks = false }
[operator]
behaviour = { name = "lying_operator", about = "game" }
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "scenario.toml").write_text(SMALL)
    return simulate(folder)


def test_every_picture_is_drawn_as_svg_and_png_and_the_same_rows_give_the_same_file(
    played, tmp_path
):
    pytest.importorskip("matplotlib")
    first = draw_all(played.database, tmp_path / "a")
    assert {path.stem for path in first} == set(simulation_plots.PICTURES)
    assert {path.suffix for path in first} == {".svg", ".png"}
    for path in first:
        content = path.read_bytes()
        assert content.startswith(b"<?xml" if path.suffix == ".svg" else b"\x89PNG")
    second = draw_all(played.database, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        if one.suffix == ".svg":
            assert one.read_bytes() == other.read_bytes()


def test_every_picture_says_what_is_not_modelled(played, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # words as words, not as outlines
        paths = draw_all(played.database, tmp_path)
    for path in (path for path in paths if path.suffix == ".svg"):
        words = " ".join(path.read_text().split())
        assert "18 rounds. Not modelled: side payments" in words, path.name
        assert NOT_MODELLED[-1].split()[-1] in words, path.name


def test_a_picture_without_rows_for_it_is_left_out(tables, tmp_path):
    pytest.importorskip("matplotlib")
    results = simulate(tables, folder=tmp_path)
    found = {path.stem for path in draw_all(results.database, tmp_path / "plots")}
    assert found == {"utilities", "gross-and-net"}


def test_what_is_not_installed_names_its_extra(played, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation_plots, "find_spec", lambda name: None)
    with pytest.raises(PlotError, match=r"fairround\[plots\]"):
        draw_all(played.database, tmp_path)
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"fairround\[parquet\]"):
        write_parquet(played.database, tmp_path)


def test_parquet_has_the_rows_of_the_database(played, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(played.database, tmp_path)
    for table in TABLES:
        found = parquet.read_table(tmp_path / f"{table}.parquet").to_pylist()
        with sqlite3.connect(played.database) as connection:
            connection.row_factory = sqlite3.Row
            expected = [dict(r) for r in connection.execute(f"SELECT * FROM {table}")]
        assert sorted(map(repr, found)) == sorted(map(repr, expected)), table


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code, capsys.readouterr()


def test_the_command_prints_a_summary_or_json_and_exits_0(tmp_path, capsys):
    (tmp_path / "scenario.toml").write_text(SMALL)
    code, found = run(capsys, "simulate", str(tmp_path))
    assert not code
    assert found.out.startswith("small: 18 rounds in 6 cells")
    code, found = run(capsys, "simulate", str(tmp_path), "--json")
    assert json.loads(found.out)["n_rounds"] == 18


def test_a_bad_scenario_exits_1_with_a_line_a_fault(tmp_path, capsys):
    (tmp_path / "scenario.toml").write_text(SMALL.replace("proof", "prof").replace("small", ""))
    code, found = run(capsys, "simulate", str(tmp_path))
    assert code == 1
    assert len(found.err.splitlines()) == 2
    assert all(line.startswith("error: scenario.toml:") for line in found.err.splitlines())


def test_too_many_rounds_exit_1_and_name_the_option(tmp_path, capsys):
    many = SMALL.replace("replicates = 3", "replicates = 200000")
    (tmp_path / "scenario.toml").write_text(many)
    code, found = run(capsys, "simulate", str(tmp_path))
    assert code == 1
    assert "1,200,000 rounds" in found.err
    assert "--yes" in found.err


def test_without_the_extra_everything_works_slower_and_says_so_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    (tmp_path / "scenario.toml").write_text(SMALL)
    code, found = run(capsys, "simulate", str(tmp_path))
    assert not code
    assert found.err.count("pyrevm is not installed") == 1
    assert "equal on twin and EVM (py-evm)" in found.out


def test_twin_only_says_that_nothing_was_compared(tmp_path, capsys):
    (tmp_path / "scenario.toml").write_text(SMALL)
    code, found = run(capsys, "simulate", str(tmp_path), "--twin-only")
    assert not code
    assert "18 rounds on the twin alone: nothing was compared" in found.out


def test_init_writes_a_scenario_and_says_what_comes_next(tmp_path, capsys):
    target = str(tmp_path / "new")
    code, found = run(capsys, "init", target, "--template", "scenario")
    assert not code
    assert f"Next: fairround simulate {target}" in found.out
    assert write_template(tmp_path / "other", "scenario").name == "scenario.toml"
