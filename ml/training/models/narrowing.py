"""Leaving out input columns that are zero in every training sample.

The weights of such a column get no gradient, and Adam leaves a weight that never had one where it
was. Training without the columns therefore gives the same model for less work: 67 of the 784 pixels
of MNIST are never inked. At the end the columns come back with their initial weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ml.training.models.networks import Mlp, Network, Weights

__all__ = ["Narrowing"]

FIRST = "layer0.weight"


@dataclass(frozen=True, eq=False)
class Narrowing:
    """A network, the features that it trains on, and the input columns that they are.

    ``columns`` is None where nothing was left out.
    """

    network: Network
    features: Tensor
    columns: Tensor | None

    @staticmethod
    def of(network: Network, features: Tensor) -> Narrowing:
        """The network and the features without the columns that are always zero."""
        if not isinstance(network, Mlp):
            return Narrowing(network, features, None)
        flat = features.flatten(1)  # (samples, columns)
        columns = flat.any(dim=0).nonzero().flatten()
        if not 0 < len(columns) < flat.shape[1]:
            return Narrowing(network, features, None)
        narrow = Mlp(
            len(columns),
            network.widths[1:-1],
            network.widths[-1],
            regression=network.regression,
        )
        return Narrowing(narrow, flat.index_select(1, columns), columns)

    def shrink(self, weights: Weights) -> Weights:
        """A stack's weights (models, ...) for the narrow network."""
        if self.columns is None:
            return weights
        return weights | {FIRST: weights[FIRST].index_select(1, self.columns)}

    def grow(self, trained: Weights, initial: Weights) -> Weights:
        """One trained model's weights for the full network; ``initial`` is where it started."""
        if self.columns is None:
            return trained
        first = initial[FIRST].to(trained[FIRST].device, copy=True)
        first[self.columns] = trained[FIRST]
        return trained | {FIRST: first}
