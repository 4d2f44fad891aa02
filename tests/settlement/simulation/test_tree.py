"""The game tree of a round: everybody deviates alone, and honesty is a best reply or not."""

import json

import numpy as np
import pytest

from settlement.simulation.behaviours.registry import known_behaviours
from settlement.simulation.play import playing
from settlement.simulation.tables.scenario import RoundRules
from settlement.simulation.tree import NOT_ALONE, tree_of
from tests.settlement.simulation.conftest import THREE

DEPOSITS = (200_000, 1_000_000, 1_000_000)


def tree(way="proof", **more):
    return tree_of("abc", np.array(THREE), DEPOSITS, RoundRules(settlement=way), **more)


def line_of(found, name):
    return next(line for line in found.lines if line.name == name)


def test_every_behaviour_is_tried_by_everybody_who_can():
    found = tree(tier="twin")
    tried = {line.behaviour for line in found.lines}
    assert tried == set(known_behaviours()) - {"honest", "honest_operator", *NOT_ALONE}
    for party in "abc":
        by_party = {line.behaviour for line in found.lines if line.who == party}
        assert {"never_funds", "hides_budget", "replicates", "splits_in_two"} <= by_party


@pytest.mark.parametrize("way", ["proof", "signatures"])
def test_honesty_is_a_best_reply_at_private_rate_1(way):
    found = tree(way)
    assert found.disagreements == ()
    assert found.honest_is_best_reply
    assert found.regret <= 1
    assert found.honest.payoffs_units == (-200_000, 112_500, 87_500)
    assert "honest is a best reply: yes, regret 0.0" in found.as_text()
    assert json.loads(json.dumps(found.as_json()))["honest_is_best_reply"] is True


def test_honesty_is_none_where_a_unit_is_worth_half_and_the_regret_is_what_is_saved():
    found = tree(private_rates=0.5, tier="twin")
    assert not found.honest_is_best_reply
    # Party a saves the 200,000 and loses a model of 0.2 more, which is worth 100,000 to it.
    assert line_of(found, "a: never_funds").gain == pytest.approx(100_000)
    assert found.regret == pytest.approx(100_000)
    assert "gains most: a: never_funds, 100,000.0 base units" in found.as_text()


def test_gas_is_that_of_whole_transactions_and_a_failed_one_costs_too():
    found = tree()
    assert found.honest.total_gas > 400_000
    lie = line_of(found, "operator: lying_operator (about factor)")
    assert lie.settled
    assert lie.total_gas > found.honest.total_gas + 40_000
    assert min(found.honest.gas) > 50_000  # each party's own transactions


def test_a_disagreement_of_contract_and_twin_is_told(monkeypatch):
    real = playing._Round.take_out

    def take_out(self):
        real(self)
        self.world.note("conservation", "planted")

    monkeypatch.setattr(playing._Round, "take_out", take_out)
    found = tree(tier="twin")
    assert found.disagreements
    assert "BROKEN  nobody: all honest: conservation: planted" in found.as_text()
