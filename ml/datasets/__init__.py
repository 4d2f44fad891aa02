"""Data of the parties: sources, splits, and the union for a coalition."""

import importlib
from typing import TYPE_CHECKING, Any

from ml.datasets.spec import PARTY_KEYS, SOURCES, DataSpec, PartyData, data_spec

if TYPE_CHECKING:
    from ml.datasets.collaboration import Collaboration
    from ml.datasets.loading import load
    from ml.datasets.source import DataError

_LATER = {"Collaboration": "collaboration", "DataError": "source", "load": "loading"}
"""Modules of the names that need numpy. They are imported on first use: checking a configuration
must not load numpy."""

__all__ = [
    "PARTY_KEYS",
    "SOURCES",
    "Collaboration",
    "DataError",
    "DataSpec",
    "PartyData",
    "data_spec",
    "load",
]


def __getattr__(name: str) -> Any:
    """A name of `_LATER`, from its module."""
    if name in _LATER:
        return getattr(importlib.import_module(f"ml.datasets.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
