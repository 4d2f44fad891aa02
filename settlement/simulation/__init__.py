"""Many rounds, each on the real contract: scenarios, behaviours, faults, results.

`simulate` plays a scenario and gives its `Results`; both load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from settlement.simulation.simulating import Results, simulate

__all__ = ["Results", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'settlement.simulation' has no attribute {name!r}")
    from settlement.simulation import simulating

    return getattr(simulating, name)
