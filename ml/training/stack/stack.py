"""A stack of models: weights, gradients and moments of all of them as one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

from ml.training.models.networks import Network, Weights

__all__ = ["Snapshot", "Stack", "gathered"]


@dataclass(frozen=True)
class Snapshot:
    """Weights and moments of a stack at one step."""

    weights: Weights
    moments: tuple[Weights, Weights]
    step: int


class Stack:
    """A stack of models in training: weights, gradients and Adam's moments, all stacked.

    The gradients live in the same memory at every step. `keep` drops the tail of the stack without
    a copy.
    """

    def __init__(
        self,
        network: Network,
        weights: Weights,
        learning_rate: float,
        moments: tuple[Weights, Weights] | None = None,
        step: int = 0,
    ) -> None:
        self.network = network
        self.learning_rate = learning_rate
        self.weights = {name: tensor.detach() for name, tensor in weights.items()}
        self.gradients = {name: torch.zeros_like(tensor) for name, tensor in self.weights.items()}
        if moments is None:
            zeros = [{n: torch.zeros_like(t) for n, t in self.weights.items()} for _ in range(2)]
            moments = (zeros[0], zeros[1])
        self.moments = moments
        self.step_count = step
        # On the device, because a replayed step runs no Python that could count.
        self.adam_steps = [
            torch.full((), float(step), device=tensor.device) for tensor in self.weights.values()
        ]

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    def step(self, inputs: Tensor, targets: Tensor, shares: Tensor) -> None:
        """One step of Adam for every model, on inputs (models, batch, ...)."""
        self.network.gradients(self.weights, inputs, targets, shares, self.gradients)
        adam(
            list(self.weights.values()),
            list(self.gradients.values()),
            list(self.moments[0].values()),
            list(self.moments[1].values()),
            [],
            self.adam_steps,  # adam adds one to each
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        self.step_count += 1

    def keep(self, n_models: int) -> None:
        """Go on with the first ``n_models`` models alone."""
        for stacked in (self.weights, self.gradients, *self.moments):
            for name, tensor in stacked.items():
                stacked[name] = tensor.detach()[:n_models]

    def model(self, index: int) -> Weights:
        """A copy of one model's weights."""
        return {name: tensor[index].clone() for name, tensor in self.weights.items()}

    def snapshot(self, index: int) -> Snapshot:
        """A copy of one model as a stack of one, with all that a later step depends on."""

        def copied(stacked: Weights) -> Weights:
            return {name: tensor[index : index + 1].clone() for name, tensor in stacked.items()}

        first, second = self.moments
        return Snapshot(copied(self.weights), (copied(first), copied(second)), self.step_count)


def gathered(table: Tensor, rows: Tensor) -> Tensor:
    """Features or targets of rows (models, batch) as (models, batch, ...)."""
    flat = table.index_select(0, rows.flatten())
    return flat.view(*rows.shape, *table.shape[1:])
