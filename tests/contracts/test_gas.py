"""Gas is a committed figure: a change shows up in review."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = json.loads((Path(__file__).parent / "gas.json").read_text())
GOALS_A_PARTY = {5: 16_000, 50: 3_000, 200: 2_400, 1_000: 2_200}


def measured(*sizes):
    script = ROOT / "scripts" / "bench" / "gas.py"
    command = [sys.executable, str(script), "--snapshot", "--sizes", *map(str, sizes)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def kept(*sizes):
    rounds = [row for row in KEPT["rounds"] if row["n_parties"] in sizes]
    return {"rounds": rounds, "optimistic": KEPT["optimistic"]}


def test_gas_is_what_the_snapshot_says():
    assert measured(5, 50) == kept(5, 50)


@pytest.mark.slow
def test_gas_of_large_rounds_is_what_the_snapshot_says():
    assert measured(200, 1_000) == kept(200, 1_000)


def test_the_kept_figures_meet_the_goals():
    assert {row["n_parties"] for row in KEPT["rounds"]} == set(GOALS_A_PARTY)
    for row in KEPT["rounds"]:
        n_parties = row["n_parties"]
        assert row["settle"] <= GOALS_A_PARTY[n_parties] * n_parties, row
    assert max(row["challenge"] for row in KEPT["optimistic"]) < 2**24
