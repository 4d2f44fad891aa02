"""The Gaussian process says what conditioning on the sample says, in any unit of value."""

from itertools import pairwise

import numpy as np
import pytest

from ml.game import ValueTable, conditional_shapley, estimate_flows, family
from ml.game.estimation.active import _candidates, next_coalitions
from ml.game.estimation.estimators import _lower, _root
from ml.game.estimation.kernels import ProductKernel
from ml.game.estimation.process import (
    GameKernel,
    _fit,
    _Likelihood,
    _payoffs,
    _without_mean,
    caution,
    fit_process,
    surprise,
)
from ml.game.tables.coalitions import membership
from tests.ml.game.games import game

N = 4
BITS = membership(N)[1:]  # all coalitions but the empty one
FLOWS = np.stack([conditional_shapley(row) for row in np.eye(2**N)[1:]])  # of each value


def random_kernel(rng):
    differs = rng.uniform(0.3, 0.9, N)
    smooth = ProductKernel(differs**0.3, differs, differs**1.1, odd=0.6)
    return GameKernel(smooth, linear=0.7, sizes=0.3, white=0.05)


def prior(kernel):
    """Covariance of all values, from the kernel's own words: each part written out."""
    covariance = np.empty((len(BITS), len(BITS)))
    kept, mirrored = (1 + kernel.smooth.odd) / 2, (1 - kernel.smooth.odd) / 2

    def product(one, other):
        both, neither = one * other, (1 - one) * (1 - other)
        factors = both * kernel.smooth.present + neither * kernel.smooth.absent
        return np.prod(factors + (1 - both - neither) * kernel.smooth.differs)

    for a, one in enumerate(BITS):
        for b, other in enumerate(BITS):
            covariance[a, b] = (
                kept**2 * product(one, other)
                + kept * mirrored * (product(one, 1 - other) + product(1 - one, other))
                + mirrored**2 * product(1 - one, 1 - other)
                + kernel.linear * (one - 0.5) @ (other - 0.5)
                + kernel.sizes * (one.sum() == other.sum())
                + kernel.white * (a == b)
            )
    return covariance


@pytest.mark.parametrize("has_pairs", [False, True])
def test_caution_is_how_far_each_coalition_is_missed_beside_what_is_expected(has_pairs, rng):
    """Left out one at a time, or with the coalition of everybody else: mean and difference."""
    bits = membership(5)[1:]
    sizes = bits.sum(axis=1)
    kept = (sizes != 2) if has_pairs else (sizes != 3)
    kept |= has_pairs & (bits[:, 0] == 1)
    bits, sizes = bits[kept], sizes[kept]
    values = family("saturating", 5, 1).evaluate(bits) + 0.01 * rng.random(len(bits))
    fit = fit_process(bits, values)[0]
    covariance = fit.kernel.matrix(bits, bits) + fit.kernel.white * np.eye(len(bits))
    of_one, of_both = [1.0], {1.0: [1.0], -1.0: [1.0]}
    others = [int(np.flatnonzero((bits == 1 - row).all(axis=1)).sum()) for row in bits]
    paired = [bool((bits == 1 - row).all(axis=1).any()) and 1 < row.sum() < 4 for row in bits]
    for place in np.flatnonzero((sizes > 1) & (sizes < 5)):
        if paired[place] and others[place] < place:
            continue
        out = [place, others[place]] if paired[place] else [place]
        rest = np.setdiff1d(np.arange(len(bits)), out)
        without = _fit(fit.kernel, bits[rest], values[rest])
        missed = values[out] - without.expected(values[rest], bits[out])
        seen = covariance[np.ix_(out, rest)] @ np.linalg.inv(covariance[np.ix_(rest, rest)])
        expected = covariance[np.ix_(out, out)] - seen @ covariance[np.ix_(rest, out)]
        # Nothing is known of a common mean but what the rest tell: generalised least squares.
        precision = np.linalg.inv(covariance[np.ix_(rest, rest)]).sum()
        unseen = 1 - seen.sum(axis=1)
        expected = fit.variance * (expected + np.outer(unseen, unseen) / precision)
        if paired[place]:
            for sign, squares in of_both.items():
                side = np.array([1.0, sign])
                squares.append((side @ missed) ** 2 / (side @ expected @ side))
        else:
            of_one.append(float(missed[0] ** 2 / expected[0, 0]))
    alone = of_one[1:]
    sums, differences = (np.sqrt(np.mean(of_both[sign] + alone)) for sign in (1.0, -1.0))
    assert len(alone) > 3
    assert (len(of_both[1.0]) > 3) == has_pairs
    assert caution(fit, values) == pytest.approx(
        (min(1, differences), min(1, max(sums, differences))), rel=1e-4
    )
    assert caution(fit, values)[0] < 0.999


