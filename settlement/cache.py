"""Where what took time to make is kept between commands."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(room: str) -> Path:
    """Folder of one kind of cached things, such as ``"models"``.

    Below ``FAIRROUND_CACHE`` if that is set, else the user's cache folder. Losing it costs time,
    never a result.
    """
    if chosen := os.environ.get("FAIRROUND_CACHE"):
        return Path(chosen) / room
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fairround" / room
