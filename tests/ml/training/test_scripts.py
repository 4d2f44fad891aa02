"""The benchmark and the reproduction run and print what they say."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.game import ValueTable, allocate, cover

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_benchmark_prints_ratio_and_floor():
    command = [
        sys.executable,
        "scripts/bench/training.py",
        "--json",
        "--rounds",
        "1",
        "--steps",
        "3",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)["measured"][0]
    assert (row["device"], row["models"], row["all_steps"]) == ("cpu", 31, 106_015)
    assert row["ratio"] > 1
    assert row["floor_step_us"] > 0


@pytest.mark.slow
def test_the_reproduction_writes_tables_figures_and_whether_each_statement_holds(tmp_path):
    command = [sys.executable, "scripts/paper/reproduce_paper.py", str(tmp_path), "--quick"]
    command += ["--only", "digits-quick", "--seeds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = json.loads((tmp_path / "digits-quick" / "table.json").read_text())
    assert len(found["values"]) == 32
    statements = found["statements"]
    assert len(statements) == 16
    assert all(len(each["margins_of_single_seeds"]) == 2 for each in statements)
    assert done.returncode == (0 if all(each["holds"] for each in statements) else 1), done.stderr
    assert max(b["largest_miss_samples"] for b in found["budgets"].values()) <= 1
    assert len(list((tmp_path / "digits-quick").glob("*.svg"))) == 9


def test_figure_2_draws_the_published_values_beside_ours(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "paper"))
    paper = importlib.import_module("reproduce_paper")
    published = np.array(json.loads(paper.PUBLISHED.read_text())["values"])
    budgets = {"unlimited": None, "all zero": np.zeros(5)}
    ours = {
        label: allocate(cover(ValueTable(published**1.1), "above").table, budget)
        for label, budget in budgets.items()
    }
    paper.figure_2(tmp_path, published, ours, budgets)
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(drawn) == {
        f"figure-2-{what}-{label}.svg"
        for what in ("payoffs", "model-values")
        for label in ("unlimited", "all-zero")
    }
    for text in drawn.values():
        assert ">published<" in text
        assert ">here<" in text
    assert len(set(drawn.values())) == 4
