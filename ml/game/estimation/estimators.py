"""Payoff flows when 2**n models are too many: estimated from a sample of coalitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError
from ml.game.clearing.derivative import flow_derivative
from ml.game.clearing.problem import checked_budgets
from ml.game.estimation.active import next_coalitions
from ml.game.estimation.averaging import average
from ml.game.estimation.kernels import white_kernel
from ml.game.estimation.permutations import by_permutations, permutation_coalitions
from ml.game.estimation.process import (
    FittedProcess,
    caution,
    fit_process,
    left_out_of_process,
    surprise,
)
from ml.game.estimation.quadratic import by_quadratic
from ml.game.estimation.sampling import stratified_order
from ml.game.estimation.size_means import by_size, left_out_of_sizes, of_pairs, step_variance
from ml.game.tables.coalitions import (
    CoalitionMatrix,
    FloatArray,
    coalition_matrix,
    describe_coalition,
)
from ml.game.tables.reading import as_floats
from ml.game.words import CHOICES, ESTIMATORS, MAX_PARTIES

__all__ = ["FlowEstimate", "estimate_flows"]

Evaluate = Callable[[CoalitionMatrix], npt.ArrayLike]
Progress = Callable[[int, int], None]
StoppedBy = Literal["evaluations", "standard error", "payment error", "time", "all coalitions"]

_BATCH = 256
"""Coalitions that `evaluate` is asked for at a time."""

_CHOSEN_AT_A_TIME = 16
"""Coalitions chosen from one fit where the next ones depend on the values so far."""

_PROCESS_SAMPLES, _QUADRATIC_SAMPLES = 2, 5
"""Samples a party; with fewer a surrogate would fit accidents, and means by size remain."""

_LARGEST_PROCESS = 2_000
"""Samples beyond which a Gaussian process takes minutes; the quadratic surrogate steps in."""

_PROCESS_PARTIES = 64
"""Parties beyond which the covariance of all flows, n**4 numbers, is too large for a process."""

_MOST_WEIGHTS = 2**27
"""Weights of samples in flows, one a sample and flow, that are held at once: 1 GiB of them."""

_REFIT = 1.25
"""A target error is looked at whenever the sample has grown by this factor."""

_ROWS = 400
"""Rows of scatter that are kept: so many drawn mixtures tell errors to 4 %."""


@dataclass(frozen=True, eq=False)
class FlowEstimate:
    """Estimated payoff flows, how they err together, and what was evaluated."""

    flows: FloatArray
    """``flows[payer, payee]``, shape (n, n); rows sum to v(N) - v(i), eq. (4)."""
    scatter: FloatArray
    """How the flows err together, shape (rows, n, n): their error is a sum of these rows, each
    times a standard normal number of its own. No rows once everything is known."""
    own_scatter: FloatArray
    """The same rows for v(i), shape (rows, n): not zero where several seeds were evaluated."""
    coalitions: tuple[int, ...]
    """Bitmasks evaluated, in the order of evaluation, each once."""
    values: FloatArray
    """Of each coalition, the mean over seeds."""
    seed_values: FloatArray
    """Shape (seeds, samples); one seed where ``evaluate`` gives one value a coalition."""
    own_values: FloatArray
    grand_value: float
    method: str
    seed: int
    stopped_by: StoppedBy

    @property
    def standard_errors(self) -> FloatArray:
        """Of each flow, shape (n, n); zero once every coalition was evaluated."""
        return np.asarray(np.sqrt((self.scatter**2).sum(axis=0)))

    @property
    def n_parties(self) -> int:
        """Count of the parties."""
        return len(self.own_values)

    @property
    def n_evaluations(self) -> int:
        """How many coalitions were evaluated."""
        return len(self.coalitions)

    @property
    def n_seeds(self) -> int:
        """How many seeds were evaluated; with one, nothing is known of their noise."""
        return len(self.seed_values)


def estimate_flows(
    evaluate: Evaluate,
    n_parties: int,
    evaluations: int,
    seed: int = 0,
    method: str = "gaussian-process",
    *,
    choose: str = "sizes",
    budgets: npt.ArrayLike | None = None,
    target_standard_error: float | None = None,
    target_payment_error: float | None = None,
    wall_time_s: float | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    previous: FlowEstimate | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FlowEstimate:
    """Payoff flows from the values of some of the 2**n - 1 coalitions.

    Parameters
    ----------
    evaluate : callable
        Takes distinct coalitions as a boolean matrix, shape (batch, n), a row a coalition and a
        column a party, and returns their values, shape (batch,), or those of several seeds, shape
        (seeds, batch); called in batches, so that training can be batched.
    n_parties : int
        2 to 256.
    evaluations : int
        Most coalitions to evaluate, those of ``previous`` included. The grand coalition and
        the n parties alone are always among them.
    seed : int
        Of the choice of coalitions.
    method : {"gaussian-process", "quadratic", "stratified", "permutation"}
        ``gaussian-process``: a smooth random game with a length scale a party, `fit_process`,
        averaged with the next two as far as they foretell values left out of the sample nearly
        as well, `average`; up to 64 parties and 2,000 evaluations, beyond them ``quadratic``
        steps in. ``quadratic``: a
        quadratic surrogate with size effects, its residual by means of size.
        ``stratified``: means by size alone.
        ``permutation``: one sampled game per payer, as libraries without shared samples do; for
        comparison.
    choose : {"sizes", "flows", "payments"}
        Which coalitions: a list fixed by the seed, sizes by turn; or those from which the process
        learns most of the flows, or of the net payments under ``budgets``.
    budgets : float64, shape (n,), optional
        Expected budgets; for ``choose="payments"`` and ``target_payment_error``. No limit if left
        out.
    target_standard_error : float, optional
        Stop when no flow's standard error is larger, in value units.
    target_payment_error : float, optional
        Stop when no party's net payment has a larger standard error, in value units.
    wall_time_s : float, optional
        Stop after the batch that passes this many seconds on ``clock``.
    batch_size : int, optional
        256 of a fixed list, 16 of those chosen by what is known.
    progress : callable, optional
        Called with (evaluated, most) after each batch.
    previous : FlowEstimate, optional
        Go on from there, with the seed and method kind that it had; nothing is evaluated twice.
    clock : callable
        Seconds; only asked if ``wall_time_s`` is given.

    Returns
    -------
    FlowEstimate

    Raises
    ------
    EstimationError
        If the numbers make no sense, ``evaluate`` answers with the wrong shape or something
        that is not finite, or there are too few evaluations for the method.

    Notes
    -----
    One coalition informs all n (n - 1) flows. Estimates approach eq. (5) and equal it when
    every coalition was evaluated (but for ``permutation``). Flows that share a sample share its
    accidents; the scatter keeps them together, so that errors of payoffs are right as well. Choices
    depend on values and seed alone: a run that is repeated chooses the same coalitions again.

    Examples
    --------
    >>> from ml.game import family
    >>> game = family("saturating", 12)
    >>> estimate = estimate_flows(game.evaluate, 12, 100)
    >>> bool(np.abs(estimate.flows - game.flows).max() < 0.05 * game.flows.max())
    True
    """
    if batch_size is None:
        batch_size = _BATCH if choose == "sizes" else _CHOSEN_AT_A_TIME
    _check_arguments(n_parties, evaluations, method, choose, batch_size, previous)
    limits = checked_budgets(budgets, n_parties)
    if previous is not None:
        seed = previous.seed
    started = clock() if wall_time_s is not None else 0.0
    recalled: dict[int, FloatArray] = {}
    if previous is not None:
        recalled = dict(zip(previous.coalitions, previous.seed_values.T, strict=True))
    most = min(evaluations, 2**n_parties - 1)
    known: dict[int, FloatArray] = {}
    stopped_by: StoppedBy = "evaluations"
    fitted_at = max(len(recalled), n_parties + 2)
    for batch in _batches(known, n_parties, most, seed, method, choose, limits, batch_size):
        new = [coalition for coalition in batch if coalition not in recalled]
        if new:
            recalled |= dict(zip(new, _ask(evaluate, new, n_parties), strict=True))
        known |= {coalition: recalled[coalition] for coalition in batch}
        if progress is not None and new:
            progress(len(known), most)
        if len(known) >= most or not new:
            continue
        if wall_time_s is not None and clock() - started >= wall_time_s:
            stopped_by = "time"
            break
        has_target = target_standard_error is not None or target_payment_error is not None
        if has_target and (len(known) >= _REFIT * fitted_at or choose != "sizes"):
            fitted_at = len(known)
            estimate = _fit(known, n_parties, seed, method, choose != "sizes", "standard error")
            if estimate.standard_errors.max() <= (target_standard_error or 0.0):
                return estimate
            if payment_errors(estimate, limits).max() <= (target_payment_error or 0.0):
                return replace(estimate, stopped_by="payment error")
    if len(known) >= 2**n_parties - 1:
        stopped_by = "all coalitions"
    return _fit(known, n_parties, seed, method, choose != "sizes", stopped_by)


def payment_errors(estimate: FlowEstimate, budgets: FloatArray) -> FloatArray:
    """Standard error of each party's net payment, to first order, shape (n,)."""
    derivative = flow_derivative(np.maximum(estimate.flows, 0.0), budgets)
    moved = np.tensordot(estimate.scatter, derivative, axes=([1, 2], [0, 1]))  # (rows, n)
    return np.asarray(np.sqrt((moved**2).sum(axis=0)))


