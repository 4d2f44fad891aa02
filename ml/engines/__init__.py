"""Where chunks of training run: in this process, in a pool, on a cluster."""

from ml.engines.engine import Engine, LocalEngine

__all__ = ["Engine", "LocalEngine"]
