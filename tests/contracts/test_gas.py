"""Gas is a committed figure: a change shows up in review."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = json.loads((Path(__file__).parent / "gas.json").read_text())
PUSH_GOAL = 20_000
GOALS_BY_PROOF = {3: 110_000, 5: 120_000, 8: 160_000, 12: 220_000, 20: 400_000, 64: 2_500_000}
GOALS_WHOLE_WAY = {5: (42_000, 45_000), 50: (32_000, 55_000), 200: (30_000, None)}


def measured(*sizes):
    script = ROOT / "scripts" / "bench" / "gas.py"
    command = [sys.executable, str(script), "--snapshot", "--sizes", *map(str, sizes)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def kept(*sizes):
    signed = [row for row in KEPT["by_signatures"] if row["n_parties"] in sizes]
    return {**KEPT, "by_signatures": signed}


def test_gas_is_what_the_snapshot_says():
    assert measured(5, 50) == kept(5, 50)


@pytest.mark.slow
def test_gas_of_large_rounds_is_what_the_snapshot_says():
    assert measured(200, 1_000) == kept(200, 1_000)


def test_the_kept_figures_meet_the_goals():
    signed = {row["n_parties"]: row for row in KEPT["by_signatures"]}
    proved = {row["n_parties"]: row for row in KEPT["by_proof"]}
    for n, goal in GOALS_BY_PROOF.items():
        assert proved[n]["settle"] <= goal, n
    for n, (by_signatures, by_proof) in GOALS_WHOLE_WAY.items():
        out = signed[n]["pay_out"]
        assert (signed[n]["settle"] + out) / n <= by_signatures, n
        if by_proof is not None:
            assert (proved[n]["settle"] + out) / n <= by_proof, n
    for n, row in signed.items():
        assert row["settle"] < 2**24, n
        if n > 5:  # of five parties each bears a fifth of the transaction itself
            assert row["pay_out"] / n <= PUSH_GOAL, n
