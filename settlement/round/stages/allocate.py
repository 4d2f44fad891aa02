"""allocate: flows, payoffs and adjustment factors from the value table and the deposits."""

from __future__ import annotations

import numpy as np

from ml.game import (
    Allocation,
    SeededTables,
    UncertainAllocation,
    ValueTable,
    allocate,
    allocate_estimate,
    allocate_seeds,
    describe_coalition,
)
from settlement.config.reading import RoundConfig
from settlement.errors import SettlementError
from settlement.money.bridge import budgets_of_deposits
from settlement.round.context import RoundContext
from settlement.round.stages.train import estimate_of
from settlement.store.documents import AllocationDocument, OpenedRound, ValueDocument

__all__ = ["OtherSample", "allocation_document", "carry_out"]


class OtherSample(SettlementError):
    """The coalitions that were trained are not those that the estimator draws."""


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
    budgets = np.array(budgets_of_deposits(opened.deposits_units, opened.exchange_rate))
    own_values = np.array([values.value_of(1 << k) for k in range(len(opened.parties))])
    caps = np.array([np.inf if cap is None else cap for cap in config.caps])
    # Own values are known only now; a party that wants less than it has wants nothing more.
    caps = np.maximum(caps, own_values)
    if values.coalitions is not None:
        return _estimated(config, opened, values, budgets, caps)
    allocation = allocate(ValueTable(np.array(values.values)), budgets, caps)
    errors: UncertainAllocation | None = None
    if len(values.scores) > 1:
        errors = allocate_seeds(
            SeededTables(values.scores), budgets, caps, monotone=config.monotone
        )
    return _document(opened, allocation, errors)


def _estimated(
    config: RoundConfig,
    opened: OpenedRound,
    values: ValueDocument,
    budgets: np.ndarray,
    caps: np.ndarray,
) -> AllocationDocument:
    """From the sampled coalitions: the estimate asks for the same ones again, now looked up."""
    known = dict(zip(values.coalitions or [], np.array(values.scores).T, strict=True))

    def recall(coalitions: np.ndarray) -> np.ndarray:
        if missing := [c for c in coalitions.tolist() if c not in known]:
            raise OtherSample(_other_sample(values, missing[0], "is not in it"))
        return np.array([known[coalition] for coalition in coalitions.tolist()]).T

    estimate = estimate_of(config, recall)
    if more := sorted(known.keys() - set(estimate.coalitions.tolist())):
        raise OtherSample(_other_sample(values, more[0], "is in it"))
    estimated = allocate_estimate(estimate, budgets, caps)
    return _document(opened, estimated.allocation, estimated)


def _other_sample(values: ValueDocument, coalition: int, found: str) -> str:
    return (
        f"{values.STAGE}/{values.FILE} holds another sample of coalitions than the estimation of "
        f"the terms asks for: {describe_coalition(coalition, values.parties)} {found}."
    )


def _document(
    opened: OpenedRound,
    allocation: Allocation,
    errors: UncertainAllocation | None,
) -> AllocationDocument:
    errors_none = dict.fromkeys(("payoff_errors", "factor_errors", "model_value_errors"))
    figures = errors.as_dict() if errors else allocation.as_dict() | errors_none
    return AllocationDocument(parties=opened.parties, **figures)
