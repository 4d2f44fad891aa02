"""Flows from means by size: every evaluated coalition informs all n (n - 1) flows at once."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from ml.game.tables.coalitions import FloatArray

__all__ = [
    "by_size",
    "comes_up_again",
    "left_out_of_sizes",
    "mirror_places",
    "of_pairs",
    "step_variance",
    "unseen_variance",
]


def by_size(
    bits: FloatArray,
    values: FloatArray,
    left_out: FloatArray | None = None,
    *,
    is_rest: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Weight of each sampled value in each flow, stratified by size, and how flows err together.

    Parameters
    ----------
    bits : float64 of 0 and 1, shape (samples, n)
        Distinct coalitions; the grand one and the singletons must be among them.
    values : float64, shape (samples,)
        Their values; only for the size of the error.
    left_out : float64, shape (samples,), optional
        How far a surrogate would have missed each sample had it not been fitted to it; NaN
        where that cannot be known. The errors are then judged by these.
    is_rest : bool
        Whether the values are what is left of a game once it was predicted. A difference that no
        draw shows is then zero, as predicted, and as uncertain as one draw.

    Returns
    -------
    weights : float64, shape (samples, n, n)
        Flows are the values times these. Rows sum to v(N) - v(i). Exact once every coalition
        was evaluated.
    scatter : float64, shape (rows, n, n)
        Errors of all flows are a sum of these rows, each times a standard normal number: one row
        a sampled coalition, because all flows that see it share its deviation, and one a payee.
        A coalition and the one of everybody else deviate together: both rows of such a pair are
        mixtures, by the share of deviations that pairs have with opposite signs.

    Notes
    -----
    F_ij = (v(N) - v(i)) / (n - 1) + sum over sizes s = 2 .. n - 1 of
    (m_s(i, j) - m_s(i)) / (n - s), where m_s is the mean over the coalitions of that size that
    hold i and j, or i. Of those that hold i the share (s - 1) / (n - 1) holds j too, so the
    difference is (n - s) / (n - 1) times that of the means with j and without. Each of the two
    is a sample of its own, drawn without replacement, and that gives the errors. Where one of
    the two was never drawn the difference is that of all coalitions with j and without, i or not,
    which is as uncertain as the difference of two draws, and wrong in the same direction for all
    who pay j.
    """
    n_parties = bits.shape[1]
    sizes = bits.sum(axis=1).astype(np.intp)
    weights = np.zeros((len(bits), n_parties, n_parties))
    scatter = np.zeros_like(weights)
    missing = np.zeros((n_parties, n_parties))
    spreads = _spreads(sizes, values, left_out)
    for size in range(2, n_parties):
        chosen = sizes == size
        with_both, without, unsure, gaps = _with_less_without(bits[chosen], size, is_rest)
        weights[chosen] = (with_both - without) / (n_parties - 1)
        scatter[chosen] = np.sqrt(spreads[size]) * unsure / (n_parties - 1)
        missing += spreads[size] * gaps / (n_parties - 1) ** 2
    _pair_rows(scatter, bits, sizes, values if left_out is None else left_out, spreads)
    off = 1 - np.eye(n_parties)
    # Row sums are known, so sampled coalitions must not change them: subtract each row's mean.
    weights -= (weights.sum(axis=2) / (n_parties - 1))[:, :, None] * off
    weights[sizes == n_parties] += off / (n_parties - 1)
    for party in range(n_parties):
        weights[(sizes == 1) & (bits[:, party] == 1), party] -= off[party] / (n_parties - 1)
    payees = np.zeros((n_parties, n_parties, n_parties))
    places = np.arange(n_parties)
    payees[places, :, places] = np.sqrt(missing.T)
    # Scaled up first, because subtracting each row's mean below lowers the variance.
    rows = np.concatenate([scatter, payees * np.sqrt((n_parties - 1) / max(n_parties - 2, 1))])
    rows -= (rows.sum(axis=2) / (n_parties - 1))[:, :, None] * off
    return weights, rows[np.abs(rows).max(axis=(1, 2)) > 0]


def left_out_of_sizes(bits: FloatArray, values: FloatArray) -> FloatArray:
    """How far the mean of the others of its size misses each value, shape (samples,).

    NaN where no other coalition of the size was evaluated, and for everybody together.
    """
    sizes = bits.sum(axis=1).astype(np.intp)
    counts = np.bincount(sizes).astype(np.float64)[sizes]
    means = np.bincount(sizes, values)[sizes] / counts
    return np.where(counts > 1, (values - means) * counts / np.maximum(counts - 1, 1), np.nan)


def mirror_places(bits: FloatArray) -> npt.NDArray[np.intp]:
    """Where in the sample the coalition of everybody else is, -1 if nowhere, shape (samples,)."""
    packed = np.packbits(bits.astype(bool), axis=1)
    places = {row.tobytes(): place for place, row in enumerate(packed)}
    others = np.packbits(~bits.astype(bool), axis=1)
    return np.array([places.get(row.tobytes(), -1) for row in others], dtype=np.intp)


