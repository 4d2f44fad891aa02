"""What Sec. 5 says of MNIST: true of the published table, and no tautology."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.game import ValueTable, cover

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "paper"))

from paper_statements import nearest_rho_shapley, statements  # noqa: E402

PUBLISHED = ROOT / "tests" / "data" / "mnist_five_parties.json"
SIZES = np.bitwise_count(np.arange(32))


def covered(values):
    return cover(ValueTable(values), "above").table


def broken_by(values):
    return {each.text for each in statements(covered(values)) if not each.holds}


@pytest.fixture(scope="module")
def published():
    return np.array(json.loads(PUBLISHED.read_text())["values"])


def test_the_published_table_bears_out_every_statement(published):
    assert broken_by(published) == set()


def test_no_statement_holds_on_every_table_but_those_that_say_so(published):
    rng = np.random.default_rng(5)
    without_a_party = published[np.arange(32) & 0b11110]  # [0] adds nothing to anybody
    alike = SIZES / 5  # the rho-Shapley value with rho = 0 gives the same models
    tables = [without_a_party, alike]
    for _ in range(60):
        values = rng.random(32) * SIZES / 5
        values[0] = 0
        tables.append(values)
    broken = set().union(*(broken_by(values) for values in tables))
    told = {each.text for each in statements(covered(published)) if not each.by_construction}
    assert told == broken


def test_the_nearest_rho_shapley_value_is_off_by_what_a_finer_search_finds(published):
    from scipy.optimize import minimize_scalar

    from ml.game import allocate, rho_shapley_scheme

    table = covered(published)
    models = allocate(table, np.zeros(5)).model_values

    def distance(rho):
        return np.abs(rho_shapley_scheme(rho)(table, np.zeros(5)).model_values - models).max()

    found = min(
        minimize_scalar(distance, bounds=(low, low + 0.05), method="bounded").fun
        for low in np.arange(0, 3, 0.05)
    )
    least, rho = nearest_rho_shapley(table, models)
    assert least == pytest.approx(found, abs=1e-6) == distance(rho)
    assert least == pytest.approx(0.085, abs=5e-4)


def test_a_table_with_the_largest_party_exchanged_is_told_apart(published):
    """[0] and [6-9] exchange their data: what the text says of [6-9] is then false."""
    swapped = np.arange(32)
    swapped = (swapped & 0b01110) | (swapped >> 4 & 1) | (swapped & 1) << 4
    broken = broken_by(published[swapped])
    assert "2a: [6-9] receives the largest payoff" in broken
    assert "2d: [6-9] receives the grand model" in broken
