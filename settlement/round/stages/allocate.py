"""allocate: adjustment factors and payoffs, from the agreed game and the deposits on the chain.

Anybody can carry this stage out: it reads public files and the chain, and signs nothing.
"""

from __future__ import annotations

import numpy as np

from ml.game import (
    Allocation,
    SeededTables,
    UncertainAllocation,
    allocate_estimate,
    allocate_flows,
    allocate_seeds,
)
from settlement.money.bridge import budgets_of_deposits
from settlement.round.context import RoundContext
from settlement.round.funding import final_deposits
from settlement.round.game import stored_estimate, stored_game
from settlement.store.documents import AllocationDocument, GameDocument, ValueDocument
from settlement.store.terms import AgreedTerms

__all__ = ["allocation_document", "carry_out"]


def carry_out(context: RoundContext) -> None:
    """Work out who owes whom; the locked deposits are the budgets.

    Raises
    ------
    FundingOpen
        While deposits can still change.
    RoundAbandoned
        If less than the quorum was locked, or the round expired: everybody withdraws.
    """
    terms = context.terms
    context.progress("allocate", 0, 1)
    with context.folder.write_stage("allocate", inputs=["train", "open"]) as folder:
        with context.open_chain() as chain:
            deposits_units = final_deposits(context, chain)
        values = ValueDocument.read(context.folder)
        game = GameDocument.read(context.folder)
        allocation_document(terms, values, game, deposits_units).write(folder)
    context.progress("allocate", 1, 1)


def allocation_document(
    terms: AgreedTerms, values: ValueDocument, game: GameDocument, deposits_units: list[int]
) -> AllocationDocument:
    """The allocation of a round, from what was agreed and its deposits alone.

    Flows are the posted ones, to which the deposits agreed and by which the contract settles;
    the values behind them only say how certain the figures are.
    """
    posted = stored_game(game)
    own_values = np.array(posted.own_values)
    budgets = np.array(budgets_of_deposits(deposits_units, terms.exchange_rate))
    caps = np.array([np.inf if cap is None else cap for cap in terms.caps])
    # A party that wants less than it has wants nothing more.
    caps = np.maximum(caps, own_values)
    flows = np.array(posted.value_flows)
    allocation = allocate_flows(flows, own_values, values.grand_value, budgets, caps)
    errors: UncertainAllocation | None = None
    if terms.estimation is not None:
        errors = allocate_estimate(stored_estimate(values, terms.estimation), budgets, caps)
    elif len(values.scores) > 1:
        monotone = "above" if values.monotone == "cover" else values.monotone
        errors = allocate_seeds(SeededTables(values.scores), budgets, caps, monotone=monotone)
    return _document(terms, deposits_units, allocation, errors)


def _document(
    terms: AgreedTerms,
    deposits_units: list[int],
    allocation: Allocation,
    errors: UncertainAllocation | None,
) -> AllocationDocument:
    gap = float(allocation.solver_gap)
    return AllocationDocument(
        parties=list(terms.party_names),
        deposits_units=deposits_units,
        own_values=allocation.own_values.tolist(),
        budgets=allocation.budgets.tolist(),
        flows=allocation.flows.tolist(),
        shapley=allocation.shapley.tolist(),
        payoffs_unlimited=allocation.payoffs_unlimited.tolist(),
        adjustment_factors=allocation.adjustment_factors.tolist(),
        adjusted_flows=allocation.adjusted_flows.tolist(),
        payoffs=allocation.payoffs.tolist(),
        model_values=allocation.model_values.tolist(),
        payoff_errors=errors.payoff_errors.tolist() if errors else None,
        factor_errors=errors.factor_errors.tolist() if errors else None,
        model_value_errors=errors.model_value_errors.tolist() if errors else None,
        certificate_gap=float(allocation.certificate.gap),
        solver_gap=None if np.isnan(gap) else gap,
    )
