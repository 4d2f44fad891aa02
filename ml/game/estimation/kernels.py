"""Product kernels over coalitions, and what the payoff flows of such a random game are.

A kernel is a product over the parties of a 2 x 2 matrix: ``absent`` where a party is in neither
of two coalitions, ``differs`` where it is in one, ``present`` where it is in both. A flow is a mean
of differences v(C + j) - v(C) over C that hold i, in which each other party is in with chance t, t
uniform on [0, 1]: given t, a product over the parties as well. So flows of the kernel are
one-dimensional integrals of products, and their covariances two-dimensional ones, whatever n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.game.tables.coalitions import FloatArray

__all__ = ["ProductKernel", "white_kernel"]


@dataclass(frozen=True, eq=False)
class ProductKernel:
    """One 2 x 2 matrix a party, shape (n,) each; absent * present >= differs**2.

    The random game is the sum of an even part (v(C) + v(N without C)) / 2 and an odd part
    (v(C) - v(N without C)) / 2. The odd part is multiplied by ``odd``; the even one is kept.
    """

    absent: FloatArray
    differs: FloatArray
    present: FloatArray
    odd: float = 1.0

    def matrix(self, bits: FloatArray, others: FloatArray) -> FloatArray:
        """Covariance of the values of two lists of coalitions, shape (len(bits), len(others))."""
        return sum(
            (share * self.product(one, other) for share, one, other in self._sides(bits, others)),
            np.zeros((len(bits), len(others))),
        )

    def product(self, bits: FloatArray, others: FloatArray) -> FloatArray:
        """The same before the odd part is scaled."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.maximum(np.log(m), -1e4) for m in (self.absent, self.differs, self.present)]
        absent, differs, present = logs
        exponent = (bits * present) @ others.T + ((1 - bits) * absent) @ (1 - others).T
        exponent += (bits * differs) @ (1 - others).T + ((1 - bits) * differs) @ others.T
        return np.asarray(np.exp(exponent))

    def shares(self) -> tuple[float, float]:
        """Weights of v(C) and v(N without C) in the value of C once the odd part is scaled."""
        return (1 + self.odd) / 2, (1 - self.odd) / 2

    def _sides(
        self, bits: FloatArray, others: FloatArray
    ) -> list[tuple[float, FloatArray, FloatArray]]:
        kept, mirrored = self.shares()
        sides = [(kept**2, bits, others)]
        if mirrored:
            sides += [(kept * mirrored, bits, 1 - others), (kept * mirrored, 1 - bits, others)]
            sides += [(mirrored**2, 1 - bits, 1 - others)]
        return sides

    def flows(self, bits: FloatArray) -> FloatArray:
        """Covariance of each flow with the values of coalitions, shape (samples, n, n)."""
        kept, mirrored = self.shares()
        flows = np.zeros((*bits.shape, bits.shape[1]))
        for share, one in ((kept, bits), (mirrored, 1 - bits)):
            if share == 0:
                continue
            inside = np.where(one > 0, self.present, self.differs)  # (samples, n) party is in
            outside = np.where(one > 0, self.differs, self.absent)
            flows += share * kept * _flows(inside, outside)
            if mirrored:
                flows += share * mirrored * _flows(outside, inside)
        return flows

    def flow_covariance(self) -> FloatArray:
        """Covariance of flows i to j and k to l at ``[i, j, k, l]``, shape (n, n, n, n)."""
        kept, mirrored = self.shares()
        straight = np.array([[self.absent, self.differs], [self.differs, self.present]])
        covariance = kept**2 * _flow_covariance(straight)
        if mirrored:
            crossed = _flow_covariance(straight[::-1])
            covariance += kept * mirrored * (crossed + crossed.transpose(2, 3, 0, 1))
            covariance += mirrored**2 * _flow_covariance(straight[::-1, ::-1])
        return np.asarray(covariance)