def test_flows_and_their_covariance_are_those_of_gaussian_conditioning(rng):
    kernel = random_kernel(rng)
    covariance = prior(kernel)
    sample = rng.permutation(len(BITS))[:9]
    rest = np.setdiff1d(np.arange(len(BITS)), sample)
    values = rng.random(9)
    fit = _fit(kernel, BITS[sample], values)
    # An unknown common mean is one more part of the sample's covariance, as large as can be.
    inverse = np.linalg.inv(covariance[np.ix_(sample, sample)] + 1e7)
    flows = np.tensordot(covariance[:, sample], FLOWS, axes=([0], [0]))  # (sample, n, n)
    np.testing.assert_allclose(fit.seen, flows, atol=1e-12)
    told = np.tensordot(values, fit.weights, 1)
    np.testing.assert_allclose(told, np.tensordot(inverse @ values, flows, 1), atol=1e-6)
    scale = values @ inverse @ values / (9 - 1 - 2)
    assert fit.variance == pytest.approx(scale, rel=1e-5)
    assert _fit(kernel, BITS[sample], 1e-6 * values).variance == pytest.approx(1e-12 * scale)
    # The others have it too, known as far as the sample tells: generalised least squares.
    plain = np.linalg.inv(covariance[np.ix_(sample, sample)])
    share = covariance[:, sample] @ plain
    unseen = 1 - share.sum(axis=1)
    left = covariance - share @ covariance[sample] + np.outer(unseen, unseen) / plain.sum()
    both = np.einsum("cij,cd,dkl->ijkl", FLOWS, left, FLOWS).reshape(N * N, N * N)
    np.testing.assert_allclose(fit.flow_covariance(), scale * both, atol=1e-6)
    with_flows, among = fit.covariance_with(BITS[rest])
    np.testing.assert_allclose(among, scale * left[np.ix_(rest, rest)], atol=1e-6)
    expected = scale * np.tensordot(left[rest], FLOWS, 1)
    np.testing.assert_allclose(with_flows, expected, atol=1e-6)
    # The mean that is left once the process is taken out, and what the process adds to it.
    mean = np.mean(values - covariance[np.ix_(sample, sample)] @ (inverse @ values))
    predicted = mean + covariance[np.ix_(rest, sample)] @ inverse @ values
    np.testing.assert_allclose(fit.expected(values, BITS[rest]), predicted, atol=1e-5)


@pytest.mark.parametrize("derivative", [None, "some"])
def test_the_next_coalitions_lower_the_variance_most_one_after_the_other(derivative, rng):
    kernel = random_kernel(rng)
    sample = np.r_[14, 0, 1, 3, 7, 4]  # everybody, each alone, one more
    fit = _fit(kernel, BITS[sample], rng.random(6))
    wanted = None if derivative is None else rng.standard_normal((N, N, N))
    chosen = next_coalitions([fit], {int(place) + 1 for place in sample}, 5, wanted, (0,))
    rest = np.setdiff1d(np.arange(len(BITS)), sample)
    with_flows, among = fit.covariance_with(BITS[rest])
    with_wanted = with_flows.reshape(len(rest), -1)
    if wanted is not None:
        with_wanted = with_wanted @ wanted.reshape(N * N, N)
    taken = []
    for _ in range(5):
        gains = []
        for place in range(len(rest)):
            if place in taken:
                gains.append(-1.0)
                continue
            # How much is known once these are: not step by step, but all of them at once.
            these = [*taken, place]
            explained = np.linalg.solve(among[np.ix_(these, these)], with_wanted[these])
            gains.append(float((with_wanted[these] * explained).sum()))
        taken.append(int(np.argmax(gains)))
    assert chosen == [int(rest[place]) + 1 for place in taken]


def test_candidates_of_many_parties_are_new_and_fewer_than_all(rng):
    played = family("coverage", 12, 1)
    bits = membership(12)[1:]
    sample = np.r_[4094, 2 ** np.arange(12) - 1, rng.choice(4000, 40, replace=False)]
    sample = np.unique(sample)
    fits = fit_process(bits[sample], played.evaluate(bits[sample]))[:1]
    known = {int(place) + 1 for place in sample}
    chosen = next_coalitions(fits, known, 30, None, (1, 2))
    assert len(chosen) == len(set(chosen)) == 30
    assert not known & set(chosen)
    assert all(2 <= coalition.bit_count() < 12 for coalition in chosen)
    assert chosen == next_coalitions(fits, known, 30, None, (1, 2))
    everything = known | set(range(1, 4096)) - {77, 1234}
    assert set(next_coalitions(fits, everything, 30, None, (0,))) == {77, 1234}


