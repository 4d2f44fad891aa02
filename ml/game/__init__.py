"""The game: what a table of coalition values makes the parties owe each other.

Names load on first use, so that importing the room costs no more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.game.accuracy import EstimateError, estimate_error
    from ml.game.allocation import Allocation, allocate, allocate_flows
    from ml.game.certificate import Certificate, check_certificate
    from ml.game.clearing import AdjustmentFactors, adjustment_factors, factor_caps
    from ml.game.coalitions import coalition_of, describe_coalition, members, subsets
    from ml.game.covers import Cover, best_coalitions, cover
    from ml.game.estimated import EstimatedAllocation, allocate_estimate
    from ml.game.estimators import ESTIMATORS, FlowEstimate, estimate_flows
    from ml.game.families import FAMILIES, Family, family
    from ml.game.flows import conditional_shapley, decompose, payoffs, shapley_values
    from ml.game.noise import NoisyAllocation, allocate_seeds
    from ml.game.sweeps import BudgetSensitivity, ManyAllocations, allocate_many, budget_sensitivity
    from ml.game.uncertain import UncertainAllocation
    from ml.game.values import BrokenEdge, MonotonicityReport, ValueTable

_HOMES = {
    "accuracy": ("EstimateError", "estimate_error"),
    "allocation": ("Allocation", "allocate", "allocate_flows"),
    "certificate": ("Certificate", "check_certificate"),
    "clearing": ("AdjustmentFactors", "adjustment_factors", "factor_caps"),
    "coalitions": ("coalition_of", "describe_coalition", "members", "subsets"),
    "covers": ("Cover", "best_coalitions", "cover"),
    "estimated": ("EstimatedAllocation", "allocate_estimate"),
    "estimators": ("ESTIMATORS", "FlowEstimate", "estimate_flows"),
    "families": ("FAMILIES", "Family", "family"),
    "flows": ("conditional_shapley", "decompose", "payoffs", "shapley_values"),
    "noise": ("NoisyAllocation", "allocate_seeds"),
    "properties": (
        "PROPERTIES",
        "PropertyCheck",
        "check_properties",
        "replicate_party",
        "with_dummy",
    ),
    "schemes": (
        "SCHEMES",
        "Outcome",
        "SchemeReport",
        "alpha_beta_scheme",
        "compare_schemes",
        "largest_rational_rho",
        "participation_fee_approximation",
        "rho_shapley_scheme",
    ),
    "seeded": ("SeededTables",),
    "uncertain": ("UncertainAllocation",),
    "sweeps": ("BudgetSensitivity", "ManyAllocations", "allocate_many", "budget_sensitivity"),
    "values": ("BrokenEdge", "MonotonicityReport", "ValueTable"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ESTIMATORS",
    "FAMILIES",
    "PROPERTIES",
    "SCHEMES",
    "AdjustmentFactors",
    "Allocation",
    "BrokenEdge",
    "BudgetSensitivity",
    "Certificate",
    "Cover",
    "EstimateError",
    "EstimatedAllocation",
    "Family",
    "FlowEstimate",
    "ManyAllocations",
    "MonotonicityReport",
    "NoisyAllocation",
    "Outcome",
    "PropertyCheck",
    "SchemeReport",
    "SeededTables",
    "UncertainAllocation",
    "ValueTable",
    "adjustment_factors",
    "allocate",
    "allocate_estimate",
    "allocate_flows",
    "allocate_many",
    "allocate_seeds",
    "alpha_beta_scheme",
    "best_coalitions",
    "budget_sensitivity",
    "check_certificate",
    "check_properties",
    "coalition_of",
    "compare_schemes",
    "conditional_shapley",
    "cover",
    "decompose",
    "describe_coalition",
    "estimate_error",
    "estimate_flows",
    "factor_caps",
    "family",
    "largest_rational_rho",
    "members",
    "participation_fee_approximation",
    "payoffs",
    "replicate_party",
    "rho_shapley_scheme",
    "shapley_values",
    "subsets",
    "with_dummy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ml.game' has no attribute {name!r}")
    return getattr(import_module(f"ml.game.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