def _flows(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Flows of a product over parties, one factor for those inside and one for those outside."""
    n_parties = inside.shape[1]
    nodes, weights = _nodes(n_parties)
    either = nodes[:, None, None] * inside + (1 - nodes)[:, None, None] * outside
    # At a node all parties together; payer and payee then take their place in the product.
    whole = weights[:, None] * either.prod(axis=2)  # (nodes, samples)
    payers = np.moveaxis(inside / either, 0, 2) * whole.T[:, None, :]  # (samples, n, nodes)
    payees = np.moveaxis((inside - outside) / either, 0, 1)  # (samples, nodes, n)
    flows: FloatArray = payers @ payees
    diagonal = np.arange(n_parties)
    flows[:, diagonal, diagonal] = 0.0
    return flows


def _flow_covariance(factor: FloatArray) -> FloatArray:
    """Covariance of all flows where ``factor[a, b]`` are the parties' factors, shape (2, 2, n).

    a says whether the party is in the first flow's coalition, b whether it is in the second's.
    """
    n_parties = factor.shape[2]
    nodes, weights = _nodes(n_parties)
    first, second = (axis.ravel() for axis in np.meshgrid(nodes, nodes, indexing="ij"))
    first, second = first[:, None], second[:, None]  # (pairs of nodes, 1)
    # What a party is worth by the first coalition, and what its coming there adds.
    given_first = (1 - first) * factor[0, :, None] + first * factor[1, :, None]  # (2, pairs, n)
    given_second = (1 - second) * factor[:, 0, None] + second * factor[:, 1, None]
    both = (1 - second) * given_first[0] + second * given_first[1]
    whole = np.outer(weights, weights).ravel() * both.prod(axis=1)
    # i and j stand beside the second flow's node, k and l beside the first one's.
    i, j = given_second[1] / both, (given_second[1] - given_second[0]) / both
    k, m = given_first[1] / both, (given_first[1] - given_first[0]) / both
    pairs = np.einsum("q,qi,qj->qij", whole, i, j).reshape(len(whole), -1)
    others = np.einsum("qk,ql->qkl", k, m).reshape(len(whole), -1)
    covariance = (pairs.T @ others).reshape((n_parties,) * 4)
    # Where a party stands in both flows, its factor is one number and not a product of two.
    pays_both = factor[1, 1] / both
    pays_earns = (factor[1, 1] - factor[1, 0]) / both
    earns_pays = (factor[1, 1] - factor[0, 1]) / both
    earns_both = (factor[1, 1] - factor[1, 0] - factor[0, 1] + factor[0, 0]) / both
    for party in range(n_parties):
        weighed = {
            name: (whole * ratio[:, party])[:, None]
            for name, ratio in (
                ("pays", pays_both),
                ("pays earns", pays_earns),
                ("earns pays", earns_pays),
                ("earns", earns_both),
            )
        }
        covariance[party, :, party, :] = (weighed["pays"] * j).T @ m
        covariance[party, :, :, party] = (weighed["pays earns"] * j).T @ k
        covariance[:, party, party, :] = (weighed["earns pays"] * i).T @ m
        covariance[:, party, :, party] = (weighed["earns"] * i).T @ k
    a, b = np.meshgrid(np.arange(n_parties), np.arange(n_parties), indexing="ij")
    covariance[a, b, a, b] = (whole[:, None] * pays_both).T @ earns_both
    covariance[a, b, b, a] = (whole[:, None] * pays_earns).T @ earns_pays
    same = np.arange(n_parties)
    covariance[same, same] = 0.0
    covariance[:, :, same, same] = 0.0
    return np.asarray(covariance)


def white_kernel(n_parties: int) -> ProductKernel:
    """Values that have nothing to do with each other: the limit of ever shorter lengths."""
    ones = np.ones(n_parties)
    return ProductKernel(ones, np.zeros(n_parties), ones)


def _nodes(n_parties: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on [0, 1], exact for products over n parties."""
    nodes, weights = np.polynomial.legendre.leggauss(n_parties // 2 + 1)
    return (nodes + 1) / 2, weights / 2