@pytest.mark.parametrize("method", ["gaussian-process", "quadratic", "stratified", "permutation"])
def test_the_unit_of_value_scales_flows_and_errors_alike(method):
    values = game("soft majority", 8, 3)
    plain = estimate_flows(ValueTable(values).evaluate, 8, 90, 1, method)
    for unit in (2.0**-20, 2.0**20):
        found = estimate_flows(ValueTable(unit * values).evaluate, 8, 90, 1, method)
        np.testing.assert_allclose(found.flows / unit, plain.flows, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            found.standard_errors / unit, plain.standard_errors, rtol=1e-6, atol=1e-9
        )


def test_a_game_of_the_process_surprises_nobody_and_a_majority_does(rng):
    bits = membership(8)[1:]
    order = np.r_[254, 2 ** np.arange(8) - 1]
    ratios = {"smooth": [], "majority": []}
    for seed in range(4):
        pairs = rng.permutation(np.setdiff1d(np.arange(127), order))[:30]
        sample = np.r_[order, np.stack([pairs, 253 - pairs], axis=1).ravel()]
        sample = sample[np.sort(np.unique(sample, return_index=True)[1])]
        for name, values in (
            ("smooth", game("saturating", 8, seed)),
            ("majority", game("weighted majority", 8, seed)),
        ):
            seen = values[1:][sample]
            fit = fit_process(bits[sample], seen)[0]
            ratio, missed = surprise(fit, seen)
            assert not missed[:9].any()  # both halves hold them
            assert np.abs(missed[9:]).max() > 0
            assert np.abs(missed).max() <= 2 * np.ptp(seen)
            ratios[name].append(ratio)
    assert min(ratios["smooth"] + ratios["majority"]) >= 1
    assert np.mean(ratios["majority"]) > 1.5 * max(ratios["smooth"])


def test_the_likeliest_kernel_is_a_minimum_within_its_bounds(rng):
    played = family("coverage", 5, 2)
    sample = rng.permutation(31)[:24]
    bits = membership(5)[1:][sample]
    likelihood = _Likelihood(bits, played.evaluate(bits))
    kernels = likelihood.likely_kernels(8)
    assert len(kernels) == 8
    for kernel in kernels:
        differs, low, high = kernel.smooth.differs, kernel.smooth.absent, kernel.smooth.present
        assert ((differs > 0) & (differs < 1)).all()
        assert (low * high >= differs**2 * (1 - 1e-12)).all()  # a covariance
        assert (low == 1).all() or (high == 1).all()
        assert 0 < kernel.white < np.e
    assert len({float(kernel.white) for kernel in kernels}) > 1


def test_a_root_scatters_as_its_covariance_says(rng):
    off = ~np.eye(22, dtype=bool).ravel()  # 462 flows: more than the rows that are kept
    base = rng.standard_normal((484, 6)) * off[:, None]
    covariance = base @ base.T + np.diag(off * 0.5)
    rows = _root(covariance, 22).reshape(-1, 484)
    assert len(rows) == 400
    assert not rows[:, ~off].any()
    told, true = (rows**2).sum(axis=0)[off], np.diag(covariance)[off]
    np.testing.assert_allclose(told, true, rtol=0.4)
    assert told.mean() == pytest.approx(true.mean(), rel=0.15)
    among = rows.T @ rows
    assert np.corrcoef(among[off][:, off].ravel(), covariance[off][:, off].ravel())[0, 1] > 0.9
    small = covariance.reshape(22, 22, 22, 22)[:4, :4, :4, :4].reshape(16, 16)
    rows = _root(small, 4).reshape(-1, 16)
    np.testing.assert_allclose(rows.T @ rows, small, atol=1e-9)


def test_a_root_of_a_singular_covariance_adds_next_to_nothing(rng):
    base = rng.standard_normal((30, 5))
    covariance = base @ base.T
    lower = _lower(covariance)
    np.testing.assert_array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(lower @ lower.T, covariance, atol=1e-6 * np.diag(covariance).max())


