"""Which engine a round uses: the table ``[engine]``, checked without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ml.engines.engine import Engine, LocalEngine
from ml.schema import FROM_DECIMAL, Table, read_table

__all__ = ["EngineSpec", "engine_spec", "make_engine"]

Share = Annotated[float, Field(ge=0, le=4096), FROM_DECIMAL]


class EngineSpec(Table):
    """A checked choice of engine."""

    kind: Literal["auto", "local", "processes", "ray"] = Field(
        "auto",
        description="where models are trained: in this process, in a pool of them, on Ray; "
        '"auto" is this process, or a pool for a network that gains nothing from stacking on a CPU',
    )
    workers: int = Field(
        0, ge=0, le=4096, description="how many work at once; 0 is as many as there are cores"
    )
    address: str = Field("", description='of the cluster, for "ray"; empty starts one here')
    num_cpus: Share = Field(1.0, description='cores that one task takes, for "ray"')
    num_gpus: Share = Field(0.0, description='devices that one task takes, for "ray"')
    retries: int = Field(
        3, ge=0, le=1000, description="how often a task is tried again whose worker is lost"
    )

    @field_validator("address", "num_cpus", "num_gpus")
    @classmethod
    def _only_for_ray(cls, value: object, info: ValidationInfo) -> object:
        kind = info.data.get("kind", "ray")  # a kind with a fault of its own is not in the data
        if kind != "ray":
            raise ValueError(f'is for kind "ray"; found kind "{kind}"')
        return value


def engine_spec(mapping: Mapping[str, Any]) -> EngineSpec:
    """The engine from the table ``[engine]``.

    Raises
    ------
    SpecError
        With every fault and its place, such as ``engine.kind``.
    """
    return read_table(EngineSpec, mapping, "engine")


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
