"""What every engine does: carry out tasks and hand results back as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ml.errors import MlError

__all__ = ["Engine", "EngineError", "LocalEngine"]


class EngineError(MlError):
    """An engine cannot run, or lost its workers; what it had handed back is kept."""


class Engine(Protocol):
    """Runs ``work(shared, task)`` for every task.

    ``work`` yields any number of results for a task; an engine yields them in whatever order they
    come, the results of one task in their own order. What the caller has received is finished for
    good: an engine may lose work under way, never a result that it yielded. Closing the iterator
    cancels what is left. ``device_type`` is "cpu" or "cuda" if the engine decides where tasks
    run, and None if they run on what this machine has.
    """

    name: str
    device_type: str | None

    def run(
        self,
        work: Callable[[Any, Any], Iterator[Any]],
        shared: Any,
        tasks: Sequence[Any],
    ) -> Iterator[Any]:
        """Yield the results of all tasks."""
        ...


class LocalEngine:
    """One task after the other in this process; results come while a task is under way."""

    name = "local"
    device_type: str | None = None

    def run(
        self,
        work: Callable[[Any, Any], Iterator[Any]],
        shared: Any,
        tasks: Sequence[Any],
    ) -> Iterator[Any]:
        """Yield the results of all tasks, in order."""
        for task in tasks:
            yield from work(shared, task)
