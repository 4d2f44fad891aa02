"""Clearing problems, checked: flows, budgets and caps that a solver may rely on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.errors import BudgetError, CapError, FlowsError, NegativeFlowError
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.reading import as_floats

__all__ = ["Problem", "checked_budgets", "checked_problem"]

_ROUNDING = 1e-13
"""Negative flows up to this share of the largest flow are rounding, and count as zero."""

_LARGEST_SUM = 1e304
"""Of all flows; beyond it sums may overflow."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A checked clearing problem: what the solvers take."""

    flows: Any
    """Dense float64 array or CSR matrix, none negative, zero diagonal."""
    costs: FloatArray
    """Row sums A_i = v(N) - v(i)."""
    budgets: FloatArray
    caps: FloatArray


def checked_problem(
    flows: Any, budgets: Any, caps: Any = None, tolerance: float | None = None
) -> Problem:
    """Check flows, budgets and caps; drop rounding; row sums are taken once."""
    matrix = _checked_flows(flows, tolerance)
    n_parties = int(matrix.shape[0])
    budgets_array = checked_budgets(budgets, n_parties)
    caps_array = np.ones(n_parties) if caps is None else _checked_caps(caps, n_parties)
    costs = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    return Problem(matrix, costs, budgets_array, caps_array)


def checked_budgets(budgets: Any, n_parties: int) -> FloatArray:
    """Budgets as float64 (n,), or a `BudgetError` that names the first bad one."""
    if budgets is None:
        return np.full(n_parties, np.inf)
    array = np.array(as_floats(budgets, "Budgets", BudgetError))
    if array.shape != (n_parties,):
        raise BudgetError(f"Budgets have shape {array.shape}; expected ({n_parties},).")
    for party in np.flatnonzero(~(array >= 0)):
        raise BudgetError(
            f"Budget of party {party} is {array[party]}; expected a number from 0 on, "
            "or infinity for no limit.",
            party=int(party),
        )
    return array


def _checked_caps(caps: Any, n_parties: int) -> FloatArray:
    array = np.array(as_floats(caps, "Caps", CapError))
    if array.shape != (n_parties,):
        raise CapError(f"Caps have shape {array.shape}; expected ({n_parties},), one a party.")
    for party in np.flatnonzero(~((array >= 0) & (array <= 1))):
        raise CapError(
            f"Cap of party {party} is {array[party]}; expected a factor between 0 and 1.",
            party=int(party),
        )
    return array


def _checked_flows(flows: Any, tolerance: float | None) -> Any:
    if tolerance is not None and not tolerance >= 0:
        raise FlowsError(f"Tolerance is {tolerance}; expected a number from 0 on.")
    is_sparse = hasattr(flows, "tocsr")
    matrix: Any = _as_csr(flows) if is_sparse else np.array(as_floats(flows, "Flows", FlowsError))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 2:
        raise FlowsError(
            f"Flows have shape {matrix.shape}; expected (n, n) with at least 2 parties."
        )
    entries: Any = matrix.data if is_sparse else matrix
    if not np.isfinite(entries).all():
        raise FlowsError("Flows hold NaN or infinity; expected finite numbers. Check the values.")
    if np.any(matrix.diagonal() != 0):
        party = int(np.flatnonzero(matrix.diagonal())[0])
        raise FlowsError(
            f"Party {party} pays itself {matrix.diagonal()[party]:g}; expected a zero diagonal.",
            party=party,
        )
    largest = float(entries.max(initial=0.0))
    allowed = _ROUNDING * largest if tolerance is None else tolerance
    if entries.min(initial=0.0) < -allowed:
        _raise_negative(matrix, is_sparse)
    if largest > _LARGEST_SUM / matrix.shape[0] ** 2:
        raise FlowsError(
            f"Largest flow is {largest:.3g}; expected at most "
            f"{_LARGEST_SUM / matrix.shape[0] ** 2:.3g} for {matrix.shape[0]} parties, or sums "
            "overflow. Choose a larger unit of value."
        )
    # A negative rounding error is a zero; so is a whole row that is nothing but rounding.
    np.maximum(entries, 0.0, out=entries)
    if tolerance is not None:
        entries[entries <= tolerance] = 0.0
    return matrix


def _as_csr(flows: Any) -> Any:
    if flows.dtype.kind not in "fiub":
        raise FlowsError(f"Flows are of type {flows.dtype}; expected real numbers.")
    matrix = flows.tocsr().astype(np.float64)  # a copy
    matrix.sum_duplicates()  # entries of one place may be negative each on its own
    return matrix


def _raise_negative(matrix: Any, is_sparse: bool) -> None:
    coordinates = matrix.tocoo() if is_sparse else None
    negatives = int((matrix.data < 0).sum() if is_sparse else (matrix < 0).sum())
    if coordinates is not None:
        where = int(np.argmin(coordinates.data))
        payer, payee = int(coordinates.row[where]), int(coordinates.col[where])
    else:
        payer, payee = divmod(int(np.argmin(matrix)), matrix.shape[1])
    raise NegativeFlowError(
        f"Flow from party {payer} to party {payee} is {matrix[payer, payee]:.6g} "
        f"({negatives} negative in all); expected none below 0: the value table is not "
        "monotone. Refuse it, or cover it (ValueTable.cover) and allocate the covered table.",
        party=payer,
        coalition=1 << payee,
    )
