"""The card on incentives quotes what its script prints, and the script counts what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ml.game import ValueTable, allocate, allocate_flows, conditional_shapley, replicate_party
from tests.ml.game.helpers import random_monotone_table

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "bench" / "incentives.py"

# Not by sys.path: the coverage.py beside it would stand in for the package of that name.
SPEC = importlib.util.spec_from_file_location("incentives", SCRIPT)
incentives = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(incentives)

THREE = ValueTable(np.array([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]))


def test_the_card_quotes_every_table_that_the_script_prints(capsys):
    assert incentives.main([]) == 0
    title, *tables = capsys.readouterr().out.strip().split("\n\n")
    assert title == "400 games, seed 0"
    assert len(tables) == 3
    card = (ROOT / "ml" / "INCENTIVES.md").read_text().split("\n\n")
    assert [part for part in card if part.startswith("| ")] == tables


def test_few_games_and_other_seeds_print_other_figures(capsys):
    printed = []
    for seed in ("1", "2"):
        incentives.main(["--games", "12", "--seed", seed])
        printed.append(capsys.readouterr().out)
    assert printed[0].splitlines()[2:] != printed[1].splitlines()[2:]


def test_gains_by_hiding_are_those_worked_out_by_hand():
    # Party 0 owes .8 and is owed .4. With .4 it buys all; with 0 it buys half, and others buy as
    # much as before: at rate w it saves .4 and loses .4 w.
    found = incentives.hiding(THREE, np.array([0.4, 1.0, 1.0]))
    np.testing.assert_allclose(found["gain"][:, 0], 0.4 - 0.4 * incentives.RATES, atol=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_is_what_single_allocations_give(seed):
    rng = np.random.default_rng(seed)
    table = ValueTable(random_monotone_table(4, rng))
    table = ValueTable(table.values / table.grand_value)
    budgets, own = rng.uniform(0, 0.5, 4), table.own_values

    def over_alone(rate, budgets, party, caps=None):
        found = allocate(table, budgets, caps)
        return rate * (found.model_values[party] - own[party]) + found.payoffs[party]

    found = incentives.hiding(table, budgets)
    for k, rate in enumerate(incentives.RATES):
        for party in range(4):
            honest = over_alone(rate, budgets, party)
            at = np.eye(4, dtype=bool)[party]
            shown = [np.where(at, share * budgets, budgets) for share in incentives.SHOWN]
            hidden = [over_alone(rate, each, party) for each in shown]
            sells = over_alone(rate, budgets, party, np.where(at, own, np.inf))
            assert found["loss"][k, party] == pytest.approx(-honest, abs=1e-12)
            assert found["gain"][k, party] == pytest.approx(max(hidden) - honest, abs=1e-12)
            assert found["loss at budget 0"][k, party] == pytest.approx(-hidden[0], abs=1e-12)
            assert found["loss at own value"][k, party] == pytest.approx(-sells, abs=1e-12)


def test_a_second_place_gains_what_single_allocations_give():
    for party, (pays, tight, gains) in enumerate(incentives.taking_part_twice(THREE)):
        assert pays == tight == (party == 0)  # payoffs -.4, .2, .2; with budgets of .1 alike
        twice = replicate_party(THREE, party)
        before = allocate(THREE, np.full(3, 0.1))
        after = allocate(twice, np.array([0.1, 0.1, 0.1, 0.0]))
        gain = after.payoffs[[party, 3]].sum() + after.model_values[[party, 3]].max()
        gain -= before.payoffs[party] + before.model_values[party]
        assert gains[2] == pytest.approx(gain, abs=1e-12)
        rich = allocate(twice, np.array([0.1, 0.1, 0.1, np.inf]))
        alone = allocate(THREE, np.where(np.arange(3) == party, np.inf, 0.1))
        worth = rich.payoffs[[party, 3]].sum() + rich.model_values[[party, 3]].max()
        for k, single in ((4, before), (5, alone)):
            gain = worth - single.payoffs[party] - single.model_values[party]
            assert gains[k] == pytest.approx(gain, abs=1e-12)


def test_a_cap_at_the_own_value_makes_a_seller_that_is_paid_and_never_pays():
    sold = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = ValueTable(random_monotone_table(4, rng))
        flows, own = conditional_shapley(table.values), table.own_values
        caps = np.array([np.inf, own[1], np.inf, np.inf])
        budgets = np.array([0.2, 0.0, 0.2, 0.2])  # the seller locks nothing
        found = allocate_flows(flows, own, table.grand_value, budgets, caps)
        assert found.adjustment_factors[1] == 0 or own[1] == table.grand_value
        assert found.model_values[1] == own[1]
        assert found.payoffs[1] == pytest.approx(found.adjustment_factors @ flows[:, 1])
        sold = max(sold, found.payoffs[1])
    assert sold > 0.05
