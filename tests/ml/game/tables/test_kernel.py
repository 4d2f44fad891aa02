"""The compiled kernel: equal to plain numpy, frugal, and never in the way of small games."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ml.errors import ValueTableError
from ml.game import conditional_shapley, shapley_values
from ml.game.tables.kernel import compiled_flows
from tests.ml.game.helpers import random_monotone_table

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("n_parties", [13, 14, 15, 17])
def test_the_compiled_kernel_equals_plain_numpy(n_parties, rng, monkeypatch):
    values = rng.random(2**n_parties)
    values[0] = 0
    compiled = compiled_flows(values)
    monkeypatch.setattr("ml.game.tables.flows._COMPILED_FROM", 27)
    np.testing.assert_allclose(conditional_shapley(values), compiled, atol=1e-14, rtol=0)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_flow(threads, rng, monkeypatch):
    monkeypatch.setattr("ml.game.tables.kernel._VALUES_A_THREAD", 1 << 10)
    values = random_monotone_table(14, rng)
    alone = conditional_shapley(values)
    np.testing.assert_allclose(conditional_shapley(values, threads=threads), alone, atol=1e-14)


def test_flows_of_a_large_game_add_up_to_its_shapley_values_eq_6(rng):
    values = random_monotone_table(16, rng)
    flows = conditional_shapley(values)
    own = values[1 << np.arange(16)]
    np.testing.assert_allclose((own + flows.sum(axis=0)) / 16, shapley_values(values), atol=1e-14)


def test_a_symmetric_game_has_equal_flows_exactly_known():
    n_parties = 18
    sizes = np.bitwise_count(np.arange(2**n_parties)) / n_parties
    flows = conditional_shapley(np.sqrt(sizes))
    expected = (1 - np.sqrt(1 / n_parties)) / (n_parties - 1)
    off = flows[~np.eye(n_parties, dtype=bool)]
    np.testing.assert_allclose(off, expected, atol=1e-15)


def test_a_large_offset_costs_no_accuracy(rng):
    steps = np.round(random_monotone_table(14, rng) * 2**20) / 2**20
    shifted = np.where(np.arange(len(steps)) > 0, steps + 2.0**20, 0.0)
    difference = np.abs(conditional_shapley(shifted) - conditional_shapley(steps))
    assert difference.max() <= 1e-13


def test_float32_and_memory_maps_give_the_same_flows(tmp_path, rng):
    values = random_monotone_table(14, rng).astype(np.float32)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    wide = conditional_shapley(values.astype(np.float64))
    np.testing.assert_allclose(conditional_shapley(mapped), wide, atol=1e-14)
    np.testing.assert_allclose(conditional_shapley(values), wide, atol=1e-14)


def test_extra_memory_is_under_five_percent_of_the_table(rng):
    values = rng.random(2**20)
    values[0] = 0
    conditional_shapley(values)  # what is loaded once is not the table's cost
    tracemalloc.start()
    conditional_shapley(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.05 * values.nbytes


@pytest.mark.parametrize("coalition", [1, 3, 2**12 + 5, 2**13 - 1, 2**13])
def test_a_missing_value_is_found_in_a_large_table(coalition, rng):
    values = random_monotone_table(14, rng)
    values[coalition] = np.nan
    with pytest.raises(ValueTableError, match=f"coalition {coalition} "):
        conditional_shapley(values)


def test_the_three_parties_need_neither_numba_nor_scipy():
    program = (
        "import sys\n"
        "from ml.game import ValueTable, conditional_shapley, adjustment_factors\n"
        "table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])\n"
        "flows = conditional_shapley(table.values)\n"
        "adjustment_factors(flows, [0.2, float('inf'), float('inf')])\n"
        "print(sorted({'numba', 'scipy', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
