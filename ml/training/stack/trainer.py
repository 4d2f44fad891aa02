"""The stacked trainer: many models, each on its own data, as one computation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ml.training.models.networks import Network, Weights
from ml.training.stack.graphs import Recorder, Stepper
from ml.training.stack.orders import Schedule, Trainee
from ml.training.stack.stack import Stack

__all__ = ["Advance", "train_stack"]

STEPS_BETWEEN_REPORTS = 25


@dataclass(frozen=True)
class Advance:
    """What a stack did since the last one: steps of single models, and models now finished."""

    n_steps: int
    finished: tuple[tuple[int, Weights], ...] = ()


def train_stack(
    network: Network,
    weights: Weights,
    trainees: list[Trainee],
    features: Tensor,
    targets: Tensor,
    *,
    batch_size: int,
    learning_rate: float,
    recorder: Recorder | None = None,
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
    recorder : optional
        Records the step so that it can be replayed; for the default see `Stepper`.
    """
    lengths = [trainee.n_steps for trainee in trainees]
    if lengths != sorted(lengths, reverse=True):
        raise ValueError("The stack's trainees must come longest first.")
    stack = Stack(network, {name: t.clone() for name, t in weights.items()}, learning_rate)
    stepper = Stepper(stack, features, targets, recorder)
    schedule = Schedule(trainees, batch_size, features.device)
    alive, step = len(trainees), 0
    try:
        while alive:
            until = lengths[alive - 1]
            while step < until:
                pause = min(until, step + STEPS_BETWEEN_REPORTS)
                done = alive * (pause - step)
                for now in range(step, pause):
                    stepper.step(*schedule.batch(now, len(stack)))
                step = pause
                if step < until:
                    yield Advance(done)
            n_left = sum(length > step for length in lengths)
            finished = [(index, stack.model(index)) for index in range(n_left, alive)]
            alive = n_left
            if alive and not stepper.keeps_width(alive):
                stack.keep(alive)
                stepper.forget()
            yield Advance(done, tuple(finished))
    finally:
        stepper.forget()
