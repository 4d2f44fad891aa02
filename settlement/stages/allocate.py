"""allocate: flows, payoffs and adjustment factors from the value table and the deposits."""

from __future__ import annotations

import numpy as np

from ml.game import ValueTable, allocate
from settlement.bridge import budgets_of_deposits
from settlement.config import RoundConfig
from settlement.documents import AllocationDocument, OpenedRound, ValueDocument
from settlement.stages.context import RoundContext

__all__ = ["allocation_document", "carry_out"]


def carry_out(context: RoundContext) -> None:
    """Work out who owes whom; the locked deposits are the budgets."""
    opened = OpenedRound.read(context.folder)
    values = ValueDocument.read(context.folder)
    context.progress("allocate", 0, 1)
    with context.folder.write_stage("allocate", inputs=["open", "train"]) as folder:
        allocation_document(context.config, opened, values).write(folder)
    context.progress("allocate", 1, 1)


def allocation_document(
    config: RoundConfig, opened: OpenedRound, values: ValueDocument
) -> AllocationDocument:
    """The allocation of a round, from its stored values and deposits alone."""
    budgets = budgets_of_deposits(opened.deposits_units, opened.exchange_rate)
    table = ValueTable(np.array(values.values))
    caps = np.array([np.inf if party.cap is None else float(party.cap) for party in config.parties])
    # Own values are known only now; a party that wants less than it has wants nothing more.
    allocation = allocate(table, np.array(budgets), np.maximum(caps, table.own_values))
    return AllocationDocument(
        parties=opened.parties,
        own_values=allocation.own_values.tolist(),
        budgets=budgets,
        flows=allocation.flows.tolist(),
        shapley=allocation.shapley.tolist(),
        payoffs_unlimited=allocation.payoffs_unlimited.tolist(),
        adjustment_factors=allocation.adjustment_factors.tolist(),
        adjusted_flows=allocation.adjusted_flows.tolist(),
        payoffs=allocation.payoffs.tolist(),
        model_values=allocation.model_values.tolist(),
        certificate_gap=float(allocation.certificate.gap),
        solver_gap=float(allocation.solver_gap),
    )
