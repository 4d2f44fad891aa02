"""Rules and flow formulas of the closed-form games, one function a family."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import comb

import numpy as np

from ml.game.tables.coalitions import FloatArray

__all__ = ["FAMILIES"]

_Rules = tuple[Callable[[FloatArray], FloatArray], FloatArray]


def _weights(n_parties: int, rng: np.random.Generator) -> FloatArray:
    weights = rng.uniform(0.5, 1.5, n_parties)
    return np.asarray(weights / weights.sum())


def _additive(n_parties: int, rng: np.random.Generator) -> _Rules:
    weights = _weights(n_parties, rng)
    return lambda bits: bits @ weights, np.tile(weights, (n_parties, 1))


def _saturating(n_parties: int, rng: np.random.Generator) -> _Rules:
    return _saturate(3.0 * _weights(n_parties, rng))


def _dummy(n_parties: int, rng: np.random.Generator) -> _Rules:
    return _saturate(np.append(3.0 * _weights(n_parties - 1, rng), 0.0))


def _saturate(rates: FloatArray) -> _Rules:
    """1 - prod(1 - a_i) with a_i = 1 - exp(-rate_i).

    What j adds to C is a_j times the product of the others' 1 - a_k. In a random order the
    parties other than i and j that come before j are each in with chance t, t uniform, so
    F_ij = a_j (1 - a_i) * integral of prod_k (1 - t a_k): a polynomial, integrated exactly by
    Gauss-Legendre.
    """
    shares = -np.expm1(-rates)
    nodes, node_weights = _gauss(len(rates))
    factors = 1 - nodes[:, None] * shares  # (nodes, n)
    whole = factors.prod(axis=1)
    pairs = whole[:, None, None] / (factors[:, :, None] * factors[:, None, :])  # (nodes, n, n)
    means = np.einsum("t,tij->ij", node_weights, pairs)
    flows = (1 - shares)[:, None] * shares[None, :] * means
    return lambda bits: -np.expm1(-(bits @ rates)), flows


def _omnipotent(n_parties: int, rng: np.random.Generator) -> _Rules:
    of_others, _ = _saturate(np.append(0.0, 3.0 * _weights(n_parties - 1, rng)))

    def of_members(bits: FloatArray) -> FloatArray:
        return np.where(bits[:, 0] > 0, 1.0, of_others(bits))

    rates_of = np.log1p(-of_others(np.eye(n_parties)))
    shares = -np.expm1(rates_of)
    nodes, node_weights = _gauss(n_parties)
    factors = 1 - nodes[:, None] * shares  # (nodes, n)
    whole = factors.prod(axis=1)
    rows = np.zeros((n_parties, n_parties))
    # Party 0 adds what the others still lack; the rest is played while it is not there yet.
    rows[1:, 0] = (1 - shares[1:]) * (node_weights @ (whole[:, None] / factors[:, 1:]))
    pairs = whole[:, None, None] / (factors[:, :, None] * factors[:, None, :])
    without = np.einsum("t,tij->ij", node_weights * (1 - nodes), pairs)
    rows[1:, 1:] = ((1 - shares)[:, None] * shares[None, :] * without)[1:, 1:]
    return of_members, rows


def _coverage(n_parties: int, rng: np.random.Generator) -> _Rules:
    return _cover(_holdings(n_parties, rng), rng)


def _replicated(n_parties: int, rng: np.random.Generator) -> _Rules:
    holdings = _holdings(n_parties, rng)
    holdings[:, -1] = holdings[:, 0]
    holdings = holdings[holdings.any(axis=1)]
    return _cover(holdings, rng)


def _holdings(n_parties: int, rng: np.random.Generator) -> FloatArray:
    chances = rng.uniform(0.05, 0.4, n_parties)
    holdings = (rng.random((4 * n_parties, n_parties)) < chances).astype(np.float64)
    nobodys = np.flatnonzero(holdings.sum(axis=1) == 0)
    holdings[nobodys, rng.integers(0, n_parties, len(nobodys))] = 1.0
    return holdings


def _cover(holdings: FloatArray, rng: np.random.Generator) -> _Rules:
    """Weight of the samples that somebody in the coalition holds.

    j is paid for a sample by i if i does not hold it and j is the first of its h holders to
    come: F_ij is the weight of the samples that j holds and i does not, each over h.
    """
    holders = holdings.sum(axis=1)
    weights = rng.uniform(0.5, 1.5, len(holdings))
    weights /= weights.sum()
    shared = weights / holders
    flows = (1 - holdings).T @ (shared[:, None] * holdings)
    return lambda bits: ((bits @ holdings.T) > 0) @ weights, flows


def _airport(n_parties: int, rng: np.random.Generator) -> _Rules:
    """Largest weight of a member: a coverage game whose samples are the steps of the runway."""
    weights = np.sort(rng.random(n_parties))
    weights /= weights[-1]
    steps = np.diff(weights, prepend=0.0)
    holdings = (weights[None, :] >= weights[:, None]).astype(np.float64)  # (step, party)
    shared = steps / holdings.sum(axis=1)
    flows = (1 - holdings).T @ (shared[:, None] * holdings)
    return lambda bits: (bits * weights).max(axis=1), flows


def _unanimity(n_parties: int, rng: np.random.Generator) -> _Rules:
    """1 if the first half is all there: the payer aside, the last of them to come is paid."""
    needed = (np.arange(n_parties) < max(1, n_parties // 2)).astype(np.float64)
    n_needed = int(needed.sum())
    flows = np.zeros((n_parties, n_parties))
    flows[needed == 0] = needed / n_needed
    if n_needed > 1:
        flows[needed == 1] = needed / (n_needed - 1)
    return lambda bits: (bits @ needed >= n_needed).astype(np.float64), flows


def _glove(n_parties: int, rng: np.random.Generator) -> _Rules:
    """min(left gloves, right gloves) over the pairs there are; even parties hold left ones.

    j completes a pair if its side is the scarcer among those before it, payer included:
    hypergeometric counts.
    """
    left = np.arange(n_parties) % 2 == 0
    n_pairs = min(int(left.sum()), int((~left).sum()))

    def flow(payer_is_left: bool, payee_is_left: bool) -> float:
        # Counts of the others on the payee's side and on the far side, payer and payee aside.
        own = int((left == payee_is_left).sum()) - 1 - (payer_is_left == payee_is_left)
        far = int((left != payee_is_left).sum()) - (payer_is_left != payee_is_left)
        total = 0.0
        for size in range(own + far + 1):
            for near in range(max(0, size - far), min(own, size) + 1):
                on_side = near + (payer_is_left == payee_is_left)
                across = size - near + (payer_is_left != payee_is_left)
                if on_side < across:
                    total += comb(own, near) * comb(far, size - near) / comb(own + far, size)
        return total / (n_parties - 1) / n_pairs

    # Only the sides count: four different flows, whatever the number of parties.
    by_sides = np.array(
        [[flow(payer, payee) for payee in (False, True)] for payer in (False, True)]
    )
    flows = by_sides[left.astype(int)[:, None], left.astype(int)]

    def of_members(bits: FloatArray) -> FloatArray:
        return np.asarray(
            np.minimum(bits[:, left].sum(axis=1), bits[:, ~left].sum(axis=1)) / n_pairs
        )

    return of_members, flows


@functools.cache
def _gauss(degree: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1], exact for polynomials of this degree."""
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    return (nodes + 1) / 2, weights / 2


FAMILIES: dict[str, Callable[[int, np.random.Generator], _Rules]] = {
    "additive": _additive,
    "airport": _airport,
    "coverage": _coverage,
    "dummy": _dummy,
    "glove": _glove,
    "omnipotent": _omnipotent,
    "replicated": _replicated,
    "saturating": _saturating,
    "unanimity": _unanimity,
}
