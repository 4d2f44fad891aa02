"""Solve for the parties that pay all they have, without ever subtracting."""

from __future__ import annotations

import numpy as np

from ml.game.coalitions import FloatArray

__all__ = ["eliminate"]


def eliminate(
    flows: FloatArray, leaks: FloatArray, incomes: FloatArray, charges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Factors and dual values of marked parties by elimination without subtraction.

    Parameters
    ----------
    flows : float64, shape (m, m)
        Flows among the marked parties, none negative; the diagonal is ignored.
    leaks : float64, shape (m,)
        What each marked party owes to parties that are not marked.
    incomes : float64, shape (m,)
        Budget and what the unmarked parties pay to each marked one.
    charges : float64, shape (m,)
        Right-hand side of the dual system.

    Returns
    -------
    factors, duals : float64, shape (m,)
        Solutions of A_i lambda_i - sum_k lambda_k F_ki = income_i and
        A_i y_i - sum_j F_ij y_j = charge_i, where A_i = leak_i + sum_j F_ij.

    Notes
    -----
    Taking a party out hands its leak, income and charge on along its flows, in positive
    shares (the elimination of Grassmann, Taksar and Heyman for Markov chains). Each step adds
    and multiplies non-negative numbers only, so every entry keeps full relative accuracy
    however close to singular the system is: without budgets it is singular but for the leaks.
    O(m^3). Every marked party must reach a leak along positive flows.
    """
    work = flows.copy()
    np.fill_diagonal(work, 0.0)
    leak, income, charge = leaks.copy(), incomes.copy(), charges.copy()
    n_marked = len(leak)
    costs = np.empty(n_marked)
    for last in range(n_marked - 1, -1, -1):
        costs[last] = leak[last] + work[last, :last].sum()
        if last == 0 or costs[last] == 0:
            continue
        payments = work[:last, last] / costs[last]
        work[:last, :last] += payments[:, None] * work[last, :last]
        leak[:last] += payments * leak[last]
        charge[:last] += payments * charge[last]
        income[:last] += work[last, :last] * (income[last] / costs[last])
        # Flows from a party back to itself cancel on both sides of its equation.
        work[range(last), range(last)] = 0.0
    factors, duals = np.empty(n_marked), np.empty(n_marked)
    for party in range(n_marked):
        factors[party] = (income[party] + factors[:party] @ work[:party, party]) / costs[party]
        duals[party] = (charge[party] + work[party, :party] @ duals[:party]) / costs[party]
    return factors, duals
