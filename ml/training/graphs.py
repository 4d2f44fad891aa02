"""Steps of a stack: as they come on a CPU, as a replayed CUDA graph on a device.

On a device a step of small models takes less time than launching its kernels one by one. The step
is therefore recorded once and replayed; when the stack shrinks it is recorded again, so the stack
shrinks in few strides there (`keeps_width`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ml.training.stack import Stack, gathered

__all__ = ["Stepper"]

#: Steps before a recording: libraries choose their kernels and take their memory in them.
WARM_UP_STEPS = 3


class Stepper:
    """Carries out the steps of one stack on features and targets of its device."""

    def __init__(self, stack: Stack, features: Tensor, targets: Tensor) -> None:
        self.stack = stack
        self.features = features
        self.targets = targets
        self.on_cuda = features.device.type == "cuda"
        self.forget()

    def forget(self) -> None:
        """Drop the recording: the stack has another width now."""
        self.graph: torch.cuda.CUDAGraph | None = None
        self.rows: Tensor | None = None
        self.shares: Tensor | None = None
        self.n_warm = 0

    def keeps_width(self, alive: int) -> bool:
        """Whether it pays to carry finished models along rather than to record anew."""
        return self.on_cuda and alive > 0.85 * len(self.stack)

    def step(self, rows: Tensor, shares: Tensor) -> None:
        """One step of all models on the given rows (models, batch)."""
        if not self.on_cuda:
            self._eager(rows, shares)
            return
        if self.rows is None or self.shares is None:
            self.rows, self.shares = rows.clone(), shares.clone()
        self.rows.copy_(rows)
        self.shares.copy_(shares)
        if self.n_warm < WARM_UP_STEPS:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._eager(self.rows, self.shares)
            torch.cuda.current_stream().wait_stream(side)
            self.n_warm += 1
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # records, and carries out nothing
                self._eager(self.rows, self.shares)
            self.stack.step_count -= 1
        self.graph.replay()
        self.stack.step_count += 1

    def _eager(self, rows: Tensor, shares: Tensor) -> None:
        self.stack.step(gathered(self.features, rows), self.targets[rows], shares)
