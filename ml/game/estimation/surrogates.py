"""Smooth stand-ins for a game, fitted to the evaluated coalitions, with flows in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.game.tables.coalitions import FloatArray

__all__ = ["SurrogateFit", "fit_gaussian_process", "fit_quadratic"]

_SEARCHED = 400
"""Samples on which the kernel's length scale is searched."""

_SAMPLES_A_TERM = 2.5
"""Pair terms are fitted from this many samples a term on; with fewer they fit the accidents."""

_LENGTH_SCALES = (0.3, 0.45, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985)
_NUGGETS = (1e-8, 1e-4, 1e-2)
_LEAST_WEIGHT = 0.02
"""A kernel that is this much less likely than the best one is left out."""


@dataclass(frozen=True, eq=False)
class SurrogateFit:
    """A fitted surrogate: its flows, and what it leaves of the values."""

    flows: FloatArray
    residuals: FloatArray
    """Value less surrogate at each sample."""
    left_out: FloatArray | None = None
    """The same had the surrogate not been fitted to that sample; NaN where it would not know."""
    standard_errors: FloatArray | None = None
    """The surrogate's own opinion of its flows' errors, if it has one."""


def fit_quadratic(bits: FloatArray, values: FloatArray) -> SurrogateFit:
    """Least squares with one term a size, a party and, if samples allow, a pair.

    Notes
    -----
    Flows in closed form: the term of party j adds its weight a_j to F_ij, the term of {i, j}
    adds q_ij because i is there when j comes, that of {j, k} half of q_jk because k came
    first half of the time, and the sizes add (f(n) - f(1)) / (n - 1).
    """
    n_parties = bits.shape[1]
    first, second = np.triu_indices(n_parties, 1)
    design = _size_and_party_terms(bits)
    n_linear = design.shape[1]
    with_pairs = len(values) >= _SAMPLES_A_TERM * (n_linear + len(first))
    if with_pairs:
        design = np.hstack([design, bits[:, first] * bits[:, second]])
    weights, leverages = _least_squares(design, values)
    sizes, parties = weights[:n_parties], weights[n_parties:n_linear]
    pairs = np.zeros((n_parties, n_parties))
    if with_pairs:
        pairs[first, second] = weights[n_linear:]
        pairs += pairs.T
    flows = parties + pairs + (pairs.sum(axis=0) - pairs) / 2
    flows = flows + (sizes[-1] - sizes[0]) / (n_parties - 1)
    residuals = values - design @ weights
    # What a fit leaves of its own samples flatters it, by their leverage.
    free = 1 - leverages
    left_out = np.where(free > 1e-6, residuals / np.maximum(free, 1e-6), np.nan)
    return SurrogateFit(flows, residuals, left_out=left_out)


def fit_gaussian_process(bits: FloatArray, values: FloatArray) -> SurrogateFit:
    """Gaussian process with a diffusion kernel on the cube, over size and party terms.

    Notes
    -----
    The kernel is beta**d, d the number of parties in which two coalitions differ, 0 < beta < 1;
    flows are averaged over beta and the noise by their likelihood. A flow is a mean of differences
    v(C + j) - v(C) over C that hold i, in which each other party is in with chance t, t uniform;
    so the flow of the kernel seen from coalition T is (1 - beta) times sign times an integral
    that depends on T's size only, whatever n. The same functional, applied twice, gives the
    posterior variance of each flow.
    """
    n_parties = bits.shape[1]
    # The last party's term is the sizes' minus the others'.
    basis = _size_and_party_terms(bits)[:, :-1]
    flows = np.zeros((n_parties, n_parties))
    squares, residuals = np.zeros_like(flows), np.zeros_like(values)
    for weight, beta, nugget in _likely_kernels(bits, values, basis):
        given, variances, rest = _fit_kernel(bits, values, basis, beta, nugget)
        flows += weight * given
        squares += weight * (variances + given**2)
        residuals += weight * rest
    errors = np.sqrt(np.maximum(squares - flows**2, 0.0))
    return SurrogateFit(flows, residuals, standard_errors=errors)


