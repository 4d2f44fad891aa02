"""Adjustment factors under budgets: which share of the others' contribution each party buys."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import CapError, FlowsError
from ml.game.clearing.problem import Problem, checked_problem
from ml.game.clearing.solution import AdjustmentFactors
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.reading import as_floats
from ml.game.words import SOLVERS

__all__ = ["adjustment_factors", "factor_caps", "solve"]


def adjustment_factors(
    flows: Any,
    budgets: npt.ArrayLike | None,
    caps: npt.ArrayLike | None = None,
    method: str = "clearing",
    *,
    tolerance: float | None = None,
) -> AdjustmentFactors:
    """Greatest adjustment factors that leave no party paying more than its budget.

    Parameters
    ----------
    flows : float64 or scipy.sparse, shape (n, n)
        ``flows[payer, payee]`` in value units, none negative, zero diagonal.
    budgets : float64, shape (n,), or None
        b_i, the most that party i may pay net, in value units; ``np.inf`` means no limit,
        None means that nobody has one.
    caps : float64, shape (n,), optional
        Upper bounds of the factors, in [0, 1]; see `factor_caps` for wanted model values.
    method : {"clearing", "linear-programme"}
        Fictitious default (exact, fast), or (P) given to HiGHS.
    tolerance : float, optional
        Negative flows down to ``-tolerance`` are taken as rounded zeros; 1e-13 of the largest
        flow by default.

    Returns
    -------
    AdjustmentFactors
        ``.factors``, ``.rounds`` and ``.certificate``. A party whose others add nothing
        (A_i = 0, omnipotent) gets its cap: (P) says nothing about it.

    Raises
    ------
    FlowsError, NegativeFlowError, BudgetError, CapError
        With the numbers of the first thing that is wrong.

    Notes
    -----
    (P) maximises the total cost A.lambda under lambda_i A_i - sum_k lambda_k F_ki <= b_i and
    0 <= lambda <= cap. *A greatest point exists, with caps as well.* If lambda and mu are
    allowed, take their componentwise maximum; say its entry i comes from lambda. Then
    A_i lambda_i <= b_i + sum_k lambda_k F_ki <= b_i + sum_k max(lambda_k, mu_k) F_ki because no
    flow is negative; and the maximum of two numbers below a cap is below it. So allowed points
    are closed under the maximum; they form a compact set that holds 0 (no budget is negative),
    hence they have a greatest element. It maximises every objective with positive weights,
    A.lambda among them, so it is what (P) gives, with the bounds of Remark 4.3 in it: party i
    that wants no model above w_i has lambda_i <= (w_i - v(i)) / (v(N) - v(i)). It is also the
    greatest fixed point of lambda_i = min(cap_i, (b_i + sum_k lambda_k F_ki) / A_i): a clearing
    vector of Eisenberg and Noe (2001). Source: Sec. 4, (P), Remark 4.3.

    Examples
    --------
    >>> flows = np.array([[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]])
    >>> adjustment_factors(flows, [0.2, np.inf, np.inf]).factors.round(6)
    array([0.75, 1.  , 1.  ])
    """
    return solve(checked_problem(flows, budgets, caps, tolerance), method)


def solve(problem: Problem, method: str) -> AdjustmentFactors:
    """`adjustment_factors` of a problem that has been checked."""
    if method == "clearing":
        from ml.game.clearing.fictitious_default import solve_clearing

        return solve_clearing(problem)
    if method == "linear-programme":
        from ml.game.clearing.linear_programme import solve_linear_programme

        return solve_linear_programme(problem)
    raise FlowsError(f"Method is {method!r}; expected one of {', '.join(SOLVERS)}.")


def factor_caps(
    own_values: npt.ArrayLike, grand_value: float, wanted_values: npt.ArrayLike
) -> FloatArray:
    """Caps on the factors of parties that want no model above a given value.

    Parameters
    ----------
    own_values : float64, shape (n,)
        v(i).
    grand_value : float
        v(N).
    wanted_values : float64, shape (n,)
        Largest model value that each party wants; ``np.inf`` or anything from v(N) on: no cap. A
        party that wants less than its own model, such as a seller with 0, buys nothing.

    Returns
    -------
    float64, shape (n,)
        (wanted - v(i)) / (v(N) - v(i)), from 0 to 1.

    Raises
    ------
    CapError
        If a cap is negative or not a number.

    Notes
    -----
    Source: Remark 4.3.

    Examples
    --------
    >>> factor_caps([0.2, 0.5, 0.4], 1.0, [0.6, np.inf, np.inf]).round(6).tolist()
    [0.5, 1.0, 1.0]
    """
    own = as_floats(own_values, "Own values", CapError)
    wanted = as_floats(wanted_values, "Caps", CapError)
    if not (np.isfinite(own).all() and np.isfinite(grand_value)):
        raise CapError(
            f"Own values {own} or v(N) {grand_value} are no numbers; expected finite ones."
        )
    if wanted.shape != own.shape:
        raise CapError(f"Caps have shape {wanted.shape}; expected {own.shape}, one a party.")
    for party in np.flatnonzero(~(wanted >= 0)):
        raise CapError(
            f"Party {party} caps its model at {wanted[party]:g}; expected a value of at least 0, "
            f"or none.",
            party=int(party),
        )
    caps, wanted = np.ones(len(own)), np.maximum(wanted, own)
    capped = wanted < grand_value
    caps[capped] = (wanted[capped] - own[capped]) / (grand_value - own[capped])
    return caps
