"""Data of the parties: sources, splits, and the union for a coalition."""

from typing import Any

from ml.datasets.spec import PARTY_KEYS, SOURCES, DataSpec, PartyData, data_spec

__all__ = ["PARTY_KEYS", "SOURCES", "DataSpec", "PartyData", "data_spec", "load"]


def __getattr__(name: str) -> Any:
    """``load`` on first use: it imports numpy, which a check of a configuration does not need."""
    if name == "load":
        from ml.datasets.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