def _fit_kernel(
    bits: FloatArray, values: FloatArray, basis: FloatArray, beta: float, nugget: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Flows, their posterior variances, and the residuals if the kernel were known."""
    n_parties = bits.shape[1]
    lower = _lower(_kernel(bits, beta, nugget))
    solved = _forward(lower, np.column_stack([values, basis]))
    target, terms = solved[:, 0], solved[:, 1:]
    orthogonal, triangle = (np.asarray(part, dtype=np.float64) for part in np.linalg.qr(terms))
    weights = np.linalg.solve(triangle, orthogonal.T @ target)
    rest = target - terms @ weights
    alpha = _backward(lower, rest)
    # The scale of the process is known from few samples only: Student's variance, not Gauss's.
    free = max(len(values) - basis.shape[1] - 2, 1)
    variance = float(rest @ rest) / free
    seen = _flows_of_kernel(bits, beta)  # (samples, n, n)
    sizes, parties = weights[:n_parties], np.append(weights[n_parties:], 0.0)
    flows = np.tensordot(alpha, seen, 1) + parties + (sizes[-1] - sizes[0]) / (n_parties - 1)
    variances = variance * _posterior(lower, orthogonal, triangle, seen, beta, n_parties)
    return flows, variances, nugget * alpha


def _size_and_party_terms(bits: FloatArray) -> FloatArray:
    sizes = bits.sum(axis=1).astype(np.intp)
    by_size = np.zeros(bits.shape)
    by_size[np.arange(len(bits)), sizes - 1] = 1.0
    return np.hstack([by_size, bits])


def _least_squares(design: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights of the terms, and of each sample the leverage: its share in its own fit."""
    gram = design.T @ design
    # The terms overlap by design; a ridge far below the noise picks one of the equal fits.
    gram[np.diag_indices_from(gram)] += 1e-10 * np.trace(gram) / len(gram)
    solved = np.linalg.solve(gram, np.column_stack([design.T @ values, design.T]))
    return np.asarray(solved[:, 0]), np.einsum("st,ts->s", design, solved[:, 1:])


def _kernel(bits: FloatArray, beta: float, nugget: float) -> FloatArray:
    sizes = bits.sum(axis=1)
    distances = np.rint(sizes[:, None] + sizes - 2 * bits @ bits.T).astype(np.intp)
    kernel = np.power(beta, np.arange(bits.shape[1] + 1))[distances]
    kernel[np.diag_indices_from(kernel)] += nugget
    return np.asarray(kernel)


def _likely_kernels(
    bits: FloatArray, values: FloatArray, basis: FloatArray
) -> list[tuple[float, float, float]]:
    """Weight, length scale and noise of the kernels worth a fit; the weights sum to one.

    Weights are restricted likelihoods on some of the samples: few samples leave several length
    scales possible, and flows that differ between them are that much less certain. Many
    samples settle it, and each fit is dear: then only the most likely one is kept.
    """
    is_settled = len(values) > _SEARCHED
    n_kept = min(len(values), _SEARCHED)
    kept = np.unique(np.linspace(0, len(values) - 1, n_kept).astype(np.intp))
    bits, values, basis = bits[kept], values[kept], basis[kept]
    free = len(values) - np.linalg.matrix_rank(basis)
    if free < 2:
        return [(1.0, _LENGTH_SCALES[-1], _NUGGETS[0])]

    def likelihood(beta: float, nugget: float) -> float:
        lower = _lower(_kernel(bits, beta, nugget))
        solved = _forward(lower, np.column_stack([values, basis]))
        orthogonal, triangle = np.linalg.qr(solved[:, 1:])
        rest = solved[:, 0] - orthogonal @ (orthogonal.T @ solved[:, 0])
        variance = max(float(rest @ rest) / free, 1e-300)
        pivots = np.abs(np.diag(triangle))
        return float(
            -free / 2 * np.log(variance)
            - np.log(np.diag(lower)).sum()
            - np.log(pivots[pivots > 1e-12]).sum()
        )

    found = {(beta, _NUGGETS[0]): likelihood(beta, _NUGGETS[0]) for beta in _LENGTH_SCALES}
    best = max(found, key=lambda kernel: found[kernel])
    if likelihood(best[0], _NUGGETS[1]) > found[best]:
        # Noisy values: both at once, because noise without a nugget looks like a short scale.
        noisy = [(beta, nugget) for beta in _LENGTH_SCALES for nugget in _NUGGETS[1:]]
        found |= {kernel: likelihood(*kernel) for kernel in noisy}
    best = max(found, key=lambda kernel: found[kernel])
    if is_settled:
        return [(1.0, *best)]
    weights = {kernel: float(np.exp(found[kernel] - found[best])) for kernel in found}
    likely = {kernel: weight for kernel, weight in weights.items() if weight >= _LEAST_WEIGHT}
    total = sum(likely.values())
    return [(weight / total, *kernel) for kernel, weight in likely.items()]


def _flows_of_kernel(bits: FloatArray, beta: float) -> FloatArray:
    """Flow functional of the kernel seen from each sample, shape (samples, n, n)."""
    n_others = bits.shape[1] - 2
    nodes, weights = np.polynomial.legendre.leggauss(n_others // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    inside, outside = nodes + (1 - nodes) * beta, nodes * beta + 1 - nodes
    counts = np.arange(n_others + 1)[:, None]
    means = (inside**counts * outside ** (n_others - counts)) @ weights  # (n - 1,)
    sizes = bits.sum(axis=1)
    rest = sizes[:, None, None] - bits[:, :, None] - bits[:, None, :]
    rest = np.clip(rest, 0, n_others).astype(np.intp)
    payer = bits + beta * (1 - bits)
    payee = (1 - beta) * (2 * bits - 1)
    seen = payer[:, :, None] * payee[:, None, :] * means[rest]
    diagonal = np.arange(bits.shape[1])
    seen[:, diagonal, diagonal] = 0.0
    return np.asarray(seen)


def _posterior(
    lower: FloatArray,
    orthogonal: FloatArray,
    triangle: FloatArray,
    seen: FloatArray,
    beta: float,
    n_parties: int,
) -> FloatArray:
    """Posterior variance of each flow over the kernel's variance, shape (n, n)."""
    nodes, weights = np.polynomial.legendre.leggauss(n_parties)
    nodes, weights = (nodes + 1) / 2, weights / 2
    alike = nodes[:, None] * nodes + (1 - nodes)[:, None] * (1 - nodes)
    prior = (
        2 * (1 - beta) * float(weights @ (alike + beta * (1 - alike)) ** (n_parties - 2) @ weights)
    )
    solved = _forward(lower, seen.reshape(len(seen), -1))  # (samples, n * n)
    known = (solved**2).sum(axis=0)
    terms = np.zeros((triangle.shape[1], n_parties, n_parties))
    terms[n_parties - 1] += 1 / (n_parties - 1)
    terms[0] -= 1 / (n_parties - 1)
    for party in range(n_parties - 1):
        terms[n_parties + party, :, party] = 1.0
    missing = terms.reshape(len(terms), -1) - triangle.T @ (orthogonal.T @ solved)
    unsure = (np.linalg.solve(triangle.T, missing) ** 2).sum(axis=0)
    variance = np.maximum(prior - known + unsure, 0.0).reshape(n_parties, n_parties)
    np.fill_diagonal(variance, 0.0)
    return np.asarray(variance)


def _lower(kernel: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.cholesky(kernel), dtype=np.float64)


def _forward(lower: FloatArray, right: npt.NDArray[np.float64]) -> FloatArray:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(lower, right, lower=True, check_finite=False))


def _backward(lower: FloatArray, right: FloatArray) -> FloatArray:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(lower, right, lower=True, trans="T", check_finite=False))
