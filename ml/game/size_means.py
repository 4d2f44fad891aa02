"""Flows from means by size: every evaluated coalition informs all n (n - 1) flows at once."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from ml.game.coalitions import FloatArray

__all__ = ["flows_by_size", "on_row_sums"]


def flows_by_size(
    bits: FloatArray, values: FloatArray, lost_degrees: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Flows and standard errors from values of sampled coalitions, stratified by size.

    Parameters
    ----------
    bits : float64 of 0 and 1, shape (samples, n)
        Distinct coalitions; the grand one and the singletons must be among them.
    values : float64, shape (samples,)
        Their values, or what a surrogate leaves of them.
    lost_degrees : int
        Parameters of the surrogate that were fitted to the same samples.

    Returns
    -------
    flows, standard_errors : float64, shape (n, n)
        Rows of ``flows`` sum to v(N) - v(i). Both are exact, with errors of zero, once every
        coalition was evaluated.

    Notes
    -----
    F_ij = (v(N) - v(i)) / (n - 1) + sum over sizes s = 2 .. n - 1 of
    (m_s(i, j) - m_s(i)) / (n - s), where m_s is the mean over the sampled coalitions of that
    size that hold i and j, or i. Errors: the difference of two means of a finite population
    drawn without replacement.
    """
    n_parties = bits.shape[1]
    sizes = bits.sum(axis=1).astype(np.intp)
    own = bits[sizes == 1].T @ values[sizes == 1]
    grand = float(values[sizes == n_parties][0])
    flows = np.zeros((n_parties, n_parties))
    variances = np.zeros((n_parties, n_parties))
    n_inner = int(((sizes > 1) & (sizes < n_parties)).sum())
    inflation = n_inner / max(n_inner - lost_degrees, 1) if n_inner else 1.0
    spreads = _spreads(sizes, values, n_parties)
    for size in range(2, n_parties):
        inside, mine = bits[sizes == size], values[sizes == size]
        share, variance = _one_size(inside, mine, size, spreads[size] * inflation)
        flows += share / (n_parties - size)
        variances += variance / (n_parties - size) ** 2
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


def _spreads(sizes: npt.NDArray[np.intp], values: FloatArray, n_parties: int) -> FloatArray:
    """Variance of the values of each size, shape (n + 1,).

    A size with less than two samples says nothing of its own; it is taken to vary as much as
    the others do on average, or as all samples do if no size has two.
    """
    spreads = np.full(n_parties + 1, np.nan)
    for size in range(2, n_parties):
        if (sizes == size).sum() > 1:
            spreads[size] = values[sizes == size].var(ddof=1)
    known = spreads[~np.isnan(spreads)]
    spreads[np.isnan(spreads)] = known.mean() if len(known) else values.var(ddof=1)
    return spreads


def _one_size(
    bits: FloatArray, values: FloatArray, size: int, spread: float
) -> tuple[FloatArray, FloatArray]:
    n_parties = bits.shape[1]
    together = bits.T @ bits  # (n, n) coalitions with both
    sums = (bits * values[:, None]).T @ bits
    alone, alone_sums = np.diag(together), np.diag(sums)
    overall = values.mean() if len(values) else 0.0
    mean_of = np.where(alone > 0, alone_sums / np.maximum(alone, 1), overall)
    pair_mean = np.where(together > 0, sums / np.maximum(together, 1), mean_of[:, None])
    share = pair_mean - mean_of[:, None]
    apart = alone[:, None] - together
    with_both, with_one = comb(n_parties - 2, size - 2), comb(n_parties - 2, size - 1)
    of_both = np.maximum(1 - together / with_both, 0.0) / np.maximum(together, 1)
    of_one = np.maximum(1 - apart / with_one, 0.0) / np.maximum(apart, 1)
    p = np.where(alone[:, None] > 0, together / np.maximum(alone[:, None], 1), 0.0)
    return share, (1 - p) ** 2 * spread * (of_both + of_one)
