"""Factors of thousands of marked parties by iteration, rescaled so that totals balance.

Plain iteration is a trap here: without budgets all that leaks out of the marked parties may
go to a single one, and then each sweep removes next to nothing of the error. But that error
is simple: within each strongly connected group the proportions settle fast and only the total
is wrong. One factor a group, from the balance of what the group takes in and what leaves it,
puts the totals right in each sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.clearing.elimination import eliminate
from ml.game.tables.coalitions import FloatArray

__all__ = ["MarkedSystem", "marked_system", "solve_duals", "solve_factors"]

_SWEEPS = ((1.0, 400), (0.6, 1500))
"""Damping and sweeps: undamped first; a market that swings back and forth needs the second."""

_GROUP_SWEEPS = 8
"""With several groups their factors form a system of its own, solved each eighth sweep."""

_ROUNDING = 4e-16


@dataclass(frozen=True, eq=False)
class MarkedSystem:
    """Flows among the marked parties, and what of their costs goes elsewhere."""

    inner: Any
    """Flows among marked parties, dense or CSR, shape (m, m)."""
    turned: Any
    """The same, payee by payer."""
    leaks: FloatArray
    costs: FloatArray
    group: npt.NDArray[np.intp]
    """Strongly connected group of each marked party."""
    n_groups: int


def marked_system(flows: Any, marked: npt.NDArray[np.bool_], costs: FloatArray) -> MarkedSystem:
    """Cut the marked parties' system out of all flows."""
    places = np.flatnonzero(marked)
    is_sparse = hasattr(flows, "tocsr")
    inner = flows[places][:, places]
    turned = inner.T.tocsr() if is_sparse else inner.T
    outside = (~marked).astype(np.float64)
    leaks = np.asarray(flows @ outside).ravel()[places]
    n_groups, group = _groups(inner, is_sparse)
    return MarkedSystem(inner, turned, leaks, costs[places], group, n_groups)


def solve_factors(
    system: MarkedSystem, incomes: FloatArray, start: FloatArray, tolerance: float
) -> FloatArray:
    """Factors with which the marked parties pay exactly their incomes on.

    Parameters
    ----------
    system : MarkedSystem
    incomes : float64, shape (m,)
        Budget and what unmarked parties pay.
    start : float64, shape (m,)
        First guess, such as the factors of the round before.
    tolerance : float
        Relative error of each entry, as far as the observed rate tells.
    """
    for damping, sweeps in _SWEEPS:
        factors, progress = start, _Progress(tolerance)
        for sweep in range(sweeps):
            updated = (incomes + np.asarray(system.turned @ factors).ravel()) / system.costs
            updated = damping * updated + (1 - damping) * factors
            if system.n_groups == 1 or sweep % _GROUP_SWEEPS == 0:
                updated *= _group_factors(system, updated, incomes)[system.group]
            state = progress.judge(_relative_change(updated, factors))
            factors = updated
            if state != "moving":
                break
        if state == "settled":
            return factors
    return _solve_directly(system, incomes)


def solve_duals(system: MarkedSystem, charges: FloatArray) -> FloatArray:
    """Dual values y of the marked parties: costs y - F y = charges, transposed iteration.

    The slow part of the error is now constant on each group; the correction is the constant
    that leaves no residual on average, weighted by the turnover that equal incomes would make.
    """
    weights = solve_factors(system, system.costs, np.ones_like(charges), 1e-6)
    coarse = _coarse_matrix(system, weights)

    def centred(duals: FloatArray) -> FloatArray:
        residual = charges + np.asarray(system.inner @ duals).ravel() - system.costs * duals
        totals = _group_sums(system, weights * residual)
        return np.asarray(duals + _solve_coarse(coarse, totals)[system.group])

    for damping, sweeps in _SWEEPS:
        duals, progress = np.ones_like(charges), _Progress(1e-15)
        for _ in range(sweeps):
            before = duals = centred(duals)
            swept = (charges + np.asarray(system.inner @ duals).ravel()) / system.costs
            duals = damping * swept + (1 - damping) * before
            state = progress.judge(_relative_change(duals, before))
            if state != "moving":
                break
        if state == "settled":
            return np.asarray(np.maximum(duals, 0.0))
    return _solve_duals_directly(system, charges)


