"""reward: the trained model that every party receives, no better than it paid for.

It comes after the settlement: no reward exists while anybody could still keep its money back.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from settlement.round.context import RoundContext, model_cache
from settlement.round.measuring.entitled import entitled
from settlement.round.measuring.tables import reward_targets
from settlement.round.measuring.trained import agreed_data
from settlement.store.documents import (
    FLOWS,
    AllocationDocument,
    ModelRewardEntry,
    RewardDocument,
    ValueDocument,
)

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Train model rewards of value v'_i(N) by early stopping (Sec. 4), where models are trained."""
    values = ValueDocument.read(context.folder)
    allocation = AllocationDocument.read(context.folder)
    with context.folder.write_stage(
        "reward", inputs=["train", "open", "allocate", "settle"]
    ) as folder:
        if values.source == "external":
            document = entitled(context.folder, values, allocation)
        elif values.source in ("given", FLOWS):
            document = RewardDocument(n_validation=0, n_holdout=0, rewards=[])
        else:
            document = _train_rewards(context, values, allocation, folder)
        document.write(folder)


def _train_rewards(
    context: RoundContext, values: ValueDocument, allocation: AllocationDocument, folder: Path
) -> RewardDocument:
    from ml.training.rewards.rewards import train_rewards

    collaboration, recipe = agreed_data(context.config, values)
    models = train_rewards(
        collaboration,
        recipe,
        reward_targets(values, allocation.model_values),
        folder,
        cache=model_cache(),
        best_coalition=values.best_coalitions,
        progress=lambda done, total: context.progress("reward", done, total),
    )
    entries = [
        ModelRewardEntry(
            party=model.party,
            target=model.target,
            validation_score=model.validation_score,
            holdout_score=model.holdout_score,
            made=model.made,
            file=model.file,
            sha256=model.sha256,
        )
        for model in models
    ]
    return RewardDocument(
        n_validation=len(collaboration.validation),
        n_holdout=len(collaboration.holdout),
        rewards=[asdict(entry) for entry in entries],
    )