def comes_up_again(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which values come up more than once, rounding apart, shape (samples,)."""
    which, counts = _distinct(values)
    return np.asarray(counts[which] > 1)


def step_variance(values: FloatArray, n_draws: float) -> float:
    """Variance by the rule of succession of steps that no draw has shown; 0 where none are.

    Where values come up again and again a game goes by steps, as a majority does, and a sample
    may agree wholly with a simpler game of steps. So one more draw is taken to be one step off. A
    step is the mean gap between the values, times the share of those that came up more than once.
    """
    which, counts = _distinct(values)
    if len(counts) < 2:
        return 0.0
    gap = float(np.ptp(values)) / (len(counts) - 1)
    repeated = float((counts[which] > 1).mean())
    chance = 1 / (n_draws + 2)
    return (gap * repeated) ** 2 * chance * (1 - chance)


def _distinct(values: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which of the distinct values each one is, and how often each comes up."""
    unit = 1e-9 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    _, which, counts = np.unique(np.round(values / unit), return_inverse=True, return_counts=True)
    return which, counts


def of_pairs(bits: FloatArray, values: FloatArray) -> FloatArray:
    """Half of v(C) - v(N without C) where both are in the sample, and v(C) elsewhere."""
    mirror = mirror_places(bits)
    return np.where(mirror >= 0, (values - values[mirror]) / 2, values)


def _pair_rows(
    scatter: FloatArray,
    bits: FloatArray,
    sizes: npt.NDArray[np.intp],
    values: FloatArray,
    spreads: FloatArray,
) -> None:
    """Mix the rows of each pair of coalitions, in place, as far as they deviate together."""
    mirror = mirror_places(bits)
    first = np.flatnonzero((mirror > np.arange(len(bits))) & (sizes > 1))
    first = first[sizes[mirror[first]] > 1]
    second = mirror[first]
    means = np.bincount(sizes, np.nan_to_num(values)) / np.maximum(np.bincount(sizes), 1)
    deviations = np.nan_to_num((values - means[sizes]) / np.sqrt(spreads[sizes] + 1e-300))
    opposite = ((deviations[first] - deviations[second]) ** 2).sum()
    alike = ((deviations[first] + deviations[second]) ** 2).sum()
    # One more pair of which nothing is known.
    share = (opposite + 1.0) / (opposite + alike + 2.0)
    together, apart = scatter[first] + scatter[second], scatter[first] - scatter[second]
    scatter[first], scatter[second] = np.sqrt(1 - share) * together, np.sqrt(share) * apart


def unseen_variance(values: FloatArray, n_drawn: int) -> float:
    """Variance by the rule of succession: what no draw has shown may still exist.

    An event that k draws did not show has chance 1 / (k + 2); it is taken to be as large as
    the range of all values.
    """
    chance = 1 / (n_drawn + 2)
    return float(np.ptp(values)) ** 2 * chance * (1 - chance)


def _spreads(
    sizes: npt.NDArray[np.intp], values: FloatArray, left_out: FloatArray | None
) -> FloatArray:
    """Variance of the values of each size, shape (n + 1,), never zero.

    Each size is given one more sample, with the variance of the sizes near it; and those are
    given one more, with `unseen_variance`. So a size whose few samples happen to be equal, or
    that was not drawn at all, is not taken to be known exactly.
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
    bits: FloatArray, size: int, is_rest: bool
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Of one size: each sample's weight in the means with and without j, and in their errors.

    Shapes (samples, n, n) three times and (n, n): the last says as uncertain as how many draws a
    difference is of which a mean was never drawn.
    """
    n_parties = bits.shape[1]
    off = 1 - np.eye(n_parties)
    holds_both = bits[:, :, None] * bits[:, None, :] * off
    holds_one = bits[:, :, None] * (1 - bits[:, None, :])
    together, apart = holds_both.sum(axis=0), holds_one.sum(axis=0)
    drawn = (together > 0) & (apart > 0)
    with_both = holds_both * drawn / np.maximum(together, 1)
    without = holds_one * drawn / np.maximum(apart, 1)
    if not is_rest:
        # Where one of the two was never drawn: what j makes of all coalitions of the size.
        holding, lacking = bits.sum(axis=0), (1 - bits).sum(axis=0)  # (n,)
        either = ~drawn & (holding > 0) & (lacking > 0) & (off > 0)
        with_both += (bits / np.maximum(holding, 1))[:, None, :] * either
        without += ((1 - bits) / np.maximum(lacking, 1))[:, None, :] * either
    most_together, most_apart = comb(n_parties - 2, size - 2), comb(n_parties - 2, size - 1)
    # A group of coalitions that was drawn completely has no sampling error.
    left_together = np.sqrt(np.maximum(1 - together / most_together, 0.0))
    left_apart = np.sqrt(np.maximum(1 - apart / most_apart, 0.0))
    unsure = holds_both / np.maximum(together, 1) * left_together
    unsure -= holds_one / np.maximum(apart, 1) * left_apart
    gaps = (1.0 if is_rest else 2.0) * ~drawn * off
    return with_both, without, unsure, gaps
