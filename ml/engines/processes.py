"""A pool of processes on this machine, each with its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ml.engines.engine import EngineError

__all__ = ["ProcessEngine"]

Work = Callable[[Any, Any], Iterator[Any]]

_assigned: tuple[Work, Any] | None = None
"""Work and shared data of this worker process, set once when it starts."""


def _start(work: Work, shared: Any, n_threads: int) -> None:
    global _assigned
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Loaded with the work, if that trains anything; other work need not wait for it.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(n_threads)
    _assigned = (work, shared)


def _end_with_parent() -> None:
    """Nobody waits for this worker's results once the process that started it is gone.

    However that ended: the system closes a pipe that only it held. A worker would otherwise go on
    with the tasks in the queue, and its results would be lost.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _carry_out(task: Any) -> list[Any]:
    if _assigned is None:
        raise EngineError("A worker process got a task before its data.")
    work, shared = _assigned
    return list(work(shared, task))


class ProcessEngine:
    """Runs tasks in worker processes; results of a task come when all of it is done.

    A worker that dies takes the tasks under way with it: a new pool carries them out again, at most
    ``retries`` times. Scripts that use this need the usual ``if __name__ == "__main__"``.
    """

    name = "processes"
    device_type: str | None = None

    def __init__(self, workers: int | None = None, retries: int = 3) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.retries = retries

    def run(self, work: Work, shared: Any, tasks: Sequence[Any]) -> Iterator[Any]:
        """Yield the results of all tasks, task by task as they end.

        Raises
        ------
        EngineError
            If workers keep dying.
        """
        left = dict(enumerate(tasks))
        broken = 0
        while left:
            try:
                for number, results in self._round(work, shared, dict(left)):
                    del left[number]
                    yield from results
            except BrokenProcessPool as trouble:
                broken += 1
                if broken > self.retries:
                    raise EngineError(
                        f"Worker processes died {broken} times with {len(left)} of {len(tasks)} "
                        "tasks to do; finished ones are kept. Is there enough memory?"
                    ) from trouble

    def _round(
        self, work: Work, shared: Any, left: dict[int, Any]
    ) -> Iterator[tuple[int, list[Any]]]:
        """One pool's life: number and results of each task that it carries out."""
        workers = min(self.workers, len(left))
        n_threads = max(1, (os.cpu_count() or 1) // workers)
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(work, shared, n_threads),
        )
        try:
            running: dict[Future[list[Any]], int] = {
                pool.submit(_carry_out, task): number for number, task in left.items()
            }
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                # Yield finished results first, even if another worker has died meanwhile.
                for future in sorted(done, key=lambda f: isinstance(f.exception(), Exception)):
                    yield running.pop(future), future.result()
        except BaseException:
            # Cancelled or broken: nobody waits for the work under way.
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
