"""An operator that opens a round and is never seen again."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from settlement.simulation.behaviours.behaviour import Draft, OperatorBehaviour

__all__ = ["VanishingOperator"]


class VanishingOperator(OperatorBehaviour):
    """Opens the round, then does nothing any more."""

    name: ClassVar[str] = "vanishing_operator"

    def draft(self, true: Draft, rng: np.random.Generator) -> None:
        """No settlement."""
        return
