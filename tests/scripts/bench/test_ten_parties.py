"""MNIST among ten parties: 200 of the 1,023 trainings, chosen actively, tell the payments."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from ml.game import ValueTable, cover

ROOT = Path(__file__).resolve().parents[3]

# Not by sys.path: the coverage.py beside it would stand in for the package of that name.
SPEC = importlib.util.spec_from_file_location(
    "ten_parties", ROOT / "scripts" / "bench" / "ten_parties.py"
)
bench = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bench)

NEAR = 0.01


@pytest.fixture(scope="module")
def values():
    return np.array(json.loads(bench.TABLE.read_text())["values"])


def worst(values, evaluations, choose, seeds):
    """Largest error of a net payment over some samples."""
    game = bench.Sampled(values, 0.3)
    return max(game.look(evaluations, choose, seed)[1] for seed in seeds)


def test_the_kept_table_is_of_these_ten_parties():
    kept = json.loads(bench.TABLE.read_text())
    assert kept["parties"] == list(bench.LABELS)
    assert len(kept["values"]) == 1024
    # Scores on 5,000 images.
    steps = np.array(kept["values"]) * 5000
    np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
    # A party alone recognises at most its own digits, a tenth of the images each.
    for place, digits in enumerate(bench.LABELS.values()):
        assert 0.07 * len(digits) < kept["values"][1 << place] < 0.115 * len(digits)


def test_payments_of_200_trainings_chosen_actively_are_within_a_hundredth(values):
    assert worst(values, 200, "payments", (0, 1)) < NEAR


def test_as_many_trainings_chosen_at_random_are_not_enough(values):
    assert worst(values, 200, "sizes", (0, 1, 2)) > NEAR


def test_the_money_is_that_of_a_round_with_budgets(values):
    game = bench.Sampled(values, 0.3)
    paid = game.exact.payoffs
    assert abs(paid.sum()) < 1e-12
    limits = np.array([0.3 if name in bench.WITH_BUDGET else 0.0 for name in bench.LABELS])
    assert (paid >= -limits - 1e-12).all()
    # The budgets bind somebody: without them other amounts are paid.
    assert np.abs(paid - game.exact.payoffs_unlimited).max() > 0.1


def test_a_monotone_game_that_is_seen_whole_is_paid_exactly(values):
    game = bench.Sampled(cover(ValueTable(values), "isotonic").table.values, 0.3)
    seen, with_budgets, without = game.look(1023, "sizes", 0)
    assert seen == 1023
    assert with_budgets < 1e-12
    assert without < 1e-12


def test_a_sample_is_enough_only_if_all_larger_ones_are():
    errors = {40: 0.02, 60: 0.005, 80: 0.02, 100: 0.01, 150: 0.001}
    assert bench.enough(errors, 0.01) == 100
    assert bench.enough(errors | {150: 0.011}, 0.01) is None
    assert bench.enough(errors, 0.1) == 40


def test_only_what_is_not_kept_yet_is_trained(tmp_path, capsys):
    first = json.loads(bench.train(tmp_path, "digits", 3).read_text())
    assert "7 models trained, 0 recalled" in capsys.readouterr().out
    assert first["parties"] == ["0", "1-2", "0-3"]
    assert len(set(first["values"])) > 4
    for lost in sorted((tmp_path / "models").glob("*/*.safetensors"))[:2]:
        lost.unlink()
    again = json.loads(bench.train(tmp_path, "digits", 3).read_text())
    assert "2 models trained, 5 recalled" in capsys.readouterr().out
    np.testing.assert_allclose(again["values"], first["values"], atol=0.02)


@pytest.mark.slow
def test_the_kept_table_is_what_training_gives(tmp_path, values):
    found = json.loads(bench.train(tmp_path, "mnist", 3).read_text())["values"]
    # The images are the same; another processor rounds otherwise.
    np.testing.assert_allclose(found, values[:8], atol=0.01)
