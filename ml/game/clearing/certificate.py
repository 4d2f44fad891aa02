"""Check that adjustment factors are the greatest possible, knowing nothing of how they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.tables.coalitions import FloatArray

__all__ = ["Certificate", "check_certificate", "gap_rounding"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Proof that adjustment factors solve (P): dual values of the budget constraints."""

    dual_values: FloatArray
    """y, shape (n,), not negative: the worth of one more unit of each party's budget."""
    gap: float
    """Duality gap in value units: an upper bound on what all parties together could still
    pay more."""
    relative_gap: float
    """Gap over the total cost without limits, sum of v(N) - v(i)."""


def check_certificate(
    flows: Any,
    budgets: npt.ArrayLike,
    factors: npt.ArrayLike,
    certificate: Certificate,
    caps: npt.ArrayLike | None = None,
    *,
    tolerance: float = 1e-9,
) -> bool:
    """Whether a certificate proves that factors are the greatest that budgets allow.

    Parameters
    ----------
    flows : float64 or scipy.sparse, shape (n, n)
        ``flows[payer, payee]``, none negative.
    budgets : float64, shape (n,)
        Value units; ``np.inf`` for no limit.
    factors : float64, shape (n,)
        The adjustment factors to judge.
    certificate : Certificate
        Only its ``dual_values`` are believed to be what they are; its gap is computed anew.
    caps : float64, shape (n,), optional
        Upper bounds of the factors; 1 where not given.
    tolerance : float
        Of the duality gap, relative to the largest total cost, sum of v(N) - v(i); of a factor;
        and of what a party pays beyond or short of its means, relative to v(N) - v(i).

    Returns
    -------
    bool
        False if a flow is negative or no number, a factor leaves [0, cap], a budget is exceeded,
        a party below its cap keeps something back, a dual value is negative or the duality gap
        is not zero: lambda = 0 without budgets, a fixed point but not the greatest one, is
        refused.

    Notes
    -----
    O(n^2), or the number of flows if sparse. With A_i the row sums, M = diag(A) - F^T, any
    y >= 0 bounds every allowed lambda: A.lambda <= b.y + sum_i cap_i max(0, A_i - (M^T y)_i).
    Equality proves optimality, and since all allowed points lie below the greatest one, a gap
    of g leaves no party's cost more than g below it. That says little of a party whose whole
    cost is smaller than g; so each party is also judged by its own measure. Parties below
    their cap spend all they have, and from each of them money can flow on to one that is at
    its cap: the equations of the former then have one solution only. Source: (P) and its dual.
    """
    if hasattr(flows, "tocsr"):
        flows = flows.tocsr(copy=True)
        flows.sum_duplicates()
        entries = flows.data
    else:
        flows = entries = np.asarray(flows, dtype=np.float64)
    least, largest = entries.min(initial=0.0), entries.max(initial=0.0)
    if not (np.isfinite(largest) and least >= -1e-13 * largest):  # rounding may be below 0
        return False
    n_parties = int(flows.shape[0])
    factors = np.asarray(factors, dtype=np.float64)
    budgets = np.asarray(budgets, dtype=np.float64)
    duals = np.asarray(certificate.dual_values, dtype=np.float64)
    limits = np.ones(n_parties) if caps is None else np.asarray(caps, dtype=np.float64)
    expected = (n_parties,)
    if not factors.shape == budgets.shape == duals.shape == limits.shape == expected:
        return False
    if not (np.isfinite(factors).all() and np.isfinite(duals).all()) or np.isnan(budgets).any():
        return False
    costs = np.asarray(flows.sum(axis=1), dtype=np.float64).ravel()
    if (factors < -tolerance).any() or (factors > limits + tolerance).any():
        return False
    kept_back = budgets + np.asarray(flows.T @ factors).ravel() - factors * costs
    below = (factors < limits - tolerance) & (costs > 0)
    if (kept_back < -tolerance * costs).any() or (kept_back > tolerance * costs)[below].any():
        return False
    if not _reaching(flows, ~below).all():
        return False
    if (duals < 0).any() or (duals[np.isinf(budgets)] > 0).any():
        return False
    bounded = np.isfinite(budgets)
    reduced = costs - costs * duals + np.asarray(flows @ duals).ravel()
    upper = budgets[bounded] @ duals[bounded] + limits @ np.maximum(reduced, 0.0)
    allowed = tolerance * float(costs.sum()) + gap_rounding(costs, duals)
    return bool(upper - costs @ factors <= allowed)


def gap_rounding(costs: FloatArray, duals: FloatArray) -> float:
    """How far rounding alone may move a duality gap.

    Where next to nothing leaks out of the parties that pay all they have, dual values reach 1e7
    and more, and each stands in a difference of terms that large. At most a millionth of the
    total cost, so that no dual values are large enough to excuse a wrong answer.
    """
    rounding = 8 * float(np.finfo(np.float64).eps) * float(costs @ duals)
    return min(rounding, 1e-6 * float(costs.sum()))


def _reaching(flows: Any, goal: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Parties from which money can flow to the goal; each flow is looked at once."""
    is_sparse = hasattr(flows, "tocsr")
    by_payee = flows.T.tocsr() if is_sparse else flows.T
    reached, frontier = goal.copy(), np.flatnonzero(goal)
    while len(frontier):
        paying = by_payee[frontier]
        if is_sparse:
            payers = np.unique(paying.indices[paying.data > 0])
        else:
            payers = np.flatnonzero((paying > 0).any(axis=0))
        frontier = payers[~reached[payers]]
        reached[frontier] = True
    return reached
