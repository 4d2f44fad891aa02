"""Several estimates of one game, averaged by how well each foretells values left out."""

from __future__ import annotations

import numpy as np

from ml.game.tables.coalitions import FloatArray

__all__ = ["average"]

_ROUNDING = 1e-9
"""Of the largest miss: those who miss less than this are equally good."""


def average(
    estimates: list[tuple[FloatArray, FloatArray, FloatArray]], bits: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Weights and scatter of the average of several estimates from one sample.

    Parameters
    ----------
    estimates : list of (weights, scatter, left_out)
        Weights of samples in flows, shape (samples, n, n); how the flows err, shape (rows, n, n);
        how far each sample is missed if it is left out, shape (samples,), NaN where unknown.
        The first one knows all of them.
    bits : float64 of 0 and 1, shape (samples, n)
        The sample. Parties alone and all together are in every sample: their misses do not count.

    Returns
    -------
    weights : float64, shape (samples, n, n)
    scatter : float64, shape (rows, n, n)
    missed : float
        Mean squared miss of a coalition that is left out, averaged with the same shares.

    Notes
    -----
    Shares go by the inverse fourth power of the root mean square miss: one that misses three
    times as much has about 1 %. So a surrogate that holds for the game is left alone, and on games
    of steps, where none does, they share. All err on the same sample, so averaging need not gain:
    the variance claimed is the average one, which bounds that of the average whatever the
    estimates have in common, because squares are convex.
    """
    sizes = bits.sum(axis=1)
    drawn = (sizes > 1) & (sizes < bits.shape[1])
    misses = np.array([_root_mean_square(left_out[drawn]) for *_, left_out in estimates])
    misses = np.maximum(misses, _ROUNDING * misses[np.isfinite(misses)].max() + 1e-300)
    shares = (misses / misses.min()) ** -4.0
    shares /= shares.sum()
    weights = np.zeros_like(estimates[0][0])
    rows = []
    for share, (found, scatter, _) in zip(shares, estimates, strict=True):
        weights += share * found
        rows.append(np.sqrt(share) * scatter)
    known = shares > 0
    return weights, np.concatenate(rows), float(shares[known] @ misses[known] ** 2)


def _root_mean_square(missed: FloatArray) -> float:
    """Of the known ones; infinite where none is known."""
    known = missed[~np.isnan(missed)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else np.inf
