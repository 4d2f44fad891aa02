"""Check that adjustment factors are the greatest possible, knowing nothing of how they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.game.coalitions import FloatArray

__all__ = ["Certificate", "check_certificate"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Proof that adjustment factors solve (P): dual values of the budget constraints."""

    dual_values: FloatArray
    """y, shape (n,), not negative: the worth of one more unit of each party's budget."""
    gap: float
    """Duality gap in value units: an upper bound on what all parties together could still
    pay more."""
    relative_gap: float
    """Gap over the total cost that nobody limits, sum of v(N) - v(i)."""


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
        Relative to the largest cost, sum of v(N) - v(i).

    Returns
    -------
    bool
        False if a factor leaves [0, cap], a budget is exceeded, a dual value is negative or
        the duality gap is not zero: lambda = 0 without budgets, a fixed point but not the
        greatest one, is refused.

    Notes
    -----
    O(n^2), or the number of flows if sparse. With A_i the row sums, M = diag(A) - F^T, any
    y >= 0 bounds every allowed lambda: A.lambda <= b.y + sum_i cap_i max(0, A_i - (M^T y)_i).
    Equality proves optimality, and since all allowed points lie below the greatest one, a gap
    of g leaves no party's cost more than g below it. Source: (P) and its dual.
    """
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
    scale = float(costs.sum())
    slack = tolerance * scale
    if (factors < -tolerance).any() or (factors > limits + tolerance).any():
        return False
    revenues = np.asarray(flows.T @ factors).ravel()
    if (factors * costs - revenues > budgets + slack).any():
        return False
    if (duals < 0).any() or (duals[np.isinf(budgets)] > 0).any():
        return False
    bounded = np.isfinite(budgets)
    reduced = costs - costs * duals + np.asarray(flows @ duals).ravel()
    upper = budgets[bounded] @ duals[bounded] + limits @ np.maximum(reduced, 0.0)
    return bool(upper - costs @ factors <= slack)