def _batches(
    known: dict[int, FloatArray],
    n_parties: int,
    most: int,
    seed: int,
    method: str,
    choose: str,
    budgets: FloatArray,
    batch_size: int,
) -> Iterator[list[int]]:
    """Yield what to evaluate next, as long as it is allowed, looking at what is known by then."""
    if method == "permutation":
        order = permutation_coalitions(n_parties, seed, most)
    else:
        length = most if choose == "sizes" else min(most, 3 * n_parties)
        order = stratified_order(n_parties, seed, length)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
    while choose != "sizes" and len(known) < most:
        bits, values = _arrays(known, n_parties)
        fits = fit_process(bits, values)
        derivative = None
        if choose == "payments":
            flows = np.mean([np.tensordot(values, fit.weights, 1) for fit in fits], axis=0)
            derivative = flow_derivative(np.maximum(flows, 0.0), budgets)
        count = min(batch_size, most - len(known))
        yield next_coalitions(fits, set(known), count, derivative, (seed, len(known)))


def _arrays(known: dict[int, FloatArray], n_parties: int) -> tuple[FloatArray, FloatArray]:
    """Coalitions as rows of 0 and 1, and their mean values over seeds."""
    bits = coalition_matrix(known, n_parties).astype(np.float64)
    return bits, np.array(list(known.values())).mean(axis=1)


