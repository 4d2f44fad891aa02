"""Where what took time to make is kept between commands."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "cache_limit_bytes"]

DEFAULT_LIMIT_MIB = 4096


def cache_folder(room: str) -> Path:
    """Folder of one kind of cached things, such as ``"models"``.

    Below ``FAIRROUND_CACHE`` if that is set, else the user's cache folder. Losing it costs time,
    never a result.
    """
    if chosen := os.environ.get("FAIRROUND_CACHE"):
        return Path(chosen) / room
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fairround" / room


def cache_limit_bytes() -> int:
    """How much finished trainings may take when a round starts to train.

    ``FAIRROUND_CACHE_MIB`` if that is a whole number, else 4 GiB. What was used longest ago goes.
    """
    chosen = os.environ.get("FAIRROUND_CACHE_MIB", "")
    return (int(chosen) if chosen.isdecimal() else DEFAULT_LIMIT_MIB) * 2**20