def test_halves_of_a_game_whose_gains_grow_are_fitted_as_the_whole_is():
    bits, values = membership(8)[1:], game("supermodular", 8, 1)[1:]
    rng = np.random.default_rng(0)
    order = np.r_[254, 2 ** np.arange(8) - 1]
    pairs = rng.permutation(np.setdiff1d(np.arange(127), order))[:25]
    sample = np.r_[order, np.stack([pairs, 253 - pairs], axis=1).ravel()]
    sample = sample[np.sort(np.unique(sample, return_index=True)[1])]
    fit = fit_process(bits[sample], values[sample])[0]
    smooth = fit.kernel.smooth
    assert (smooth.present >= smooth.absent).all()
    # With gains that shrink the halves would miss six times as much.
    assert np.abs(surprise(fit, values[sample])[1]).max() < 0.015


def test_nothing_is_missed_once_everything_is_known(rng):
    values = rng.random(31)
    bits = membership(5)[1:]
    order = np.r_[30, 2 ** np.arange(5) - 1]
    order = np.r_[order, np.setdiff1d(np.arange(31), order)]
    fit = fit_process(bits[order], values[order])[0]
    _, missed = surprise(fit, values[order])
    assert np.abs(missed).max() < 1e-3


@pytest.mark.parametrize(("searched", "n_kernels"), [(39, 1), (40, 8)])
def test_few_samples_leave_several_kernels_likely(searched, n_kernels, monkeypatch, rng):
    monkeypatch.setattr("ml.game.estimation.process._SEARCHED", searched)
    played = family("coverage", 6, 1)
    bits = membership(6)[1:][rng.permutation(63)[:40]]
    fits = fit_process(bits, played.evaluate(bits))
    assert len(fits) == n_kernels
    assert all(len(fit.bits) == 40 for fit in fits)


def test_a_common_mean_is_taken_out_whatever_the_scale(rng):
    for scale in (1e-6, 1.0, 1e6):
        base = rng.random((5, 5))
        precision = scale * (base @ base.T + np.eye(5))
        inverse, weights, variance = _without_mean(precision)
        np.testing.assert_allclose(inverse.sum(axis=0), 0, atol=1e-12 * scale)
        assert weights.sum() == pytest.approx(1)
        # Of all weights that sum to one these have the least variance, and this is it.
        np.testing.assert_allclose(np.linalg.solve(precision, weights), variance, rtol=1e-9)


def test_candidates_are_small_as_often_as_large():
    sizes = [
        candidate.bit_count()
        for seed in range(4)
        for candidate in _candidates(24, set(), np.random.default_rng(seed))
    ]
    counts = np.bincount(sizes, minlength=25)
    assert counts[:2].sum() == counts[24] == 0
    assert counts[2:7].sum() / counts[18:23].sum() == pytest.approx(1, abs=0.25)
    assert counts[2:4].sum() > 2 * counts[11:13].sum()


def test_payoffs_surprise_by_what_comes_in_less_what_goes_out(rng):
    flows = rng.random((3, 4, 4))
    np.testing.assert_allclose(
        _payoffs(flows), [row.sum(axis=0) - row.sum(axis=1) for row in flows]
    )


def test_kernels_are_spread_as_the_bell_at_the_top_of_the_likelihood_says(monkeypatch):
    """A likelihood that is a bell: every draw is as likely as another, each fourth one is kept."""
    bits = membership(4)[1:]
    likelihood = _Likelihood(bits, family("coverage", 4, 1).evaluate(bits))
    width = np.array([[2.0, 0.3], [0.3, 1.0]])
    steepness = np.kron(np.eye(5), width)[:9, :9]
    top = np.r_[np.full(4, 1.0), 0.9, 1.0, -3.0, -4.0, -5.0]

    def bell(point):
        off = point - top
        return float(off @ steepness @ off) * 5000, 10_000 * steepness @ off

    monkeypatch.setattr(likelihood, "negative", bell)
    root = likelihood._root_of_inverse_curvature(top)
    np.testing.assert_allclose(root.T @ root, np.linalg.inv(10_000 * steepness), atol=1e-9)
    normals = np.random.default_rng(0).standard_normal((32, 9))
    normals[0] = 0
    drawn = top + normals @ root
    expected = [likelihood.kernel(point).linear for point in drawn]
    found = [kernel.linear for kernel in likelihood.likely_kernels(8)]
    places = [int(np.argmin(np.abs(np.log(np.array(expected) / one)))) for one in found]
    assert len(set(places)) == 8
    assert {later - one for one, later in pairwise(places)} <= {3, 4, 5}