def _check_arguments(
    n_parties: int,
    evaluations: int,
    method: str,
    choose: str,
    batch_size: int,
    previous: FlowEstimate | None,
) -> None:
    if method not in ESTIMATORS:
        raise EstimationError(f"Method is {method!r}; expected one of {', '.join(ESTIMATORS)}.")
    if choose not in CHOICES:
        raise EstimationError(f"Choose is {choose!r}; expected one of {', '.join(CHOICES)}.")
    is_process = method == "gaussian-process" and n_parties <= _PROCESS_PARTIES
    if choose != "sizes" and not (is_process and evaluations <= _LARGEST_PROCESS):
        raise EstimationError(
            f"Choosing by {choose!r} with {method!r}, {n_parties} parties and {evaluations} "
            f"evaluations; expected 'gaussian-process', at most {_PROCESS_PARTIES} parties and at "
            f"most {_LARGEST_PROCESS} evaluations. Choose by 'sizes' instead."
        )
    if not 2 <= n_parties <= MAX_PARTIES:
        raise EstimationError(
            f"Number of parties is {n_parties}; expected 2 to {MAX_PARTIES}. Who has flows from "
            "elsewhere settles them as they are."
        )
    least = n_parties + 1
    if method == "permutation":
        least += n_parties * (n_parties - 2)
    least = min(least, 2**n_parties - 1)
    if evaluations < least:
        raise EstimationError(
            f"{evaluations} evaluations for {n_parties} parties; method {method!r} needs at "
            f"least {least}: everybody together, each party alone, and a sample. Allow more."
        )
    if min(evaluations, 2**n_parties - 1) * n_parties**2 > _MOST_WEIGHTS:
        raise EstimationError(
            f"{evaluations} evaluations of {n_parties} parties hold {evaluations * n_parties**2:,} "
            f"weights, one a flow; expected at most {_MOST_WEIGHTS:,}: allow "
            f"{_MOST_WEIGHTS // n_parties**2:,} evaluations."
        )
    if batch_size < 1:
        raise EstimationError(f"Batch size is {batch_size}; expected at least 1.")
    if previous is not None:
        sampled = (method == "permutation", previous.method == "permutation")
        if previous.n_parties != n_parties or sampled[0] != sampled[1]:
            raise EstimationError(
                f"Previous estimate is {previous.method!r} for {previous.n_parties} parties; "
                f"expected one that {method!r} for {n_parties} parties can go on from."
            )


