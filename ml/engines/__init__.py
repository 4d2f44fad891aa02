"""Where chunks of training run: in this process, in a pool, on a cluster."""

from ml.engines.engine import Engine, EngineError, LocalEngine
from ml.engines.spec import EngineSpec, engine_spec, make_engine

__all__ = ["Engine", "EngineError", "EngineSpec", "LocalEngine", "engine_spec", "make_engine"]
