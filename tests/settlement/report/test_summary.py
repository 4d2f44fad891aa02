"""Estimated flows that were raised to zero are counted where the money is told."""

from dataclasses import replace

import numpy as np

from ml.game import bitmasks, conditional_shapley, family
from settlement.config.terms import Sampling
from settlement.report import summarise, summary_text
from settlement.round.agreed import AgreedGame
from settlement.round.game import estimate_of, stored_estimate
from settlement.round.stages.allocate import allocation_document
from tests.settlement.report.page.rounds import stored_round

NAMES = ["a", "b", "c", "d", "e", "f"]


def estimated_round(game):
    """A round of six parties whose flows come from a sample of this game's coalitions."""
    sampling = Sampling(evaluations=24, estimator="stratified", seed=0)
    seen = []

    def evaluate(members):
        seen.extend(zip(bitmasks(members), game.evaluate(members), strict=True))
        return game.evaluate(members)

    estimate_of(sampling, 6, evaluate)
    coalitions, scores = zip(*sorted(seen), strict=True)
    flows = conditional_shapley(game.table().values)
    own = game.table().own_values
    deposits = [100_000] * 6
    stored = stored_round(NAMES, deposits, flows=np.maximum(flows, 0), own=own)
    terms = stored.terms.model_copy(update={"sampling": sampling})
    row = [float(score) for score in scores]
    values = replace(stored.values, coalitions=list(coalitions), values=row, scores=[row])
    agreed = AgreedGame(np.maximum(flows, 0), own, game.table().grand_value, None)
    allocation = allocation_document(terms, values, agreed, deposits)
    return replace(stored, terms=terms, values=values, allocation=allocation), sampling


def test_estimated_flows_that_were_raised_to_zero_are_counted():
    stored, sampling = estimated_round(family("unanimity", 6))
    flows = stored_estimate(stored.values, sampling).flows
    below = flows[flows < -1e-9]
    assert len(below) > 0
    summary = summarise(stored)
    assert summary["n_raised"] == len(below)
    assert summary["largest_raised"] >= -below.min()
    said = f"; {len(below)} of 30 came out below zero and were raised to it, the lowest by 0."
    assert said in summary_text(summary)


def test_nothing_is_said_where_no_flow_was_raised():
    stored, _ = estimated_round(family("additive", 6))
    assert summarise(stored)["n_raised"] == 0
    assert "below zero" not in summary_text(summarise(stored))
