"""A quadratic stand-in for a game, with flows in closed form."""

from __future__ import annotations

import numpy as np

from ml.game.estimation.size_means import by_size
from ml.game.tables.coalitions import FloatArray

__all__ = ["by_quadratic"]

_SAMPLES_A_TERM = 2.5
"""Pair terms are fitted from this many samples a term on; with fewer they fit the accidents."""


def by_quadratic(bits: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights and scatter of flows by a quadratic surrogate, its residual by means of size.

    Least squares with one term a size, a party and, if samples allow, a pair.

    Returns
    -------
    weights, scatter
        As for `by_size`.
    left_out : float64, shape (samples,)
        How far the fit would miss each sample if it were left out; NaN where it needs the sample.

    Notes
    -----
    Flows in closed form: the term of party j adds its weight a_j to F_ij, the term of {i, j}
    adds q_ij because i is there when j comes, that of {j, k} half of q_jk because k came
    first half of the time, and the sizes add (f(n) - f(1)) / (n - 1).
    """
    n_parties = bits.shape[1]
    off = 1 - np.eye(n_parties)
    first, second = np.triu_indices(n_parties, 1)
    sizes = bits.sum(axis=1).astype(np.intp)
    by_count = np.zeros(bits.shape)
    by_count[np.arange(len(bits)), sizes - 1] = 1.0
    design = np.hstack([by_count, bits])
    terms = np.zeros((2 * n_parties, n_parties, n_parties))  # flows of each term
    terms[n_parties - 1] += off / (n_parties - 1)
    terms[0] -= off / (n_parties - 1)
    party = np.arange(n_parties)
    terms[n_parties + party, :, party] = off
    if len(values) >= _SAMPLES_A_TERM * (design.shape[1] + len(first)):
        design = np.hstack([design, bits[:, first] * bits[:, second]])
        pairs = np.zeros((len(first), n_parties, n_parties))
        place = np.arange(len(first))
        for one, other in ((first, second), (second, first)):
            pairs[place, :, one] = 0.5  # half of the time the other came before
            pairs[place, other, one] = 1.0
            pairs[place, one, one] = 0.0
        terms = np.concatenate([terms, pairs])
    gram = design.T @ design
    # The terms overlap by design; a ridge far below the noise picks one of the equal fits.
    gram[np.diag_indices_from(gram)] += 1e-10 * np.trace(gram) / len(gram)
    fitted = np.linalg.solve(gram, design.T)  # (terms, samples): coefficients by value
    left = np.eye(len(values)) - design @ fitted  # residuals by value
    residuals = left @ values
    # What a fit leaves of its own samples flatters it, by their share in their own fit.
    free = np.diag(left)
    left_out = np.where(free > 1e-6, residuals / np.maximum(free, 1e-6), np.nan)
    weights, scatter = by_size(bits, residuals, left_out)
    weights = np.tensordot(fitted.T, terms, 1) + np.tensordot(left.T, weights, 1)
    return weights, scatter, left_out
