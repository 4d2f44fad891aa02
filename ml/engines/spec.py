"""Which engine a round uses: the table ``[engine]``, checked without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.datasets.checks import Checker
from ml.engines.engine import Engine, LocalEngine

__all__ = ["ENGINES", "EngineSpec", "engine_spec", "make_engine"]

ENGINES = ("auto", "local", "processes", "ray")
KEYS = frozenset({"kind", "workers", "address", "num_cpus", "num_gpus", "retries"})


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A checked choice of engine; ``workers`` 0 means as many as there are cores.

    "auto" is this process, or a pool of processes for a network that gains nothing from stacking
    on a CPU. ``address``, ``num_cpus`` and ``num_gpus`` (of a task) are for "ray".
    """

    kind: str = "auto"
    workers: int = 0
    address: str = ""
    num_cpus: float = 1.0
    num_gpus: float = 0.0
    retries: int = 3


def engine_spec(mapping: Mapping[str, Any]) -> EngineSpec:
    """The engine from the table ``[engine]``.

    Raises
    ------
    SpecError
        With every fault and its place, such as ``engine.kind``.
    """
    table = Checker(mapping, "engine")
    table.refuse_unknown(KEYS)
    found = EngineSpec(
        kind=table.choice("kind", ENGINES, "auto"),
        workers=table.integer("workers", 0, 0, 4096),
        address=table.text("address"),
        num_cpus=table.number("num_cpus", 1.0, 0.0),
        num_gpus=table.number("num_gpus", 0.0, 0.0),
        retries=table.integer("retries", 3, 0, 1000),
    )
    if found.kind != "ray":
        for key in ("address", "num_cpus", "num_gpus"):
            if key in table.table:
                table.fault(key, f'is for kind "ray"; found kind "{found.kind}".')
    table.finish()
    return found


def make_engine(spec: EngineSpec, *, stacks: bool = True) -> Engine:
    """The engine of a specification; ``stacks`` says whether the network gains from stacking."""
    kind = spec.kind
    if kind == "auto":
        kind = "local" if stacks else "processes"
    if kind == "local":
        return LocalEngine()
    if kind == "processes":
        from ml.engines.processes import ProcessEngine

        return ProcessEngine(spec.workers or None, spec.retries)
    from ml.engines.cluster import RayEngine

    return RayEngine(
        spec.address or None,
        workers=spec.workers or None,
        num_cpus=spec.num_cpus,
        num_gpus=spec.num_gpus,
        retries=spec.retries,
    )
