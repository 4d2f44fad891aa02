"""The game: what a table of coalition values makes the parties owe each other.

Names load on first use, so that importing the room costs no more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.game.allocation import Allocation, allocate, allocate_flows
    from ml.game.clearing.certificate import Certificate, check_certificate
    from ml.game.clearing.clearing import adjustment_factors, factor_caps
    from ml.game.clearing.solution import AdjustmentFactors
    from ml.game.clearing.sweeps import (
        BudgetSensitivity,
        ManyAllocations,
        allocate_many,
        budget_sensitivity,
    )
    from ml.game.comparison.families import FAMILIES, Family, family
    from ml.game.comparison.shapiq_games import shapiq_game, shapiq_values
    from ml.game.estimation.accuracy import EstimateError, estimate_error
    from ml.game.estimation.dummies import estimate_with_dummies
    from ml.game.estimation.estimators import FlowEstimate, estimate_flows
    from ml.game.estimation.expected import expected_game
    from ml.game.tables.coalitions import (
        CoalitionMatrix,
        bitmasks,
        coalition_matrix,
        coalition_of,
        describe_coalition,
        members,
    )
    from ml.game.tables.covers import Cover, best_coalitions, cover, made_monotone
    from ml.game.tables.flows import conditional_shapley, decompose, payoffs, shapley_values
    from ml.game.tables.given_flows import GivenFlows, sparse_flows
    from ml.game.tables.values import BrokenEdge, MonotonicityReport, ValueTable
    from ml.game.uncertainty.estimated import EstimatedAllocation, allocate_estimate
    from ml.game.uncertainty.noise import NoisyAllocation, allocate_seeds
    from ml.game.uncertainty.uncertain import UncertainAllocation
    from ml.game.words import COVER_KINDS, ESTIMATORS, MONOTONE, SOLVERS

_HOMES = {
    "estimation.accuracy": ("EstimateError", "estimate_error"),
    "allocation": ("Allocation", "allocate", "allocate_flows"),
    "clearing.certificate": ("Certificate", "check_certificate"),
    "clearing.clearing": ("adjustment_factors", "factor_caps"),
    "clearing.solution": ("AdjustmentFactors",),
    "tables.coalitions": (
        "CoalitionMatrix",
        "bitmasks",
        "coalition_matrix",
        "coalition_of",
        "describe_coalition",
        "members",
    ),
    "tables.covers": ("Cover", "best_coalitions", "cover", "made_monotone"),
    "uncertainty.estimated": ("EstimatedAllocation", "allocate_estimate"),
    "estimation.dummies": ("estimate_with_dummies",),
    "estimation.estimators": ("FlowEstimate", "estimate_flows"),
    "estimation.expected": ("expected_game",),
    "comparison.families": ("FAMILIES", "Family", "family"),
    "tables.flows": ("conditional_shapley", "decompose", "payoffs", "shapley_values"),
    "tables.given_flows": ("GivenFlows", "sparse_flows"),
    "uncertainty.noise": ("NoisyAllocation", "allocate_seeds"),
    "comparison.outcome": ("Outcome",),
    "comparison.properties": (
        "PROPERTIES",
        "PropertyCheck",
        "check_properties",
        "replicate_party",
        "with_dummy",
    ),
    "comparison.shapiq_games": ("shapiq_game", "shapiq_values"),
    "comparison.schemes": (
        "SCHEMES",
        "SchemeReport",
        "alpha_beta_scheme",
        "compare_schemes",
        "rho_shapley_scheme",
    ),
    "model_rewards": ("ModelRewardGame",),
    "uncertainty.seeded": ("SeededTables",),
    "uncertainty.uncertain": ("UncertainAllocation",),
    "clearing.sweeps": (
        "BudgetSensitivity",
        "ManyAllocations",
        "allocate_many",
        "budget_sensitivity",
    ),
    "words": ("COVER_KINDS", "ESTIMATORS", "MONOTONE", "SOLVERS"),
    "tables.values": ("BrokenEdge", "MonotonicityReport", "ValueTable"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "COVER_KINDS",
    "ESTIMATORS",
    "FAMILIES",
    "MONOTONE",
    "PROPERTIES",
    "SCHEMES",
    "SOLVERS",
    "AdjustmentFactors",
    "Allocation",
    "BrokenEdge",
    "BudgetSensitivity",
    "Certificate",
    "CoalitionMatrix",
    "Cover",
    "EstimateError",
    "EstimatedAllocation",
    "Family",
    "FlowEstimate",
    "GivenFlows",
    "ManyAllocations",
    "ModelRewardGame",
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
    "bitmasks",
    "budget_sensitivity",
    "check_certificate",
    "check_properties",
    "coalition_matrix",
    "coalition_of",
    "compare_schemes",
    "conditional_shapley",
    "cover",
    "decompose",
    "describe_coalition",
    "estimate_error",
    "estimate_flows",
    "estimate_with_dummies",
    "expected_game",
    "factor_caps",
    "family",
    "made_monotone",
    "members",
    "payoffs",
    "replicate_party",
    "rho_shapley_scheme",
    "shapiq_game",
    "shapiq_values",
    "shapley_values",
    "sparse_flows",
    "with_dummy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ml.game' has no attribute {name!r}")
    return getattr(import_module(f"ml.game.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
