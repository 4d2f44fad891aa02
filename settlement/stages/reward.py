"""reward: the trained model that every party receives, no better than it paid for."""

from __future__ import annotations

from settlement.documents import AllocationDocument, RewardDocument, ValueDocument
from settlement.stages.context import RoundContext

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Train model rewards of value v'_i(N) by early stopping (Sec. 4), where models are trained."""
    values = ValueDocument.read(context.folder)
    allocation = AllocationDocument.read(context.folder)
    with context.folder.write_stage("reward", inputs=["train", "allocate"]) as folder:
        if values.source == "given":
            document = RewardDocument(n_validation=0, n_holdout=0, rewards=[])
        else:
            document = _train_rewards(context, values, allocation, folder)
        document.write(folder)
