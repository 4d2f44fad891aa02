"""Work for engines to do in tests; worker processes import this file by its name."""

import os
import time
from collections.abc import Iterator
from pathlib import Path


def count_up(shared: int, task: int) -> Iterator[int]:
    for k in range(task):
        yield shared + k


def die_once(shared: str, task: int) -> Iterator[int]:
    """The first process to take task 1 dies in it."""
    marker = Path(shared) / "died"
    if task == 1 and not marker.exists():
        marker.touch()
        os._exit(9)
    yield task


def always_die(shared: str, task: int) -> Iterator[int]:
    os._exit(9)
    yield task


def sleep_after(shared: str, task: int) -> Iterator[int]:
    time.sleep(task)
    yield task


def fail(shared: int, task: int) -> Iterator[int]:
    yield 1
    raise KeyError(f"task {task}")


def devices(shared: int, task: int) -> Iterator[str | None]:
    yield os.environ.get("CUDA_VISIBLE_DEVICES")


class Announced:
    """Tells in a file that a task was started and by which process, then does the work.

    While there is a file ``hold`` beside the folder, tasks that start wait for it to go.
    """

    def __init__(self, work, folder: str) -> None:
        self.work, self.folder = work, folder

    def __call__(self, shared, task) -> Iterator:
        (Path(self.folder) / f"{time.monotonic_ns()}-{os.getpid()}").touch()
        deadline = time.monotonic() + 60
        while Path(self.folder).with_name("hold").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        yield from self.work(shared, task)


class Announcing:
    """An engine whose tasks announce themselves."""

    name = "announcing"

    def __init__(self, engine, folder: str) -> None:
        self.engine, self.folder = engine, folder
        self.device_type = engine.device_type

    def run(self, work, shared, tasks) -> Iterator:
        yield from self.engine.run(Announced(work, self.folder), shared, tasks)
