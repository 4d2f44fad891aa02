"""Training without the input columns that are zero in every sample.

The weights of such a column never get a gradient, and Adam does not move a weight without one.
Training without these columns therefore gives the same model for less work: 67 of the 784 pixels
of MNIST are always zero. After training the columns return with their initial weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ml.training.models.networks import Mlp, Network, Weights

__all__ = ["UsedColumns"]

FIRST = "layer0.weight"


@dataclass(frozen=True, eq=False)
class UsedColumns:
    """A network for the columns that are used, and those columns of the training data.

    ``columns`` are their numbers, int64, or None if all columns are used.
    """

    network: Network
    features: Tensor
    columns: Tensor | None

    @staticmethod
    def of(network: Network, features: Tensor) -> UsedColumns:
        """The network and features (samples, ...) without the columns that are always zero."""
        if not isinstance(network, Mlp):
            return UsedColumns(network, features, None)
        flat = features.flatten(1)  # (samples, columns)
        columns = flat.any(dim=0).nonzero().flatten()
        if not 0 < len(columns) < flat.shape[1]:
            return UsedColumns(network, features, None)
        reduced = Mlp(
            len(columns),
            network.widths[1:-1],
            network.widths[-1],
            regression=network.regression,
        )
        return UsedColumns(reduced, flat.index_select(1, columns), columns)

    def reduced(self, weights: Weights) -> Weights:
        """Weights (models, ...) of the full network, cut to the used columns."""
        if self.columns is None:
            return weights
        return weights | {FIRST: weights[FIRST].index_select(1, self.columns)}

    def restored(self, trained: Weights, initial: Weights) -> Weights:
        """One trained model's weights, with ``initial`` ones for the unused columns."""
        if self.columns is None:
            return trained
        first = initial[FIRST].to(trained[FIRST].device, copy=True)
        first[self.columns] = trained[FIRST]
        return trained | {FIRST: first}
