"""Payoff flows when 2**n models are too many: estimated from a sample of coalitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.errors import EstimationError
from ml.game.estimation.permutations import flows_by_permutations, permutation_coalitions
from ml.game.estimation.sampling import stratified_order
from ml.game.estimation.size_means import flows_by_size, on_row_sums
from ml.game.estimation.surrogates import fit_gaussian_process, fit_quadratic
from ml.game.tables.coalitions import FloatArray, coalition_bits, describe_coalition
from ml.game.tables.reading import as_floats
from ml.game.words import ESTIMATORS, MAX_PARTIES

__all__ = ["FlowEstimate", "estimate_flows"]

CoalitionArray = npt.NDArray[np.uint64]
Evaluate = Callable[[CoalitionArray], npt.ArrayLike]
Progress = Callable[[int, int], None]
StoppedBy = Literal["evaluations", "standard error", "time", "all coalitions"]

_BATCH = 256
_SAMPLES_A_PARTY = 5
"""With fewer samples a surrogate would fit accidents; means by size are all there is."""

_REFIT = 1.25
"""A target standard error is looked at whenever the sample has grown by this factor."""


@dataclass(frozen=True, eq=False)
class FlowEstimate:
    """Estimated payoff flows, what is known of their error, and what was evaluated."""

    flows: FloatArray
    """``flows[payer, payee]``, shape (n, n); rows sum to v(N) - v(i), eq. (4)."""
    standard_errors: FloatArray
    """Of each flow, shape (n, n); zero once every coalition was evaluated."""
    coalitions: CoalitionArray
    """Bitmasks evaluated, in the order of evaluation, each once."""
    values: FloatArray
    own_values: FloatArray
    grand_value: float
    method: str
    seed: int
    stopped_by: StoppedBy

    @property
    def n_parties(self) -> int:
        """Count of the parties."""
        return len(self.own_values)

    @property
    def n_evaluations(self) -> int:
        """How many coalitions were evaluated."""
        return len(self.coalitions)


def estimate_flows(
    evaluate: Evaluate,
    n_parties: int,
    evaluations: int,
    seed: int = 0,
    method: str = "quadratic",
    *,
    target_standard_error: float | None = None,
    wall_time_s: float | None = None,
    batch_size: int = _BATCH,
    progress: Progress | None = None,
    previous: FlowEstimate | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FlowEstimate:
    """Payoff flows from the values of some of the 2**n - 1 coalitions.

    Parameters
    ----------
    evaluate : callable
        Takes a uint64 array of distinct coalitions (bitmasks) and returns their values; called
        in batches, so that training can be batched.
    n_parties : int
        2 to 64.
    evaluations : int
        Most coalitions to evaluate, those of ``previous`` included. The grand coalition and
        the n parties alone are always among them.
    seed : int
        Of the choice of coalitions.
    method : {"quadratic", "gaussian-process", "stratified", "permutation"}
        ``quadratic``: quadratic surrogate with size effects, its residual by means of size.
        ``gaussian-process``: likewise with a diffusion kernel; more exact on smooth games,
        cubic in the evaluations. ``stratified``: means by size alone. ``permutation``: one
        sampled game per payer, as libraries without shared samples do; for comparison. With
        fewer than 5 samples a party the surrogates step back and means by size remain.
    target_standard_error : float, optional
        Stop when no flow's standard error is larger, in value units.
    wall_time_s : float, optional
        Stop after the batch that passes this many seconds on ``clock``.
    batch_size : int
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
    every coalition was evaluated (but for ``permutation``). Standard errors come from the
    sample alone: parts of it that happen to show no variance borrow from the rest, and a
    sample in which nothing but size matters is as uncertain as an event that it may have missed.

    Examples
    --------
    >>> from ml.game import family
    >>> game = family("saturating", 12)
    >>> estimate = estimate_flows(game.evaluate, 12, 500)
    >>> bool(np.abs(estimate.flows - game.flows).max() < 0.05 * game.flows.max())
    True
    """
    _check_arguments(n_parties, evaluations, method, batch_size, previous)
    if previous is not None:
        seed = previous.seed
    started = clock() if wall_time_s is not None else 0.0
    wanted = _wanted(n_parties, evaluations, seed, method)
    known: dict[int, float] = {}
    if previous is not None:
        pairs = zip(previous.coalitions.tolist(), previous.values.tolist(), strict=True)
        known = dict(pairs)
    missing = [coalition for coalition in wanted if coalition not in known]
    everything = len(known) + len(missing) >= 2**n_parties - 1
    stopped_by: StoppedBy = "all coalitions" if everything else "evaluations"
    fitted_at = max(len(known), n_parties + 2)
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        known |= dict(zip(batch, _ask(evaluate, batch), strict=True))
        if progress is not None:
            progress(len(known), len(known) + len(missing) - start - len(batch))
        if start + batch_size >= len(missing):
            break
        if wall_time_s is not None and clock() - started >= wall_time_s:
            stopped_by = "time"
            break
        if target_standard_error is not None and len(known) >= _REFIT * fitted_at:
            fitted_at = len(known)
            estimate = _fit(known, n_parties, seed, method, "standard error")
            if estimate.standard_errors.max() <= target_standard_error:
                return estimate
    return _fit(known, n_parties, seed, method, stopped_by)


def _check_arguments(
    n_parties: int, evaluations: int, method: str, batch_size: int, previous: FlowEstimate | None
) -> None:
    if method not in ESTIMATORS:
        raise EstimationError(f"Method is {method!r}; expected one of {', '.join(ESTIMATORS)}.")
    if not 2 <= n_parties <= MAX_PARTIES:
        raise EstimationError(
            f"Number of parties is {n_parties}; expected 2 to {MAX_PARTIES}: a coalition "
            "is 64 bits."
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
    if batch_size < 1:
        raise EstimationError(f"Batch size is {batch_size}; expected at least 1.")
    if previous is not None:
        sampled = (method == "permutation", previous.method == "permutation")
        if previous.n_parties != n_parties or sampled[0] != sampled[1]:
            raise EstimationError(
                f"Previous estimate is {previous.method!r} for {previous.n_parties} parties; "
                f"expected one that {method!r} for {n_parties} parties can go on from."
            )


def _wanted(n_parties: int, evaluations: int, seed: int, method: str) -> list[int]:
    if method != "permutation":
        return [int(c) for c in stratified_order(n_parties, seed, evaluations)]
    return permutation_coalitions(n_parties, seed, evaluations)


def _ask(evaluate: Evaluate, batch: list[int]) -> list[float]:
    answer = as_floats(evaluate(np.array(batch, dtype=np.uint64)), "Values", EstimationError)
    if answer.shape != (len(batch),):
        raise EstimationError(
            f"evaluate() returned shape {answer.shape} for {len(batch)} coalitions; "
            f"expected ({len(batch)},), one value each."
        )
    for place in np.flatnonzero(~np.isfinite(answer)):
        raise EstimationError(
            f"Value of coalition {batch[place]} {describe_coalition(batch[place])} is "
            f"{answer[place]}; expected a finite number. Train it again."
        )
    return [float(value) for value in answer]


def _fit(
    known: dict[int, float], n_parties: int, seed: int, method: str, stopped_by: StoppedBy
) -> FlowEstimate:
    coalitions = np.array(list(known), dtype=np.uint64)
    values = np.array(list(known.values()))
    bits = coalition_bits(coalitions, n_parties)  # (samples, n)
    sizes = bits.sum(axis=1)
    own = bits[sizes == 1].T @ values[sizes == 1]
    grand = float(values[sizes == n_parties][0])
    flows, errors = _flows_and_errors(known, bits, values, seed, method)
    flows = on_row_sums(flows, grand - own)
    return FlowEstimate(flows, errors, coalitions, values, own, grand, method, seed, stopped_by)


def _flows_and_errors(
    known: dict[int, float], bits: FloatArray, values: FloatArray, seed: int, method: str
) -> tuple[FloatArray, FloatArray]:
    if method == "permutation":
        return flows_by_permutations(known, bits.shape[1], seed)
    too_few = len(values) < _SAMPLES_A_PARTY * bits.shape[1]
    if method == "stratified" or too_few or not _varies_within_sizes(bits, values):
        return flows_by_size(bits, values)
    fit = (
        fit_quadratic(bits, values) if method == "quadratic" else fit_gaussian_process(bits, values)
    )
    rest, errors = flows_by_size(bits, fit.residuals, fit.left_out)
    if fit.standard_errors is not None and errors.any():
        # A process says what it does not know; the means by size know when nothing is left.
        errors = fit.standard_errors
    return fit.flows + rest, errors


def _varies_within_sizes(bits: FloatArray, values: FloatArray) -> bool:
    """Whether more than size matters in the sample: if not, a surrogate would fit it exactly."""
    sizes = bits.sum(axis=1)
    ranges = [np.ptp(values[sizes == size]) for size in np.unique(sizes)]
    return bool(max(ranges) > 1e-12 * np.abs(values).max())
