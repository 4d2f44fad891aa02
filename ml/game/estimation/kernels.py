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
    """One 2 x 2 matrix a party, shape (n,) each; absent * present >= differs**2."""

    absent: FloatArray
    differs: FloatArray
    present: FloatArray

    def matrix(self, bits: FloatArray, others: FloatArray) -> FloatArray:
        """Covariance of the values of two lists of coalitions, shape (len(bits), len(others))."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.maximum(np.log(m), -1e4) for m in (self.absent, self.differs, self.present)]
        absent, differs, present = logs
        exponent = (bits * present) @ others.T + ((1 - bits) * absent) @ (1 - others).T
        exponent += (bits * differs) @ (1 - others).T + ((1 - bits) * differs) @ others.T
        return np.asarray(np.exp(exponent))

    def flows(self, bits: FloatArray) -> FloatArray:
        """Covariance of each flow with the values of coalitions, shape (samples, n, n)."""
        nodes, weights = _nodes(bits.shape[1])
        inside = np.where(bits > 0, self.present, self.differs)  # (samples, n) party is in
        outside = np.where(bits > 0, self.differs, self.absent)
        either = nodes[:, None, None] * inside + (1 - nodes)[:, None, None] * outside
        # At a node all parties together; payer and payee then take their place in the product.
        whole = weights[:, None] * either.prod(axis=2)  # (nodes, samples)
        payers = np.moveaxis(inside / either, 0, 2) * whole.T[:, None, :]  # (samples, n, nodes)
        payees = np.moveaxis((inside - outside) / either, 0, 1)  # (samples, nodes, n)
        flows: FloatArray = payers @ payees
        diagonal = np.arange(bits.shape[1])
        flows[:, diagonal, diagonal] = 0.0
        return flows

    def flow_covariance(self) -> FloatArray:
        """Covariance of flows i to j and k to l at ``[i, j, k, l]``, shape (n, n, n, n)."""
        n_parties = len(self.absent)
        nodes, weights = _nodes(n_parties)
        first, second = (axis.ravel() for axis in np.meshgrid(nodes, nodes, indexing="ij"))
        first, second = first[:, None], second[:, None]  # (pairs of nodes, 1)
        both = first * second * self.present + (1 - first) * (1 - second) * self.absent
        both = both + (first * (1 - second) + (1 - first) * second) * self.differs
        whole = np.outer(weights, weights).ravel() * both.prod(axis=1)

        def payer(node: FloatArray) -> FloatArray:
            return ((1 - node) * self.differs + node * self.present) / both

        def payee(node: FloatArray) -> FloatArray:
            change = (1 - node) * (self.differs - self.absent)
            return (change + node * (self.present - self.differs)) / both

        # i and j stand beside the second flow's node, k and l beside the first one's.
        i, j, k, m = payer(second), payee(second), payer(first), payee(first)
        pairs = np.einsum("q,qi,qj->qij", whole, i, j).reshape(len(whole), -1)
        others = np.einsum("qk,ql->qkl", k, m).reshape(len(whole), -1)
        covariance = (pairs.T @ others).reshape((n_parties,) * 4)
        # Where a party stands in both flows, its factor is one number and not a product of two.
        pays_both = self.present / both
        pays_earns = (self.present - self.differs) / both
        earns_both = (self.present - 2 * self.differs + self.absent) / both
        for party in range(n_parties):
            paying = (whole * pays_both[:, party])[:, None]
            mixed = (whole * pays_earns[:, party])[:, None]
            earning = (whole * earns_both[:, party])[:, None]
            covariance[party, :, party, :] = (paying * j).T @ m
            covariance[party, :, :, party] = (mixed * j).T @ k
            covariance[:, party, party, :] = (mixed * i).T @ m
            covariance[:, party, :, party] = (earning * i).T @ k
        twice = (whole[:, None] * pays_both).T @ earns_both
        crossed = (whole[:, None] * pays_earns).T @ pays_earns
        a, b = np.meshgrid(np.arange(n_parties), np.arange(n_parties), indexing="ij")
        covariance[a, b, a, b] = twice
        covariance[a, b, b, a] = crossed
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
