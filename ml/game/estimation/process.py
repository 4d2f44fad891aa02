"""A Gaussian process over coalitions: flows, how sure they are together, what to evaluate next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.game.estimation.kernels import ProductKernel, white_kernel
from ml.game.estimation.size_means import comes_up_again, mirror_places, step_variance
from ml.game.tables.coalitions import FloatArray

__all__ = [
    "FittedProcess",
    "GameKernel",
    "caution",
    "fit_process",
    "left_out_of_process",
    "surprise",
]

_SEARCHED = 400
"""Samples on which a kernel is searched; more of them settle it and take long."""

_KERNELS = 8
"""Kernels that are averaged, drawn around the likeliest one, where few samples leave several."""

_DRAWN = 4
"""Times as many are drawn, of which the likely ones stay."""

_LARGEST_ASYMMETRY = 1.9
"""Below 2, where the 2 x 2 matrices would stop being covariances."""

_SHARES = ((2.0, 3.0), (-3.0, 3.0), (-5.0, 3.0), (-8.0, 5.0))
"""Normal priors of the log odds of the odd share, and of the logs of the linear, the sizes' and the
white share: mean and spread."""

_LEAST_OF_PAYOFFS = 0.01
"""Of the flows' variance: below it payoffs are known so well that their moves are rounding."""

_RIDGE = 1e-9
"""Least share of values that have nothing to do with each other; keeps systems solvable."""


@dataclass(frozen=True, eq=False)
class GameKernel:
    """Covariance of a random game: a product kernel, a part linear in the parties, white noise."""

    smooth: ProductKernel
    linear: float
    """Variance of a party's own constant contribution."""
    sizes: float
    """Variance of what all coalitions of one size have in common."""
    white: float
    """Variance of what each coalition is worth by itself, whatever the others are."""

    def matrix(self, bits: FloatArray, others: FloatArray) -> FloatArray:
        """Covariance of the values of two lists of coalitions, white part left out."""
        matrix = self.smooth.matrix(bits, others)
        matrix += self.linear * (bits - 0.5) @ (others - 0.5).T
        return matrix + self.sizes * _same_size(bits, others)

    def flows(self, bits: FloatArray) -> FloatArray:
        """Covariance of each flow with the values of coalitions, shape (samples, n, n)."""
        n_parties = bits.shape[1]
        flows = self.smooth.flows(bits) + self.white * white_kernel(n_parties).flows(bits)
        counts, off = bits.sum(axis=1), 1 - np.eye(n_parties)
        flows += self.linear * (bits - 0.5)[:, None, :] * off
        # What sizes add to each flow is (f(n) - f(1)) / (n - 1).
        grown = ((counts == n_parties) * 1.0 - (counts == 1)) / (n_parties - 1)
        flows += self.sizes * grown[:, None, None] * off
        return flows

    def flow_covariance(self) -> FloatArray:
        """Covariance of the flows with each other, shape (n * n, n * n)."""
        n_parties = len(self.smooth.absent)
        covariance = self.smooth.flow_covariance()
        covariance += self.white * white_kernel(n_parties).flow_covariance()
        off = 1 - np.eye(n_parties)
        covariance += self.linear * np.einsum("ij,kl,jl->ijkl", off, off, np.eye(n_parties))
        covariance += 2 * self.sizes / (n_parties - 1) ** 2 * np.einsum("ij,kl->ijkl", off, off)
        return covariance.reshape(n_parties**2, n_parties**2)


