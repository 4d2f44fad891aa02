"""In which order a model sees its samples: seeded, and the same on every device.

The order of an epoch sorts the positions by a 64-bit hash of the position. It depends on the seed,
the epoch and the samples that a model trains on, not on the coalition's number or the other models
in the stack. Coalitions that hold the same samples therefore get the same model and value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Schedule", "Trainee", "sample_order"]


@dataclass(frozen=True, eq=False)
class Trainee:
    """One model to train: rows of the training data, how often, and the seed of its order."""

    rows: NDArray[Any]
    n_steps: int
    order_key: str

    @staticmethod
    def for_epochs(rows: NDArray[Any], epochs: int, batch_size: int, order_key: str) -> Trainee:
        """A model that sees all its rows in every epoch."""
        return Trainee(rows, epochs * -(-len(rows) // batch_size), order_key)


def _signed(word: int) -> int:
    """A 64-bit word as torch's signed integer."""
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word


def _mixed(words: Tensor) -> Tensor:
    """The finaliser of splitmix64, word by word; torch's shift is arithmetic, hence the masks."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ ((words >> shift) & ((1 << (64 - shift)) - 1))) * _signed(factor)
    return words ^ ((words >> 31) & ((1 << 33) - 1))


def sample_order(order_key: str, epoch: int, n_samples: int, device: torch.device) -> Tensor:
    """A permutation of ``n_samples`` positions, int64, that depends on key and epoch alone."""
    digest = hashlib.sha256(f"{order_key}/{epoch}".encode()).digest()
    start = _signed(int.from_bytes(digest[:8], "little"))
    counter = torch.arange(n_samples, dtype=torch.int64, device=device)
    return torch.argsort(_mixed(counter * _signed(0x9E3779B97F4A7C15) + start), stable=True)


class Schedule:
    """Batches of a stack of models, step by step, each model at its own place in its own epoch.

    ``batch(step, n_models)`` gives the rows (models, batch) and the shares (models, batch) of the
    first ``n_models`` models; their number never grows from one call to the next. The last batch of
    an epoch may be short: its padding has share 0.
    """

    def __init__(
        self,
        trainees: list[Trainee],
        batch_size: int,
        device: torch.device,
        window_steps: int | None = None,
    ) -> None:
        self.trainees = trainees
        self.batch_size = batch_size
        self.device = device
        self.rows = [torch.from_numpy(t.rows.astype(np.int64)).to(device) for t in trainees]
        # Filling a window launches a few kernels for each model; long windows make that rare.
        window_steps = window_steps or (512 if device.type == "cuda" else 128)
        self.window_steps = min(window_steps, max(t.n_steps for t in trainees))
        shape = (self.window_steps, len(trainees), batch_size)
        self.window_rows = torch.zeros(shape, dtype=torch.int64, device=device)
        self.window_shares = torch.zeros(shape, device=device)
        self.first_step = -1
        self._epochs: dict[int, tuple[int, Tensor]] = {}

    def batch(self, step: int, n_models: int) -> tuple[Tensor, Tensor]:
        """Rows and shares of one step."""
        first = step - step % self.window_steps
        if first != self.first_step:
            for model in range(n_models):
                self._fill(model, first)
            self.first_step = first
        inside = step - first
        return self.window_rows[inside, :n_models], self.window_shares[inside, :n_models]

    def _fill(self, model: int, first: int) -> None:
        """Write one model's rows and shares of the window; a finished model has none."""
        n_samples, size = len(self.rows[model]), self.batch_size
        steps_per_epoch = -(-n_samples // size)
        last = min(first + self.window_steps, self.trainees[model].n_steps)
        self.window_shares[:, model].zero_()
        at = first
        while at < last:
            epoch, offset = divmod(at, steps_per_epoch)
            until = min(last, at + steps_per_epoch - offset)
            rows = self._epoch(model, epoch, steps_per_epoch)[offset : offset + until - at]
            target = slice(at - first, until - first)
            self.window_rows[target, model] = rows
            self.window_shares[target, model] = 1 / size
            short = n_samples % size
            if short and offset + until - at == steps_per_epoch:
                self.window_shares[until - first - 1, model, :short] = 1 / short
                self.window_shares[until - first - 1, model, short:] = 0
            at = until

    def _epoch(self, model: int, epoch: int, steps_per_epoch: int) -> Tensor:
        """The rows of one epoch in their order, (steps, batch), padded with row 0."""
        known = self._epochs.get(model)
        if known is not None and known[0] == epoch:
            return known[1]
        rows = self.rows[model]
        order = sample_order(self.trainees[model].order_key, epoch, len(rows), self.device)
        length = steps_per_epoch * self.batch_size
        padded = torch.zeros(length, dtype=torch.int64, device=self.device)
        padded[: len(rows)] = rows[order]
        shaped = padded.view(steps_per_epoch, self.batch_size)
        self._epochs[model] = (epoch, shaped)
        return shaped
