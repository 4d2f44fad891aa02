"""Flows from means by size: every evaluated coalition informs all n (n - 1) flows at once."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from ml.game.tables.coalitions import FloatArray

__all__ = ["flows_by_size", "on_row_sums", "unseen_variance"]


def flows_by_size(
    bits: FloatArray, values: FloatArray, left_out: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Flows and standard errors from values of sampled coalitions, stratified by size.

    Parameters
    ----------
    bits : float64 of 0 and 1, shape (samples, n)
        Distinct coalitions; the grand one and the singletons must be among them.
    values : float64, shape (samples,)
        Their values, or what a surrogate leaves of them.
    left_out : float64, shape (samples,), optional
        How far a surrogate would have missed each sample had it not been fitted to it; NaN
        where that cannot be known. The errors are then judged by these.

    Returns
    -------
    flows, standard_errors : float64, shape (n, n)
        Rows of ``flows`` sum to v(N) - v(i). Both are exact, with errors of zero, once every
        coalition was evaluated.

    Notes
    -----
    F_ij = (v(N) - v(i)) / (n - 1) + sum over sizes s = 2 .. n - 1 of
    (m_s(i, j) - m_s(i)) / (n - s), where m_s is the mean over the coalitions of that size that
    hold i and j, or i. Of those that hold i the share (s - 1) / (n - 1) holds j too, so the
    difference is (n - s) / (n - 1) times that of the means with j and without. Each of the two
    is a sample of its own, drawn without replacement, and that gives the errors. Where one of
    the two was never drawn the difference is taken to be zero, as uncertain as one draw.
    """
    n_parties = bits.shape[1]
    sizes = bits.sum(axis=1).astype(np.intp)
    own = bits[sizes == 1].T @ values[sizes == 1]
    grand = float(values[sizes == n_parties][0])
    flows = np.zeros((n_parties, n_parties))
    variances = np.zeros((n_parties, n_parties))
    spreads = _spreads(sizes, values, left_out)
    for size in range(2, n_parties):
        inside, mine = bits[sizes == size], values[sizes == size]
        difference, terms = _with_less_without(inside, mine, size)
        flows += difference / (n_parties - 1)
        variances += spreads[size] * terms / (n_parties - 1) ** 2
    flows += ((grand - own) / (n_parties - 1))[:, None]
    np.fill_diagonal(variances, 0.0)
    return on_row_sums(flows, grand - own), np.sqrt(variances)


def on_row_sums(flows: FloatArray, row_sums: FloatArray) -> FloatArray:
    """Nearest flows whose rows sum to v(N) - v(i), eq. (4), with a zero diagonal."""
    n_parties = len(flows)
    flows = flows.copy()
    np.fill_diagonal(flows, 0.0)
    flows += ((row_sums - flows.sum(axis=1)) / (n_parties - 1))[:, None]
    np.fill_diagonal(flows, 0.0)
    return flows


def unseen_variance(values: FloatArray, n_drawn: int) -> float:
    """Variance by the rule of succession, if what was not seen in any draw may yet come.

    An event that k draws did not show has chance 1 / (k + 2); it is taken to be as large as
    the range of all values.
    """
    chance = 1 / (n_drawn + 2)
    return float(np.ptp(values)) ** 2 * chance * (1 - chance)


def _spreads(
    sizes: npt.NDArray[np.intp], values: FloatArray, left_out: FloatArray | None
) -> FloatArray:
    """Variance of the values of each size, shape (n + 1,), none too sure of itself.

    Each size counts one sample more, which deviates as those of the sizes near it do, and these
    one more of the variance that a sample like none before would have. So a size that happens
    to show no variance, or was not drawn, is not taken for exact.
    """
    n_parties = int(sizes.max())
    squares, counts = np.zeros(n_parties + 1), np.zeros(n_parties + 1)
    for size in range(2, n_parties):
        if left_out is None:
            mine = values[sizes == size]
            counts[size] = max(len(mine) - 1, 0)
            squares[size] = mine.var() * len(mine) if len(mine) else 0.0
        else:
            known = left_out[sizes == size]
            known = known[~np.isnan(known)]
            squares[size], counts[size] = known @ known, len(known)
    n_drawn = int(((sizes > 1) & (sizes < n_parties)).sum())
    unseen = unseen_variance(values, n_drawn)
    if squares.sum() <= 1e-24 * unseen:  # rounding: no size has shown any variance
        return np.full(n_parties + 1, unseen)
    places = np.arange(n_parties + 1)
    nearness = 0.5 ** np.abs(places[:, None] - places)
    nearby = (nearness @ squares + unseen) / (nearness @ counts + 1)
    return np.asarray((squares + nearby) / (counts + 1))


def _with_less_without(
    bits: FloatArray, values: FloatArray, size: int
) -> tuple[FloatArray, FloatArray]:
    """Mean value with i and j less that with i and not j, and its variance terms, (n, n)."""
    n_parties = bits.shape[1]
    together = bits.T @ bits  # (n, n) coalitions with both
    sums = (bits * values[:, None]).T @ bits
    apart = np.diag(together)[:, None] - together
    apart_sums = np.diag(sums)[:, None] - sums
    difference = sums / np.maximum(together, 1) - apart_sums / np.maximum(apart, 1)
    difference[(together == 0) | (apart == 0)] = 0.0
    terms = np.zeros_like(together)
    for count, most in (
        (together, comb(n_parties - 2, size - 2)),
        (apart, comb(n_parties - 2, size - 1)),
    ):
        terms += np.maximum(1 - count / most, 0.0) / np.maximum(count, 1)
    return difference, terms
