"""Solve for the parties that pay all they have, without ever subtracting."""

from __future__ import annotations

import numpy as np

from ml.game.tables.coalitions import FloatArray

__all__ = ["eliminate"]


def eliminate(
    flows: FloatArray, leaks: FloatArray, incomes: FloatArray, charges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Factors and dual values of marked parties by elimination without subtraction.

    Parameters
    ----------
    flows : float64, shape (..., m, m)
        Flows among the marked parties, none negative; the diagonal is ignored. Leading axes
        are games solved side by side.
    leaks : float64, shape (..., m)
        What each marked party owes to parties that are not marked.
    incomes : float64, shape (..., m)
        Budget and what the unmarked parties pay to each marked one.
    charges : float64, shape (..., m)
        Right-hand side of the dual system.

    Returns
    -------
    factors, duals : float64, shape (..., m)
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
    n_marked = work.shape[-1]
    diagonal = np.arange(n_marked)
    work[..., diagonal, diagonal] = 0.0
    leak, income, charge = leaks.copy(), incomes.copy(), charges.copy()
    costs = np.empty_like(leak)
    for last in range(n_marked - 1, -1, -1):
        onward = work[..., last, :last]
        costs[..., last] = leak[..., last] + onward.sum(axis=-1)
        paid = work[..., :last, last] / costs[..., last, None]
        work[..., :last, :last] += paid[..., :, None] * onward[..., None, :]
        leak[..., :last] += paid * leak[..., last, None]
        charge[..., :last] += paid * charge[..., last, None]
        income[..., :last] += onward * (income[..., last] / costs[..., last])[..., None]
        # What comes back to the party that paid it is on both sides of its equation.
        work[..., diagonal[:last], diagonal[:last]] = 0.0
    factors, duals = np.empty_like(leak), np.empty_like(leak)
    for party in range(n_marked):
        received = (factors[..., :party] * work[..., :party, party]).sum(axis=-1)
        owed = (work[..., party, :party] * duals[..., :party]).sum(axis=-1)
        factors[..., party] = (income[..., party] + received) / costs[..., party]
        duals[..., party] = (charge[..., party] + owed) / costs[..., party]
    return factors, duals
