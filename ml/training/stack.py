"""The stacked trainer: many models, each on its own data, as one computation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

from ml.training.networks import Network, Weights
from ml.training.orders import Schedule, Trainee

__all__ = ["Advance", "Snapshot", "Stack", "gathered", "train_stack"]

STEPS_BETWEEN_REPORTS = 25


@dataclass(frozen=True)
class Advance:
    """What a stack did since the last one: steps of single models, and models now finished."""

    n_steps: int
    finished: tuple[tuple[int, Weights], ...] = ()


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

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    def step(self, inputs: Tensor, targets: Tensor, shares: Tensor) -> None:
        """One step of Adam for every model, on inputs (models, batch, ...)."""
        self.network.gradients(self.weights, inputs, targets, shares, self.gradients)
        steps = [torch.tensor(float(self.step_count)) for _ in self.weights]
        adam(
            list(self.weights.values()),
            list(self.gradients.values()),
            list(self.moments[0].values()),
            list(self.moments[1].values()),
            [],
            steps,
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


def gathered(features: Tensor, rows: Tensor) -> Tensor:
    """Features of rows (models, batch) as (models, batch, ...)."""
    flat = features.index_select(0, rows.flatten())
    return flat.view(*rows.shape, *features.shape[1:])


def train_stack(
    network: Network,
    weights: Weights,
    trainees: list[Trainee],
    features: Tensor,
    targets: Tensor,
    *,
    batch_size: int,
    learning_rate: float,
) -> Iterator[Advance]:
    """Train every trainee; a finished one is yielded, by its index, as soon as it is done.

    Parameters
    ----------
    weights : dict of tensors (models, ...)
        Where each model starts, in the order of the trainees; left as they are.
    trainees : list
        Longest first, so that finished models are the tail of the stack.
    features, targets : tensors (samples, ...)
        The training data that the trainees' rows point into, on the device of the weights.
    """
    lengths = [trainee.n_steps for trainee in trainees]
    if lengths != sorted(lengths, reverse=True):
        raise ValueError("The stack's trainees must come longest first.")
    device = features.device
    stack = Stack(network, {name: t.clone() for name, t in weights.items()}, learning_rate)
    schedule = Schedule(trainees, batch_size, device)
    alive, step = len(trainees), 0
    while alive:
        until = lengths[alive - 1]
        while step < until:
            pause = min(until, step + STEPS_BETWEEN_REPORTS)
            done = alive * (pause - step)
            for now in range(step, pause):
                rows, shares = schedule.batch(now, alive)
                stack.step(gathered(features, rows), targets[rows], shares)
            step = pause
            if step < until:
                yield Advance(done)
        n_left = sum(length > step for length in lengths)
        finished = [(index, stack.model(index)) for index in range(n_left, alive)]
        alive = n_left
        if alive:
            stack.keep(alive)
        yield Advance(done, tuple(finished))
