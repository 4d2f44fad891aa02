"""The words and limits that configurations and command lines share with the game; no numpy."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "CHOICES",
    "COVER_KINDS",
    "ESTIMATORS",
    "MAX_CROSS_CHECKED",
    "MAX_PARTIES",
    "MAX_TABLE_PARTIES",
    "MONOTONE",
    "SOLVERS",
    "Choice",
    "CoverKind",
    "Estimator",
    "Monotone",
    "Solver",
]

CoverKind = Literal["above", "below", "mean", "isotonic"]
Monotone = Literal["refuse", "keep", "above", "below", "mean", "isotonic"]
Estimator = Literal["gaussian-process", "quadratic", "stratified", "permutation"]
Choice = Literal["sizes", "flows", "payments"]
Solver = Literal["clearing", "linear-programme"]

COVER_KINDS: tuple[CoverKind, ...] = get_args(CoverKind)
"""Ways to a monotone table near a noisy one; see `cover`."""

MONOTONE: tuple[Monotone, ...] = get_args(Monotone)
"""What to do with a table that is not monotone: refuse it, keep it, or cover it."""

ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
"""Ways to estimate flows from a sample of coalitions; see `estimate_flows`."""

CHOICES: tuple[Choice, ...] = get_args(Choice)
"""By what the coalitions of an estimate are chosen; see `estimate_flows`."""

SOLVERS: tuple[Solver, ...] = get_args(Solver)
"""Ways to the adjustment factors; see `adjustment_factors`."""

MAX_PARTIES = 256
"""Most parties whose flows are estimated. Each sampled coalition has a weight in n * n flows, and
beyond 64 parties estimates are rough already; see `ml/README.md`."""

MAX_CROSS_CHECKED = 256
"""Most parties whose factors a linear programme finds again; beyond, a certificate proves them."""

MAX_TABLE_PARTIES = 26
"""Most parties of a value table: 2**26 values take 512 MiB; beyond that flows are estimated."""
