"""The game of a round: from its values to flows and own values in posted whole units.

It depends on no deposit, so it is agreed before any money is locked. Up to 8 parties whose whole
table is known have flows that follow from it exactly, in whole numbers; all others have flows that
come from floats, which another machine may round differently in their last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml.game import (
    FlowEstimate,
    GivenFlows,
    ValueTable,
    allocate,
    allocate_estimate,
    bitmasks,
    describe_coalition,
    estimate_flows,
    estimate_with_dummies,
)
from settlement.config.terms import Sampling
from settlement.errors import SettlementError
from settlement.posting.format import (
    MAX_EXACT_PARTIES,
    VALUE_SCALE,
    Game,
    game_of_flows,
    game_of_values,
)
from settlement.store.documents import FLOWS, GameDocument, ValueDocument

if TYPE_CHECKING:
    from ml.game import CoalitionMatrix

__all__ = [
    "OtherSample",
    "cost_units",
    "estimate_of",
    "flows_of_round",
    "flows_values",
    "game_document",
    "grand_value",
    "is_exact",
    "own_values",
    "stored_estimate",
    "stored_game",
    "value_flows",
]


class OtherSample(SettlementError):
    """The coalitions that were trained are not those that the estimator draws."""


def is_exact(values: ValueDocument) -> bool:
    """Whether the posted flows follow from the values in whole numbers, to the last unit."""
    return values.is_table and len(values.parties) <= MAX_EXACT_PARTIES


def game_document(
    values: ValueDocument,
    caps: Sequence[float | None],
    sampling: Sampling | None,
    given: GivenFlows | None = None,
) -> GameDocument:
    """The posted game that values, or given flows, and caps lead to; of up to 64 parties.

    Parameters
    ----------
    caps
        Most that each party wants its model to be worth; None without a cap.
    sampling
        How coalitions were sampled; None where all values are known.
    given
        Flows that were given instead of values.

    Raises
    ------
    PostingError
        If a flow is negative or does not fit its field.
    OtherSample
        If the values are of other coalitions than the sampling asks for.
    """
    if is_exact(values):
        game = game_of_values(values.values, caps)
    else:
        flows = flows_of_round(values, sampling, given)
        dense = flows.flows.toarray() if flows.is_sparse else flows.flows
        game = game_of_flows(dense.tolist(), values.grand_value, caps)
    return GameDocument(
        parties=list(values.parties),
        flows=[list(row) for row in game.flows],
        own=list(game.own),
        wanted=list(game.wanted),
        game_hash=game.hash.hex(),
    )


def flows_values(parties: Sequence[str], given: GivenFlows, monotone: str) -> ValueDocument:
    """The document of values where flows were given: own values and v(N), nothing measured."""
    return ValueDocument(
        parties=list(parties),
        values=[*given.own_values.tolist(), given.grand_value],
        source=FLOWS,
        coalitions=None,
        scores=[],
        seeds=[],
        device=None,
        monotone=monotone,
        monotone_violations=None,
        best_coalitions=None,
        basis=None,
    )


def stored_game(document: GameDocument) -> Game:
    """The posted numbers of a document."""
    return Game(tuple(map(tuple, document.flows)), tuple(document.own), tuple(document.wanted))


def value_flows(game: Game) -> list[list[float]]:
    """Posted flows in value units."""
    unit = game.scale * VALUE_SCALE
    return [[flow / unit for flow in row] for row in game.flows]


def own_values(game: Game) -> list[float]:
    """Posted own values in value units."""
    return [own / VALUE_SCALE for own in game.own]


def grand_value(game: Game) -> float:
    """v(N) in value units, as posted."""
    return game.grand / (game.scale * VALUE_SCALE)


def cost_units(game: Game, party: int, exchange_rate: int) -> int:
    """The most that a party can owe, v(N) - v(i), in base units, rounded up."""
    unit = game.scale * VALUE_SCALE
    return -(-exchange_rate * game.costs[party] // unit)


def flows_of_round(
    values: ValueDocument, sampling: Sampling | None, given: GivenFlows | None
) -> GivenFlows:
    """Flows in value units: given, or of all values, or estimated from a sample of them."""
    if given is not None:
        return given
    if values.coalitions is None or sampling is None:
        allocation = allocate(ValueTable(np.array(values.values)), cross_check=False)
    else:
        estimate = stored_estimate(values, sampling)
        allocation = allocate_estimate(estimate, draws=2).allocation
    flows = np.maximum(allocation.flows, 0.0)  # what is negative by rounding is 0
    return GivenFlows(flows, allocation.own_values, values.grand_value)


def estimate_of(
    sampling: Sampling,
    n_parties: int,
    evaluate: Callable[[CoalitionMatrix], np.ndarray],
    buyers: Sequence[int] = (),
) -> FlowEstimate:
    """The round's estimate of its flows; the same coalitions whoever asks.

    ``buyers`` brought no data: the sample is of the others, and all that a buyer pays follows.
    """

    def of_holders(ask: Callable[[CoalitionMatrix], npt.ArrayLike], n_holders: int) -> FlowEstimate:
        return estimate_flows(
            ask,
            n_holders,
            sampling.evaluations,
            sampling.seed,
            sampling.estimator,
            choose=sampling.choose,
            budgets=sampling.budgets,
            target_payment_error=sampling.largest_payment_error,
        )

    return estimate_with_dummies(of_holders, evaluate, n_parties, buyers)


def stored_estimate(values: ValueDocument, sampling: Sampling) -> FlowEstimate:
    """The estimate again, its coalitions looked up among those that were trained.

    Raises
    ------
    OtherSample
    """
    known = dict(zip(values.coalitions or [], np.array(values.scores).T, strict=True))

    def recall(members: CoalitionMatrix) -> np.ndarray:
        asked = bitmasks(members)
        if missing := [coalition for coalition in asked if coalition not in known]:
            raise OtherSample(_other_sample(values, missing[0], "is not in it"))
        return np.array([known[coalition] for coalition in asked]).T  # seeds first

    estimate = estimate_of(sampling, len(values.parties), recall, values.buyers)
    if more := sorted(known.keys() - set(estimate.coalitions)):
        raise OtherSample(_other_sample(values, more[0], "is in it"))
    return estimate


def _other_sample(values: ValueDocument, coalition: int, found: str) -> str:
    return (
        f"{values.STAGE}/{values.FILE} holds another sample of coalitions than the estimation of "
        f"the round asks for: {describe_coalition(coalition, values.parties)} {found}."
    )
