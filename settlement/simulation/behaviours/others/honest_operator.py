"""The honest operator."""

from __future__ import annotations

from typing import ClassVar

from settlement.simulation.behaviours.behaviour import OperatorBehaviour

__all__ = ["HonestOperator"]


class HonestOperator(OperatorBehaviour):
    """Writes the true game into the terms and brings the settlement that follows."""

    name: ClassVar[str] = "honest_operator"