def _ask(evaluate: Evaluate, batch: list[int], n_parties: int) -> list[FloatArray]:
    """Values of each coalition of a batch, one a seed."""
    members = coalition_matrix(batch, n_parties)
    answer = as_floats(evaluate(members), "Values", EstimationError)
    if answer.ndim not in (1, 2) or answer.shape[-1] != len(batch):
        raise EstimationError(
            f"evaluate() returned shape {answer.shape} for {len(batch)} coalitions; "
            f"expected ({len(batch)},), one value each, or (seeds, {len(batch)})."
        )
    seeds = np.atleast_2d(answer)
    for place in np.flatnonzero(~np.isfinite(seeds).all(axis=0)):
        raise EstimationError(
            f"Value of coalition {batch[place]} {describe_coalition(batch[place])} is "
            f"{answer.T[place]}; expected a finite number. Train it again."
        )
    return list(seeds.T)


def _fit(
    known: dict[int, FloatArray],
    n_parties: int,
    seed: int,
    method: str,
    is_chosen: bool,
    stopped_by: StoppedBy,
) -> FlowEstimate:
    bits, values = _arrays(known, n_parties)  # (samples, n), (samples,)
    seed_values = np.array(list(known.values())).T
    sizes = bits.sum(axis=1)
    own = bits[sizes == 1].T @ values[sizes == 1]
    grand = float(values[sizes == n_parties][0])
    weights, scatter = _weights_and_scatter(tuple(known), bits, values, seed, method, is_chosen)
    flows = np.tensordot(values, weights, 1)
    # Rounding apart the rows sum to this already.
    off = 1 - np.eye(n_parties)
    flows = off * (flows + ((grand - own - flows.sum(axis=1)) / (n_parties - 1))[:, None])
    own_scatter = np.zeros((len(scatter), n_parties))
    if (n_seeds := len(seed_values)) > 1:
        # Each seed's own deviations, whatever they have in common, over the root of their number.
        noise = (seed_values - values) / np.sqrt(n_seeds * (n_seeds - 1))
        scatter = np.concatenate([scatter, np.tensordot(noise, weights, 1)])
        own_noise = noise[:, sizes == 1] @ bits[sizes == 1]
        own_scatter = np.concatenate([own_scatter, own_noise])
    if len(scatter) > _ROWS:
        mixed = np.random.default_rng(0).standard_normal((_ROWS, len(scatter))) / np.sqrt(_ROWS)
        scatter, own_scatter = np.tensordot(mixed, scatter, 1), mixed @ own_scatter
    return FlowEstimate(
        flows=flows,
        scatter=scatter,
        own_scatter=own_scatter,
        coalitions=tuple(known),
        values=values,
        seed_values=seed_values,
        own_values=own,
        grand_value=grand,
        method=method,
        seed=seed,
        stopped_by=stopped_by,
    )


