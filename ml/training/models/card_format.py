"""What a model card says, without loading torch: to write one, and to check one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.training.recipe import Recipe

__all__ = ["CARD_FORMAT", "card_of"]

CARD_FORMAT = "fairround model card 1"


def card_of(
    facts: Mapping[str, Any], plan: Recipe, preparation: Mapping[str, Any]
) -> dict[str, Any]:
    """The card of a reward file as plain data.

    Parameters
    ----------
    facts
        Facts about the reward: its ``file``, ``sha256``, party, scores and so on.
    preparation
        How its data were prepared, as plain data.
    """
    return {
        "format": CARD_FORMAT,
        **facts,
        "recipe": plan.as_dict(),
        "preparation": preparation,
        "load": [
            "from ml.training import load_reward",
            f'model = load_reward("{facts["file"]}")',
            "classes = model.predict(samples).classes",
        ],
    }
