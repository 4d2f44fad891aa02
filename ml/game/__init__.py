"""The game: what a table of coalition values makes the parties owe each other.

Names load on first use, so that importing the room costs no more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.game.allocation import Allocation, allocate
    from ml.game.certificate import Certificate, check_certificate
    from ml.game.clearing import AdjustmentFactors, adjustment_factors, factor_caps
    from ml.game.coalitions import coalition_of, describe_coalition, members, subsets
    from ml.game.covers import Cover, cover
    from ml.game.flows import conditional_shapley, decompose, payoffs, shapley_values
    from ml.game.sweeps import (
        BudgetSensitivity,
        ManyAllocations,
        allocate_many,
        budget_sensitivity,
    )
    from ml.game.values import BrokenEdge, MonotonicityReport, ValueTable

_HOMES = {
    "allocation": ("Allocation", "allocate"),
    "certificate": ("Certificate", "check_certificate"),
    "clearing": ("AdjustmentFactors", "adjustment_factors", "factor_caps"),
    "coalitions": ("coalition_of", "describe_coalition", "members", "subsets"),
    "covers": ("Cover", "cover"),
    "flows": ("conditional_shapley", "decompose", "payoffs", "shapley_values"),
    "sweeps": ("BudgetSensitivity", "ManyAllocations", "allocate_many", "budget_sensitivity"),
    "values": ("BrokenEdge", "MonotonicityReport", "ValueTable"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdjustmentFactors",
    "Allocation",
    "BrokenEdge",
    "BudgetSensitivity",
    "Certificate",
    "Cover",
    "ManyAllocations",
    "MonotonicityReport",
    "ValueTable",
    "adjustment_factors",
    "allocate",
    "allocate_many",
    "budget_sensitivity",
    "check_certificate",
    "coalition_of",
    "conditional_shapley",
    "cover",
    "decompose",
    "describe_coalition",
    "factor_caps",
    "members",
    "payoffs",
    "shapley_values",
    "subsets",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ml.game' has no attribute {name!r}")
    return getattr(import_module(f"ml.game.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