def _weights_and_scatter(
    coalitions: tuple[int, ...],
    bits: FloatArray,
    values: FloatArray,
    seed: int,
    method: str,
    is_chosen: bool,
) -> tuple[FloatArray, FloatArray]:
    n_samples, n_parties = bits.shape
    if method == "permutation":
        places = {coalition: place for place, coalition in enumerate(coalitions)}
        return by_permutations(places, values, n_parties, seed)
    complete = n_samples == 2**n_parties - 1
    if method == "stratified" or complete or not _varies_within_sizes(bits, values):
        return by_size(bits, values)
    by_fit = [by_quadratic(bits, values)] if n_samples >= _QUADRATIC_SAMPLES * n_parties else []
    if method == "gaussian-process" and takes_process(n_parties, n_samples):
        fits = fit_process(bits, values)
        by_fit.insert(0, (*_by_process(fits, bits, values), left_out_of_process(fits, values)))
        # Means by size need coalitions that were drawn, not chosen.
        if is_chosen:
            del by_fit[1:]
        else:
            by_fit.append((*by_size(bits, values), left_out_of_sizes(bits, values)))
    if not by_fit:
        return by_size(bits, values)
    weights, scatter, missed = average(by_fit, bits)
    return weights, np.concatenate([scatter, _unseen_steps(bits, values, missed)])


def _unseen_steps(bits: FloatArray, values: FloatArray, missed: float) -> FloatArray:
    """Rows of scatter for steps that no draw has shown, shape (rows, n, n).

    A game of steps may agree with a simpler one on all of a sample, and then a surrogate that holds
    for the simpler one misses nothing. Each coalition that was not seen may be a step off, as far
    as `step_variance` says and the surrogate's own ``missed`` does not already.
    """
    n_parties = bits.shape[1]
    sizes = bits.sum(axis=1)
    drawn = values[(sizes > 1) & (sizes < n_parties)]
    # The two of a pair count as one draw, since they may well say the same.
    variance = step_variance(drawn, len(drawn) / 2) - missed
    if variance <= 0 or n_parties > _PROCESS_PARTIES:
        return np.zeros((0, n_parties, n_parties))
    kernel = white_kernel(n_parties)
    seen = kernel.flows(bits).reshape(len(bits), -1)
    unseen = kernel.flow_covariance().reshape(n_parties**2, -1) - seen.T @ seen
    return np.asarray(np.sqrt(variance) * _root(unseen, n_parties))


def takes_process(n_parties: int, n_samples: int) -> bool:
    """Whether a sample is neither too small nor too large for a Gaussian process."""
    enough = n_samples >= _PROCESS_SAMPLES * n_parties
    return enough and n_parties <= _PROCESS_PARTIES and n_samples <= _LARGEST_PROCESS


