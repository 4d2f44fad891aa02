"""allocate: adjustment factors and payoffs, from the agreed game and the deposits on the chain.

Anybody can carry this stage out: it reads public files and the chain, and signs nothing.
"""

from __future__ import annotations

import numpy as np

from ml.game import (
    Allocation,
    EstimatedAllocation,
    SeededTables,
    UncertainAllocation,
    allocate_estimate,
    allocate_flows,
    allocate_seeds,
)
from ml.game.words import MAX_CROSS_CHECKED
from settlement.config.terms import AgreedTerms
from settlement.money.bridge import budgets_of_deposits
from settlement.posting.format import MAX_POSTED_PARTIES
from settlement.round.agreed import AgreedGame, agreed_game
from settlement.round.context import RoundContext
from settlement.round.funding import final_deposits
from settlement.round.game import (
    stored_estimate,
)
from settlement.store.documents import AllocationDocument, ValueDocument
from settlement.store.folder import RoundFolder

__all__ = ["allocation_document", "carry_out", "stored_or_new_allocation"]


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
        game = agreed_game(context.folder)
        allocation_document(terms, values, game, deposits_units).write(folder)
    context.progress("allocate", 1, 1)


def allocation_document(
    terms: AgreedTerms,
    values: ValueDocument,
    game: AgreedGame,
    deposits_units: list[int],
    *,
    with_errors: bool = True,
) -> AllocationDocument:
    """The allocation of a round, from what was agreed and its deposits alone.

    Flows are the agreed ones, to which the deposits agreed and by which the round is settled;
    the values behind them only say how certain the figures are, if that is asked for.
    """
    own = game.own_values
    budgets = np.array(budgets_of_deposits(deposits_units, terms.exchange_rate))
    caps = np.array([np.inf if cap is None else cap for cap in terms.caps])
    allocation = allocate_flows(
        game.flows,
        own,
        game.grand_value,
        budgets,
        caps,
        cross_check=len(own) <= MAX_CROSS_CHECKED,
    )
    errors: UncertainAllocation | None = None
    if not with_errors:
        pass
    elif terms.sampling is not None:
        errors = allocate_estimate(stored_estimate(values, terms.sampling), budgets, caps)
    elif len(values.scores) > 1:
        errors = allocate_seeds(
            SeededTables(values.scores), budgets, caps, monotone=values.monotone
        )
    return _document(terms, deposits_units, allocation, errors)


def stored_or_new_allocation(
    folder: RoundFolder, terms: AgreedTerms, deposits_units: list[int]
) -> AllocationDocument:
    """The allocation of these deposits: the one that the folder has, or a new one.

    Beyond 64 parties a plan follows from its floats, of which another machine may round the last
    digits otherwise; so everybody takes those that were handed out with the round.
    """
    if folder.has("allocate"):
        stored = AllocationDocument.read(folder)
        if stored.deposits_units == deposits_units:
            return stored
    values, game = ValueDocument.read(folder), agreed_game(folder)
    return allocation_document(terms, values, game, deposits_units, with_errors=False)


def _document(
    terms: AgreedTerms,
    deposits_units: list[int],
    allocation: Allocation,
    errors: UncertainAllocation | None,
) -> AllocationDocument:
    none = dict.fromkeys(("payoff_errors", "factor_errors", "model_value_errors"))
    figures = allocation.as_dict() | none
    if len(terms.parties) > MAX_POSTED_PARTIES:
        figures |= {"flows": None, "adjusted_flows": None}
    if errors is not None:  # their own allocation is of the values, not of the posted game
        figures |= {name: errors.as_dict()[name] for name in none}
    if isinstance(errors, EstimatedAllocation):
        figures |= {"n_raised": errors.n_raised, "largest_raised": errors.largest_raised}
    return AllocationDocument(
        parties=list(terms.party_names), deposits_units=deposits_units, **figures
    )
