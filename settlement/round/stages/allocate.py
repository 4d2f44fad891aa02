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
from settlement.config.terms import AgreedTerms
from settlement.money.bridge import budgets_of_deposits
from settlement.round.context import RoundContext
from settlement.round.funding import final_deposits
from settlement.round.game import (
    grand_value,
    own_values,
    stored_estimate,
    stored_game,
    value_flows,
)
from settlement.store.documents import AllocationDocument, GameDocument, ValueDocument

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
            deposits_units = final_deposits(chain, terms, context.opened)
        values = ValueDocument.read(context.folder)
        game = GameDocument.read(context.folder)
        allocation_document(terms, values, game, deposits_units).write(folder)
    context.progress("allocate", 1, 1)


def allocation_document(
    terms: AgreedTerms,
    values: ValueDocument,
    game: GameDocument,
    deposits_units: list[int],
    *,
    with_errors: bool = True,
) -> AllocationDocument:
    """The allocation of a round, from what was agreed and its deposits alone.

    Flows are the posted ones, to which the deposits agreed and by which the contract settles;
    the values behind them only say how certain the figures are, if that is asked for.
    """
    posted = stored_game(game)
    own = np.array(own_values(posted))
    budgets = np.array(budgets_of_deposits(deposits_units, terms.exchange_rate))
    caps = np.array([np.inf if cap is None else cap for cap in terms.caps])
    # A party that wants less than it has wants nothing more.
    caps = np.maximum(caps, own)
    flows = np.array(value_flows(posted))
    allocation = allocate_flows(flows, own, grand_value(posted), budgets, caps)
    errors: UncertainAllocation | None = None
    if not with_errors:
        pass
    elif terms.estimation is not None:
        errors = allocate_estimate(stored_estimate(values, terms.estimation), budgets, caps)
    elif len(values.scores) > 1:
        errors = allocate_seeds(
            SeededTables(values.scores), budgets, caps, monotone=values.monotone
        )
    return _document(terms, deposits_units, allocation, errors)


def _document(
    terms: AgreedTerms,
    deposits_units: list[int],
    allocation: Allocation,
    errors: UncertainAllocation | None,
) -> AllocationDocument:
    none = dict.fromkeys(("payoff_errors", "factor_errors", "model_value_errors"))
    figures = allocation.as_dict() | none
    if errors is not None:  # their own allocation is of the values, not of the posted game
        figures |= {name: errors.as_dict()[name] for name in none}
    return AllocationDocument(
        parties=list(terms.party_names), deposits_units=deposits_units, **figures
    )
