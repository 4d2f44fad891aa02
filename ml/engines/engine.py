"""What every engine does: carry out tasks and yield their results as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ml.errors import MlError

__all__ = ["Engine", "EngineError", "LocalEngine"]


class EngineError(MlError):
    """An engine cannot run, or lost its workers; results that it returned before are kept."""


class Engine(Protocol):
    """Runs ``work(shared, task)`` for every task.

    ``work`` yields any number of results for a task. An engine yields results of different tasks in
    any order, those of one task in their order. An engine may lose work under way, never a result
    that it has yielded. Closing the iterator cancels what is left.
    ``device_type`` is "cpu" or "cuda" if the engine decides where tasks run, and None if they run
    on what this machine has.
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