class _Progress:
    """Whether an iteration has settled, is still moving, or goes nowhere."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.before = self.best = np.inf
        self.stale = 0

    def judge(self, change: float) -> str:
        """State after one more sweep that changed some entry by this share of itself."""
        rate = min(change / self.before, 0.999) if np.isfinite(self.before) else 0.999
        self.stale = 0 if change < 0.9 * self.best else self.stale + 1
        self.best, self.before = min(self.best, change), change
        if change <= _ROUNDING or change * rate / (1 - rate) <= self.tolerance:
            return "settled"
        if self.stale > 3 * _GROUP_SWEEPS and self.best < 1e-14:
            return "settled"  # as far as rounding lets it
        return "stuck" if self.stale > 10 * _GROUP_SWEEPS else "moving"


def _relative_change(updated: FloatArray, factors: FloatArray) -> float:
    positive = updated > 0
    if not positive.any():
        return 0.0
    return float((np.abs(updated - factors)[positive] / updated[positive]).max())


def _group_factors(system: MarkedSystem, factors: FloatArray, incomes: FloatArray) -> FloatArray:
    """Factor a group by which its payments balance what it takes in."""
    totals = _group_sums(system, incomes)
    if system.n_groups == 1:
        leaking = float(system.leaks @ factors)
        return totals / leaking if leaking > 0 else np.ones(1)
    coarse = _coarse_matrix(system, factors)
    scales = _solve_coarse(coarse.T, totals)
    return np.where(np.isfinite(scales) & (scales >= 0), scales, 1.0)


def _group_sums(system: MarkedSystem, amounts: FloatArray) -> FloatArray:
    return np.asarray(np.bincount(system.group, amounts, system.n_groups), dtype=np.float64)


def _coarse_matrix(system: MarkedSystem, weights: FloatArray) -> Any:
    """Weighted system of the groups: what each owes outside itself, less what it owes whom."""
    from scipy import sparse

    n_groups, group = system.n_groups, system.group
    leaks = np.bincount(group, weights * system.leaks, n_groups)
    if n_groups == 1:
        return leaks.reshape(1, 1)
    entries = sparse.coo_array(system.inner)
    payer, payee = group[entries.coords[0]], group[entries.coords[1]]
    crossing = payer != payee
    amounts = (weights[entries.coords[0]] * entries.data)[crossing]
    payer, payee = payer[crossing], payee[crossing]
    between = sparse.coo_array((amounts, (payer, payee)), shape=(n_groups, n_groups))
    owed = leaks + np.bincount(payer, amounts, n_groups)
    return sparse.csc_array(sparse.diags_array(owed) - between)


def _solve_coarse(matrix: Any, totals: FloatArray) -> FloatArray:
    if matrix.shape == (1, 1):
        return np.asarray(totals / matrix[0, 0])
    from scipy.sparse.linalg import splu

    # A group without turnover has an empty row; its factor is of no consequence.
    diagonal = matrix.diagonal()
    if (diagonal == 0).any():
        from scipy import sparse

        matrix = matrix + sparse.diags_array((diagonal == 0).astype(np.float64))
    return np.asarray(splu(matrix.tocsc()).solve(totals))


def _groups(inner: Any, is_sparse: bool) -> tuple[int, npt.NDArray[np.intp]]:
    if not is_sparse and inner.size and _is_one_group(inner):
        return 1, np.zeros(len(inner), dtype=np.intp)
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    graph = inner if is_sparse else sparse.csr_array(inner)
    n_groups, group = connected_components(graph, directed=True, connection="strong")
    return int(n_groups), group.astype(np.intp)


def _is_one_group(inner: FloatArray) -> bool:
    """Whether everybody reaches party 0 and is reached by it; a step or two if dense."""
    for matrix in (inner, inner.T):
        reached = np.zeros(len(inner), dtype=bool)
        reached[0] = True
        while True:
            further = reached | (matrix @ reached.astype(np.float64) > 0)
            if (further == reached).all():
                break
            reached = further
        if not reached.all():
            return False
    return True


def _solve_directly(system: MarkedSystem, incomes: FloatArray) -> FloatArray:
    """Last resort for markets that mix slowly, a long chain of payers, say."""
    if not hasattr(system.inner, "tocsr"):
        return eliminate(system.inner, system.leaks, incomes, system.costs)[0]
    matrix, factorised = _factorise(system.costs, system.turned)
    factors = np.asarray(factorised.solve(incomes))
    for _ in range(3):
        # Totals first, then what is left of the residual.
        factors = factors * _group_factors(system, factors, incomes)[system.group]
        factors = factors + factorised.solve(incomes - matrix @ factors)
    return np.asarray(np.maximum(factors, 0.0))


def _solve_duals_directly(system: MarkedSystem, charges: FloatArray) -> FloatArray:
    if not hasattr(system.inner, "tocsr"):
        return eliminate(system.inner, system.leaks, charges, charges)[1]
    matrix, factorised = _factorise(system.costs, system.inner)
    duals = np.asarray(factorised.solve(charges))
    for _ in range(3):
        duals = duals + factorised.solve(charges - matrix @ duals)
    return np.asarray(np.maximum(duals, 0.0))


def _factorise(costs: FloatArray, flows: Any) -> tuple[Any, Any]:
    from scipy import sparse
    from scipy.sparse.linalg import splu

    matrix = sparse.csc_array(sparse.diags_array(costs) - flows)
    return matrix, splu(matrix)
