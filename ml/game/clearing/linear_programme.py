"""(P) given to scipy's HiGHS: the independent second way to the adjustment factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.errors import BrokenInvariant
from ml.game.clearing.certificate import Certificate
from ml.game.clearing.fictitious_default import certificate_of
from ml.game.clearing.problem import Problem
from ml.game.clearing.solution import AdjustmentFactors

__all__ = ["solve_linear_programme"]


def solve_linear_programme(problem: Problem) -> AdjustmentFactors:
    """Adjustment factors by the linear programme (P); dual values are HiGHS's own."""
    from scipy import sparse
    from scipy.optimize import linprog

    costs = problem.costs
    scale = float(costs.max(initial=0.0)) or 1.0
    paying = np.where(costs > 0, costs, scale)
    # In what each party pays, not in factors, and in units of the largest cost: HiGHS's tolerances
    # are absolute, and factors of parties whose costs are far below the others' would drown.
    shares = sparse.csr_array(problem.flows).T.tocsc()
    shares.data /= np.repeat(paying, np.diff(shares.indptr))
    matrix: Any = sparse.eye_array(len(costs)) - shares
    result = linprog(
        -np.sign(costs),
        A_ub=matrix.tocsc() if hasattr(problem.flows, "tocsr") else matrix.toarray(),
        # A budget above a party's whole cost never binds; clipping keeps infinity out of HiGHS.
        b_ub=np.minimum(problem.budgets, costs * problem.caps) / scale,
        bounds=np.column_stack([np.zeros(len(costs)), problem.caps * paying / scale]),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.x is None:
        raise BrokenInvariant(
            f"HiGHS found no adjustment factors ({result.message}); expected an optimum, "
            "because lambda = 0 is always allowed."
        )
    factors = np.clip(result.x * scale / paying, 0.0, problem.caps)
    factors[costs == 0] = problem.caps[costs == 0]
    duals = np.maximum(-np.asarray(result.ineqlin.marginals), 0.0)
    # Where clipping bound in place of the real budget the cap binds as well: no dual needed.
    duals[np.isinf(problem.budgets)] = 0.0
    certificate: Certificate = certificate_of(problem, factors, duals)
    return AdjustmentFactors(factors, int(result.nit), certificate, "linear-programme")
