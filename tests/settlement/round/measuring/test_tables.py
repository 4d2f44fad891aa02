"""Covered tables: whose model stands for whom, and to what scores rewards are trained."""

import numpy as np
import pytest

from settlement.round.measuring.tables import cover_values, reward_targets, value_document

# Party 2 spoils everybody's model; party 0 alone is better than with party 1.
NOISY = np.array([0, 0.5, 0.2, 0.4, 0.3, 0.6, 0.7, 0.65])


@pytest.mark.parametrize("kind", ["keep", "below"])
def test_where_nothing_is_lifted_every_coalition_keeps_its_own_model(kind):
    _, violations, best = cover_values(NOISY, kind)
    assert best.tolist() == list(range(8))
    assert violations["lift"] == 0


@pytest.mark.parametrize(("kind", "lift"), [("above", 0.05), ("mean", 0.025), ("isotonic", 0.025)])
def test_a_lifted_grand_value_is_that_of_a_sub_coalitions_model(kind, lift):
    values, violations, best = cover_values(NOISY, kind)
    assert violations["lift"] == pytest.approx(lift)
    assert values[7] == pytest.approx(0.65 + lift)
    assert best[7] == 6
    assert values[7] <= NOISY[best[7]]


def test_no_reward_is_worse_than_the_partys_own_model():
    """The isotonic table takes v(0) from .5 to .45; party 0 keeps its model of .5."""
    document = value_document(["a", "b", "c"], NOISY[None], monotone="isotonic", seeds=[0])
    assert document.values[1] == pytest.approx(0.45)
    assert reward_targets(document, [0.45, 0.3, 0.675]) == pytest.approx([0.5, 0.3, 0.675])
