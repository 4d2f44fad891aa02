"""Which coalitions to evaluate next: those from which flows or net payments are learnt most."""

from __future__ import annotations

import numpy as np

from ml.game.estimation.process import FittedProcess
from ml.game.tables.coalitions import FloatArray, coalition_matrix

__all__ = ["next_coalitions"]

_CANDIDATES = 500
"""Coalitions among which the next ones are sought; all where there are no more."""


def next_coalitions(
    fits: list[FittedProcess],
    known: set[int],
    count: int,
    derivative: FloatArray | None,
    seed: tuple[int, ...],
) -> list[int]:
    """Coalitions that lower the summed variance of what is wanted most, one after the other.

    Parameters
    ----------
    fits : list of FittedProcess
    known : set of int
        Coalitions that need not be evaluated again.
    count : int
    derivative : float64, shape (n, n, n), optional
        Of what is wanted with respect to the flows, such as net payments; the flows themselves
        are wanted if not given.
    seed : tuple of int
        Of the candidates, where there are too many coalitions to look at all.
    """
    n_parties = fits[0].bits.shape[1]
    candidates = _candidates(n_parties, known, np.random.default_rng(seed))
    bits = coalition_matrix(candidates, n_parties).astype(np.float64)
    wanted, own = [], []
    for fit in fits:
        with_flows, among = fit.covariance_with(bits)
        if derivative is None:
            wanted.append(with_flows.reshape(len(bits), -1))
        else:
            wanted.append(np.tensordot(with_flows, derivative, axes=([1, 2], [0, 1])))
        own.append(among)
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        gains = np.zeros(len(candidates))
        for covariance, among in zip(wanted, own, strict=True):
            spread = np.diag(among)
            usable = spread > 1e-12 * spread.max()
            gains += np.where(usable, (covariance**2).sum(axis=1) / np.where(usable, spread, 1), 0)
        gains[chosen] = -1.0
        best = int(np.argmax(gains))
        chosen.append(best)
        for place, (covariance, among) in enumerate(zip(wanted, own, strict=True)):
            if among[best, best] <= 0:
                continue
            # Treat its value as known, and remove the covariance that it would explain.
            share = among[:, best] / among[best, best]
            wanted[place] = covariance - share[:, None] * covariance[best]
            own[place] = among - np.outer(share, among[best])
    return [candidates[place] for place in chosen]


def _candidates(n_parties: int, known: set[int], rng: np.random.Generator) -> list[int]:
    if n_parties <= 10:
        everything = [c for c in range(1, 2**n_parties) if c not in known]
        if len(everything) <= _CANDIDATES:
            return everything
    found: dict[int, None] = {}
    sizes = np.arange(2, n_parties)
    chances = 1 / sizes + 1 / (n_parties - sizes)
    for _ in range(20 * _CANDIDATES):
        size = int(rng.choice(sizes, p=chances / chances.sum()))
        members = rng.choice(n_parties, size, replace=False)
        coalition = sum(1 << int(party) for party in members)
        if coalition not in known:
            found[coalition] = None
        if len(found) >= _CANDIDATES:
            break
    if not found:  # nearly all are known
        found = dict.fromkeys(c for c in range(1, 2**n_parties) if c not in known)
    return list(found)
