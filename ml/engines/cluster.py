"""Ray: tasks on the machines of a cluster. The only file that imports it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ml.engines.engine import EngineError

__all__ = ["RayEngine"]

CONNECT_TIMEOUT_S = 10
OWN_CODE = ("FAIRROUND_ALLOWED_MODULES", "FAIRROUND_MODULE_FOLDER")
"""Variables that say which modules a recipe may import, and where from."""

Work = Callable[[Any, Any], Iterator[Any]]


def _carry_out(work: Work, shared: Any, number: int, task: Any, n_threads: int) -> Any:
    """One task in a worker of the cluster."""
    import torch

    torch.set_num_threads(n_threads)
    return number, list(work(shared, task))


class RayEngine:
    """Runs tasks on a Ray cluster: a local one, or that of ``address``; needs ``fairround[ray]``.

    Every task asks for ``num_cpus`` cores and ``num_gpus`` devices, and sees no others. A task
    whose worker dies is carried out again, at most ``retries`` times. Results that were yielded
    are in this process, so losing the cluster costs only the tasks under way.
    """

    name = "ray"

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        num_cpus: float = 1.0,
        num_gpus: float = 0.0,
        retries: int = 3,
    ) -> None:
        self.address = address
        self.workers = workers
        self.num_cpus = num_cpus
        self.num_gpus = num_gpus
        self.device_type: str | None = "cuda" if num_gpus else "cpu"
        self.retries = retries

    def run(self, work: Work, shared: Any, tasks: Sequence[Any]) -> Iterator[Any]:
        """Yield the results of all tasks, task by task as they end.

        Raises
        ------
        EngineError
            If Ray is not installed, or the cluster is lost or refuses the tasks.
        """
        if not tasks:
            return
        ray = self._ray()
        started = not ray.is_initialized()
        running: list[Any] = []
        try:
            if started:
                self._connect(ray)
            remote = ray.remote(
                num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=self.retries
            )(_carry_out)
            n_threads = max(1, int(self.num_cpus))
            handle = ray.put(shared)
            running = [
                remote.remote(work, handle, number, task, n_threads)
                for number, task in enumerate(tasks)
            ]
            while running:
                done, running = ray.wait(running, num_returns=1)
                _, results = ray.get(done[0])
                yield from results
        except ray.exceptions.RayTaskError as trouble:
            # An error of the work itself reaches the caller unchanged.
            raise trouble.cause if isinstance(trouble.cause, Exception) else trouble from None
        except ray.exceptions.RayError as trouble:
            raise EngineError(
                f"The Ray cluster was lost with {len(running) + 1} of {len(tasks)} tasks to do "
                f"({type(trouble).__name__}); finished ones are kept. Start again to go on."
            ) from trouble
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
            if started and ray.is_initialized():
                ray.shutdown()

    def _ray(self) -> Any:
        try:
            import ray
        except ImportError as trouble:
            raise EngineError("This engine needs Ray: install fairround[ray].") from trouble
        return ray

    def _connect(self, ray: Any) -> None:
        options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
        # A task that asked for no device must not see those of its machine.
        variables = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
        # What this user lets recipes import holds there too.
        variables |= {name: os.environ[name] for name in OWN_CODE if name in os.environ}
        options["runtime_env"] = {"env_vars": variables}
        if self.address:
            _require_listener(self.address)
            options["address"] = self.address
        else:
            options |= {"include_dashboard": False, "address": "local"}
            # Workers on this machine find what this process finds, a user's own modules too.
            path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
            variables["PYTHONPATH"] = path
            if self.workers:
                options["num_cpus"] = self.workers
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError) as trouble:
            place = f"at {self.address}" if self.address else "on this machine"
            raise EngineError(f"No Ray cluster {place}: {trouble}.") from trouble


def _require_listener(address: str) -> None:
    """Check the address first, because Ray waits minutes for a cluster that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and the like: Ray knows how to find those
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as trouble:
        raise EngineError(f"No Ray cluster at {address}: {trouble}.") from trouble
