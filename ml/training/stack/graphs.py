"""Steps of a stack: one by one on a CPU, as a replayed CUDA graph on a device.

On a device a step of small models takes less time than launching its kernels one by one. The step
is therefore recorded once and replayed. It must be recorded again when the stack shrinks, so on a
device the stack shrinks less often (`keeps_width`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ml.errors import BrokenInvariant
from ml.training.stack.stack import Stack, gathered

__all__ = ["CudaGraphRecorder", "Recorder", "Stepper"]

log = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""Steps before a recording, in which libraries choose their kernels and allocate memory."""

Work = Callable[[], None]


class Recorder(Protocol):
    """Turns work that always reads and writes the same memory into something quicker to repeat."""

    def warm_up(self, work: Work) -> None:
        """Carry the work out where it will be recorded."""
        ...

    def record(self, work: Work) -> Work:
        """What repeats the work; the recording itself carries nothing out."""
        ...

    def forget(self) -> None:
        """Free what the last recording holds."""
        ...


class CudaGraphRecorder:
    """Records CUDA graphs, one at a time, on a stream of its own that also does the warm-up.

    CUDA records no graph on the default stream, and libraries must have set up their state for the
    stream before the recording.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.graph: torch.cuda.CUDAGraph | None = None

    def warm_up(self, work: Work) -> None:
        """Carry the work out on the side stream, after and before what the current one does."""
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            work()
        current.wait_stream(self.stream)

    def record(self, work: Work) -> Work:
        """The recorded graph's replay, for any stream."""
        self.forget()  # so that its memory serves the new one
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            work()
        self.graph = graph
        return graph.replay

    def forget(self) -> None:
        """Drop the graph once no replay of it is under way."""
        if self.graph is not None:
            torch.cuda.synchronize()
            self.graph = None


class Stepper:
    """Carries out the steps of one stack on features and targets of its device.

    ``recorder`` defaults to CUDA graphs on a CUDA device and to no recording on a CPU.
    """

    def __init__(
        self, stack: Stack, features: Tensor, targets: Tensor, recorder: Recorder | None = None
    ) -> None:
        self.stack = stack
        self.features = features
        self.targets = targets
        if recorder is None and features.device.type == "cuda":
            recorder = CudaGraphRecorder()
        self.recorder = recorder
        self.forget()

    def forget(self) -> None:
        """Drop the recording, because the stack has another width now or has done all its steps."""
        self.replay: Work | None = None
        self.rows: Tensor | None = None
        self.shares: Tensor | None = None
        self.n_warm = 0
        if self.recorder is not None:
            self.recorder.forget()

    def keeps_width(self, alive: int) -> bool:
        """Whether computing finished models along costs less than recording again."""
        return self.recorder is not None and alive > 0.85 * len(self.stack)

    def step(self, rows: Tensor, shares: Tensor) -> None:
        """One step of all models on the given rows (models, batch)."""
        at = self.stack.step_count
        if self.rows is None or self.shares is None or self.recorder is None:
            self.rows, self.shares = rows, shares
            if self.recorder is not None:  # a recording reads this memory at every step
                self.rows, self.shares = rows.clone(), shares.clone()
        else:
            self.rows.copy_(rows)
            self.shares.copy_(shares)
        self._carry_out(self.recorder)
        self.stack.step_count = at + 1  # recording counts a step too many, a replay none

    def _carry_out(self, recorder: Recorder | None) -> None:
        if recorder is None:
            self._work()
            return
        if self.n_warm < WARM_UP_STEPS:
            recorder.warm_up(self._work)
            self.n_warm += 1
            return
        if self.replay is None:
            try:
                self.replay = recorder.record(self._work)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as trouble:
                # A user's module may do what a graph cannot hold, such as reading a number.
                log.warning("The step cannot be recorded and is carried out as it is: %s", trouble)
                self.recorder = None
                self._work()
                return
        self.replay()

    def _work(self) -> None:
        """The step on the rows and shares at hand: what is recorded."""
        if self.rows is None or self.shares is None:
            raise BrokenInvariant("A stack was to step before it was given a batch.")
        inputs, targets = (gathered(table, self.rows) for table in (self.features, self.targets))
        self.stack.step(inputs, targets, self.shares)