def _by_process(
    fits: list[FittedProcess], bits: FloatArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean weights of the fits, and their errors: what each fit says, and what it cannot know."""
    n_parties = bits.shape[1]
    weights = np.mean([fit.weights for fit in fits], axis=0)
    flows = np.tensordot(values, weights, 1)
    covariance = np.mean([fit.flow_covariance() for fit in fits], axis=0)
    disagreement = np.stack([np.tensordot(values, fit.weights, 1) - flows for fit in fits])
    # Predict each half of the sample from the other: steps and corners, which no smooth game
    # has, show as large misses. The misses form a game of their own: its flows, estimated by
    # means by size, are added to the error, and so is the error of that estimate. Payoffs depend
    # on v(C) - v(N without C) alone, which may be far smoother than the rest of a game: they get
    # errors of their own, by the misses of such differences.
    ratio, missed = surprise(fits[0], values)
    of_differences, of_all = caution(fits[0], values)
    own = np.sqrt(ratio) * _root(covariance, n_parties)
    paid = payoff_part(own)
    rows = [of_differences * paid + of_all * (own - paid), disagreement / np.sqrt(len(fits))]
    wrong, rough = _flows_missed(bits, missed)
    wrong_paid, rough_paid = _flows_missed(bits, of_pairs(bits, missed))
    rows.append(wrong - payoff_part(wrong) + payoff_part(wrong_paid))
    rows += [rough - payoff_part(rough), payoff_part(rough_paid)]
    scatter = np.concatenate(rows)
    # Row sums are known, eq. (4): what rounding of a large covariance leaves of them is taken off.
    off = 1 - np.eye(n_parties)
    scatter -= (scatter.sum(axis=2) / (n_parties - 1))[:, :, None] * off
    return weights, scatter


def _flows_missed(bits: FloatArray, missed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Flows of the misses, shape (1, n, n), and how these err, shape (rows, n, n)."""
    weights, scatter = by_size(bits, missed, missed, is_rest=True)
    return np.tensordot(missed, weights, 1)[None], scatter


def payoff_part(flows: FloatArray) -> FloatArray:
    """Smallest flows with the same payoffs whose rows sum to zero, shape (rows, n, n)."""
    n_parties = flows.shape[-1]
    if n_parties == 2:
        return np.asarray(flows)
    paid = (flows.sum(axis=1) - flows.sum(axis=2)) / (n_parties * (n_parties - 2))  # (rows, n)
    part = (n_parties - 1) * paid[:, None, :] + paid[:, :, None]
    return np.asarray(part * (1 - np.eye(n_parties)))


def _root(covariance: FloatArray, n_parties: int) -> FloatArray:
    """Rows that scatter as this covariance says, shape (rows, n, n)."""
    off = ~np.eye(n_parties, dtype=bool).ravel()
    inner = covariance[np.ix_(off, off)]
    if len(inner) <= _ROWS:
        spreads, axes = np.linalg.eigh(inner)
        rows = (axes * np.sqrt(np.maximum(spreads, 0.0))).T
    else:
        drawn = np.random.default_rng(1).standard_normal((_ROWS, len(inner))) / np.sqrt(_ROWS)
        rows = drawn @ _lower(inner).T
    scatter = np.zeros((len(rows), n_parties**2))
    scatter[:, off] = rows
    return scatter.reshape(-1, n_parties, n_parties)


def _lower(covariance: FloatArray) -> FloatArray:
    """Cholesky factor, with as little added to the diagonal as rounding makes necessary.

    Rows of flows sum to a known amount, so some directions have no variance at all.
    """
    from scipy.linalg import lapack

    mean = float(np.abs(np.diag(covariance)).mean()) + 1e-300
    for share in (1e-8, 1e-6, 1e-4, 1e-2, 1.0):
        lower, failed = lapack.dpotrf(covariance + share * mean * np.eye(len(covariance)), lower=1)
        if not failed:
            return np.asarray(np.tril(lower))
    return np.asarray(np.diag(np.sqrt(np.maximum(np.diag(covariance), 0.0))))


def _varies_within_sizes(bits: FloatArray, values: FloatArray) -> bool:
    """Whether more than size matters in the sample: if not, a surrogate would fit it exactly."""
    sizes = bits.sum(axis=1)
    ranges = [np.ptp(values[sizes == size]) for size in np.unique(sizes)]
    return bool(max(ranges) > 1e-12 * np.abs(values).max())