@dataclass(frozen=True, eq=False)
class FittedProcess:
    """What one kernel makes of the evaluated coalitions."""

    kernel: GameKernel
    bits: FloatArray
    inverse: FloatArray
    """P: inverse covariance of the samples with their common mean taken out."""
    mean_weights: FloatArray
    """Of each sampled value in the common mean, by generalised least squares, shape (samples,)."""
    mean_variance: float
    """Of the common mean, over the scale of the process."""
    variance: float
    """Scale of the process; few samples know it badly, which makes it larger."""
    weights: FloatArray
    """Of each sampled value in each flow, shape (samples, n, n)."""
    seen: FloatArray
    """Covariance of each flow with each sampled value, shape (samples, n, n)."""

    def flow_covariance(self) -> FloatArray:
        """Posterior covariance of the flows, shape (n * n, n * n)."""
        n_flows = self.bits.shape[1] ** 2
        seen, weights = self.seen.reshape(-1, n_flows), self.weights.reshape(-1, n_flows)
        return self.variance * (self.kernel.flow_covariance() - seen.T @ weights)

    def expected(self, values: FloatArray, candidates: FloatArray) -> FloatArray:
        """Expected values of the candidates, shape (candidates,)."""
        across = self.kernel.matrix(candidates, self.bits)
        return np.asarray(self.mean_weights @ values + across @ (self.inverse @ values))

    def covariance_with(self, candidates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Posterior covariance of the candidates' values with the flows and with each other.

        Shapes (candidates, n, n) and (candidates, candidates), the white part included, and that
        the common mean is known from the sample only.
        """
        across = self.kernel.matrix(self.bits, candidates)  # (samples, candidates)
        with_flows = self.kernel.flows(candidates)
        with_flows -= np.tensordot(across.T, self.weights, 1)
        with_flows -= np.tensordot(self.mean_weights, self.seen, 1)
        own = self.kernel.matrix(candidates, candidates)
        own[np.diag_indices_from(own)] += self.kernel.white
        own -= across.T @ self.inverse @ across
        by_mean = self.mean_weights @ across
        own += self.mean_variance - by_mean[:, None] - by_mean
        return self.variance * with_flows, self.variance * own


def fit_process(bits: FloatArray, values: FloatArray) -> list[FittedProcess]:
    """Gaussian processes with the kernels that the sample leaves likely, equally weighted.

    Parameters
    ----------
    bits : float64 of 0 and 1, shape (samples, n)
        Distinct coalitions.
    values : float64, shape (samples,)

    Notes
    -----
    A party's 2 x 2 matrix has 1 for two coalitions that both lack it (or both hold it), beta for
    two that differ in it, 0 < beta < 1 of its own, and beta**a for two that hold it (or lack it),
    0 <= a < 2: with a > 0 differences shrink as coalitions grow, as they do in learning. beta, a,
    the linear and the white share maximise the restricted likelihood, betas drawn together by a
    normal prior on their log odds. From few samples several kernels are drawn around the
    likeliest one (Laplace), so that flows differ between them as far as the kernel is unknown.
    """
    kernels = _search(bits, values).likely_kernels(1 if len(values) > _SEARCHED else _KERNELS)
    return [_fit(kernel, bits, values) for kernel in kernels]


def left_out_of_process(fits: list[FittedProcess], values: FloatArray) -> FloatArray:
    """How far the processes would miss each value if it were left out, shape (samples,)."""
    missed = [fit.inverse @ values / np.diag(fit.inverse) for fit in fits]
    return np.asarray(np.mean(missed, axis=0))


def surprise(fit: FittedProcess, values: FloatArray) -> tuple[float, FloatArray]:
    """How far a process fitted to one half of the sample is off once the other half is added.

    Each half has a kernel of its own, because a kernel fitted to both already knows the rest.

    Returns
    -------
    ratio : float
        Mean squared change of flows, or of payoffs, over the variance that the process expects of
        it; at least 1.
    missed : float64, shape (samples,)
        Error of each sampled value when predicted from the half without it, scaled down to what
        is left with the whole sample; 0 for the coalitions that both halves hold.
    """
    certain = ~_is_drawn(fit.bits)
    turn = np.cumsum(~certain) // 2 % 2  # coalitions come in pairs, which stay together
    ratios = []
    missed, n_flows, left = np.zeros(len(values)), fit.bits.shape[1] ** 2, []
    most: list[float] = []
    rounding = (1e-9 * float(np.abs(values).max())) ** 2 + 1e-300
    # Finding a kernel is the slow part, so the sign of the asymmetry comes from the whole sample.
    sign = 1.0 if (fit.kernel.smooth.present <= fit.kernel.smooth.absent).all() else -1.0
    for half in range(2):
        kept = certain | (turn == half)
        kernel = _search(fit.bits[kept], values[kept]).likely_kernels(1, (sign,))[0]
        first = _fit(kernel, fit.bits[kept], values[kept])
        both = _fit(first.kernel, fit.bits, values)
        # Share of the flows' variance after one half that is left after both.
        prior = float(np.trace(kernel.flow_covariance().reshape(n_flows, n_flows)))
        unknown = [max(prior - float((one.seen * one.weights).sum()), 0.0) for one in (both, first)]
        left.append(unknown[0] / max(unknown[1], 1e-300))
        missed[~kept] = values[~kept] - first.expected(values[kept], fit.bits[~kept])
        moved = np.tensordot(values, fit.weights, 1) - np.tensordot(values[kept], first.weights, 1)
        pair, least = [], rounding
        for figure in (np.asarray, _payoffs):
            expected = (figure(both.seen) * figure(both.weights)).sum()
            expected -= (figure(first.seen) * figure(first.weights)).sum()
            expected = max(first.variance * float(expected), least)
            pair.append(float((figure(moved[None]) ** 2).sum()) / expected)
            least = _LEAST_OF_PAYOFFS * expected
        ratios.append(pair)
        # The ratio cannot exceed what was unknown before the first sample.
        most.append(prior / max(unknown[0], 1e-300))
    ratio = max(1.0, min(float(np.mean(ratios, axis=0).max()), float(np.mean(most))))
    # A large ratio also makes the expected gain from more samples doubtful.
    return ratio, missed * np.sqrt(min(1.0, ratio * float(np.mean(left))))


def caution(fit: FittedProcess, values: FloatArray) -> tuple[float, float]:
    """How far the process misses what is left out of its sample, over what it expects of that.

    Each coalition is left out together with the one of everybody else, if that is in the sample:
    payoffs depend only on the difference of the two.

    Returns
    -------
    of_differences, of_all : float
        Root mean squares over the sample, one more miss counted that is as large as expected; the
        second takes the larger one of differences and sums. At most 1. Values that came up before
        count as such misses too: a sample of steps may agree wholly with a simpler game.
    """
    mirror, drawn = mirror_places(fit.bits), _is_drawn(fit.bits)
    repeated = np.zeros(len(values), dtype=np.bool_)
    repeated[drawn] = comes_up_again(values[drawn])
    weighted = fit.inverse @ values
    squares: dict[float, list[float]] = {1.0: [1.0], -1.0: [1.0]}  # sums and differences
    for place in np.flatnonzero(drawn):
        other = mirror[place]
        least = 1.0 if repeated[place] else 0.0
        if other < 0 or not drawn[other]:
            square = weighted[place] ** 2 / (fit.variance * fit.inverse[place, place])
            for found in squares.values():
                found.append(max(least, square))
        elif other > place:
            pair = np.array([place, other])
            spread = np.linalg.inv(fit.inverse[np.ix_(pair, pair)])
            missed = spread @ weighted[pair]
            for sign, found in squares.items():
                side = np.array([1.0, sign])
                square = (side @ missed) ** 2 / (fit.variance * (side @ spread @ side))
                found.append(max(least, square))
    sums, differences = (np.sqrt(np.mean(found)) for found in squares.values())
    return min(1.0, float(differences)), min(1.0, float(max(sums, differences)))


def _payoffs(flows: FloatArray) -> FloatArray:
    return np.asarray(flows.sum(axis=1) - flows.sum(axis=2))


def _fit(kernel: GameKernel, bits: FloatArray, values: FloatArray) -> FittedProcess:
    covariance = kernel.matrix(bits, bits)
    covariance[np.diag_indices_from(covariance)] += kernel.white
    inverse, mean_weights, mean_variance = _without_mean(_inverse(covariance))
    seen = kernel.flows(bits)
    weights = np.tensordot(inverse, seen, 1)
    free = max(len(values) - 1, 3)
    variance = max(float(values @ inverse @ values), 0.0) / (free - 2)
    return FittedProcess(
        kernel, bits, inverse, mean_weights, mean_variance, variance, weights, seen
    )


def _search(bits: FloatArray, values: FloatArray) -> _Likelihood:
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), _SEARCHED)).astype(np.intp))
    return _Likelihood(bits[kept], values[kept])


class _Likelihood:
    """Restricted likelihood of kernels, as a function of their parameters.

    Parameters: log odds of each beta, the asymmetry, log odds of the odd share, logs of the shares
    of the linear part, of the sizes and of the white part.
    """

    def __init__(self, bits: FloatArray, values: FloatArray) -> None:
        self.bits, self.absent = bits, 1 - bits
        spread = float(np.ptp(values))
        self.values = values / spread if spread > 0 else values
        self.n_parties = bits.shape[1]
        self.centred = bits - 0.5
        self.same_size = _same_size(bits, bits)
        # Without it a process that finds a few parties to decide a game of steps is quite sure.
        # The two of a pair count as one draw, since they may well say the same.
        drawn = self.values[_is_drawn(bits)]
        self.least_white = step_variance(drawn, len(drawn) / 2)

    def likely_kernels(
        self, count: int, signs: tuple[float, ...] = (1.0, -1.0)
    ) -> list[GameKernel]:
        """Likeliest kernel, its asymmetry of these signs, and others that are about as likely."""
        from scipy.optimize import minimize

        found = []
        for sign in signs:
            bounds = self._bounds(sign)
            start = np.r_[np.full(self.n_parties, 1.5), sign, 2.0, -3.0, -5.0, -7.0]
            options = {"maxiter": 60}
            found.append(
                minimize(
                    self.negative,
                    start,
                    jac=True,
                    bounds=bounds,
                    method="L-BFGS-B",
                    options=options,
                )
            )
        best = min(found, key=lambda result: float(result.fun))
        points = [best.x]
        if count > 1:
            # The likelihood is no bell: of many drawn from the bell that touches it at its top,
            # those stay that are as likely as the bell says.
            root = self._root_of_inverse_curvature(best.x)
            rng = np.random.default_rng(0)
            normals = rng.standard_normal((_DRAWN * count, len(best.x)))
            normals[0] = 0.0
            drawn = np.clip(best.x + normals @ root, *self._bounds(best.x[self.n_parties]).T)
            logs = np.array([-self.negative(point)[0] for point in drawn])
            logs += (normals**2).sum(axis=1) / 2
            # No draw stands for more than its share: few weigh much, and by accident.
            heaviest = np.sort(logs)[-count]
            shares = np.exp(np.minimum(logs - heaviest, 0.0))
            levels = (np.arange(count) + 0.5) / count
            kept = np.searchsorted(np.cumsum(shares) / shares.sum(), levels)
            points = list(drawn[kept])
        return [self.kernel(point) for point in points]

    def _bounds(self, sign: float) -> FloatArray:
        """Ranges of the parameters, where the asymmetry has this sign."""
        asymmetry = (0.0, _LARGEST_ASYMMETRY) if sign >= 0 else (-_LARGEST_ASYMMETRY, 0.0)
        shares = [(-12.0, 12.0), (-12.0, 3.0), (-14.0, 3.0)]
        shares.append((max(-20.0, float(np.log(self.least_white + 1e-300))), 1.0))
        return np.array([(-4.0, 7.0)] * self.n_parties + [asymmetry, *shares])

    def _root_of_inverse_curvature(self, point: FloatArray) -> FloatArray:
        step = 1e-3
        curvature = np.array(
            [
                (self.negative(point + step * e)[1] - self.negative(point - step * e)[1]) / step / 2
                for e in np.eye(len(point))
            ]
        )
        spreads, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        # Directions without a usable curvature keep the width of the priors.
        return np.asarray((axes / np.sqrt(np.maximum(spreads, 0.25))).T)

    def kernel(self, point: FloatArray) -> GameKernel:
        """Kernel of these parameters."""
        n_parties = self.n_parties
        beta = 1 / (1 + np.exp(-point[:n_parties]))
        asymmetry = float(point[n_parties])
        odd = float(1 / (1 + np.exp(-point[n_parties + 1])))
        absent, present = beta ** max(-asymmetry, 0.0), beta ** max(asymmetry, 0.0)
        smooth = ProductKernel(absent, beta, present, odd)
        linear, sizes, white = (float(share) for share in np.exp(point[n_parties + 2 :]))
        return GameKernel(smooth, linear, sizes, white + _RIDGE)

    def negative(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Negative log likelihood with its priors, and its gradient."""
        n_parties, bits, absent = self.n_parties, self.bits, self.absent
        kernel = self.kernel(point)
        kept, mirrored = kernel.smooth.shares()
        # Share, what it grows by with the odd part, covariance, and the lists it is of; the mixed
        # one stands for its transpose too, which meets the same symmetric slope below.
        sides = [
            (kept**2, kept, kernel.smooth.product(bits, bits), bits, bits),
            (
                2 * kept * mirrored,
                mirrored - kept,
                kernel.smooth.product(bits, absent),
                bits,
                absent,
            ),
            (mirrored**2, -mirrored, kernel.smooth.product(absent, absent), absent, absent),
        ]
        smooth = sum((share * part for share, _, part, *_ in sides), np.zeros_like(self.same_size))
        smooth = (smooth + smooth.T) / 2
        covariance = smooth + kernel.linear * self.centred @ self.centred.T
        covariance += kernel.sizes * self.same_size
        covariance[np.diag_indices_from(covariance)] += kernel.white
        inverse, log_determinant = _inverse_and_log_determinant(covariance)
        if inverse is None:
            return 1e10, np.zeros(len(point))
        total = float(inverse.sum())
        inverse, *_ = _without_mean(inverse)
        weighted = inverse @ self.values
        squares, free = max(float(self.values @ weighted), 1e-300), len(bits) - 1
        value = free / 2 * np.log(squares) + log_determinant / 2 + np.log(max(total, 1e-300)) / 2
        slope = inverse / 2 - free / 2 / squares * np.outer(weighted, weighted)
        log_odds, asymmetry = point[:n_parties], float(point[n_parties])
        beta = 1 / (1 + np.exp(-log_odds))
        of_differing, of_alike, of_odd = np.zeros(n_parties), np.zeros(n_parties), 0.0
        for share, growth, part, one, other in sides:
            felt = slope * part
            of_odd += growth * felt.sum()
            moved = share * felt
            of_differing += (one * (moved @ (1 - other))).sum(axis=0)
            of_differing += ((1 - one) * (moved @ other)).sum(axis=0)
            if asymmetry < 0:
                one, other = 1 - one, 1 - other
            of_alike += (one * (moved @ other)).sum(axis=0)
        gradient = np.empty(len(point))
        gradient[:n_parties] = (1 - beta) * (of_differing + abs(asymmetry) * of_alike)
        gradient[n_parties] = np.sign(asymmetry or 1.0) * (np.log(beta) @ of_alike)
        gradient[n_parties + 1] = kernel.smooth.odd * (1 - kernel.smooth.odd) * of_odd
        gradient[-3] = kernel.linear * (self.centred * (slope @ self.centred)).sum()
        gradient[-2] = kernel.sizes * (slope * self.same_size).sum()
        gradient[-1] = (kernel.white - _RIDGE) * np.trace(slope)
        middle = log_odds.mean()
        value += ((log_odds - middle) ** 2).sum() / 2 + ((middle - 1.5) / 2.5) ** 2 / 2
        gradient[:n_parties] += (log_odds - middle) + (middle - 1.5) / 2.5**2 / n_parties
        for place, (mean, spread) in enumerate(_SHARES, start=n_parties + 1):
            value += ((point[place] - mean) / spread) ** 2 / 2
            gradient[place] += (point[place] - mean) / spread**2
        return float(value), gradient


def _is_drawn(bits: FloatArray) -> npt.NDArray[np.bool_]:
    """Which coalitions are neither a party alone nor everybody, who are always in a sample."""
    sizes = bits.sum(axis=1)
    return np.asarray((sizes > 1) & (sizes < bits.shape[1]))


def _same_size(bits: FloatArray, others: FloatArray) -> FloatArray:
    same = bits.sum(axis=1)[:, None] == others.sum(axis=1)
    return np.asarray(same, dtype=np.float64)


def _without_mean(inverse: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Inverse covariance without a common mean, the mean's weights, and its variance."""
    sums = inverse.sum(axis=0)
    variance = 1 / max(float(sums.sum()), 1e-300)
    return np.asarray(inverse - np.outer(sums, sums) * variance), sums * variance, variance


def _inverse(covariance: FloatArray) -> FloatArray:
    inverse, _ = _inverse_and_log_determinant(covariance)
    while inverse is None:  # rounding made it indefinite: add as little white noise as is needed
        covariance = covariance + 1e-9 * float(np.trace(covariance)) * np.eye(len(covariance))
        inverse, _ = _inverse_and_log_determinant(covariance)
    return inverse


def _inverse_and_log_determinant(covariance: FloatArray) -> tuple[FloatArray | None, float]:
    from scipy.linalg import lapack

    lower, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        return None, 0.0
    inverse, _ = lapack.dpotri(lower, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    return inverse, 2 * float(np.log(np.diag(lower)).sum())
