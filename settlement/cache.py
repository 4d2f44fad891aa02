"""Where what took time to make is kept between commands."""

from __future__ import annotations

import os
from pathlib import Path

from settlement.errors import SettlementError

__all__ = ["CacheLimitUnreadable", "cache_folder", "cache_limit_bytes"]

DEFAULT_LIMIT_MIB = 4096
MAX_DIGITS = 12


class CacheLimitUnreadable(SettlementError):
    """The variable that limits the cache holds no number."""


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

    ``FAIRROUND_CACHE_MIB``, else 4 GiB. The least recently used is deleted first.

    Raises
    ------
    CacheLimitUnreadable
        If the variable holds no whole number.
    """
    chosen = os.environ.get("FAIRROUND_CACHE_MIB") or str(DEFAULT_LIMIT_MIB)
    if not (chosen.isascii() and chosen.isdecimal() and len(chosen) < MAX_DIGITS):
        raise CacheLimitUnreadable(
            f"FAIRROUND_CACHE_MIB is {chosen!r:.80}; expected a whole number of MiB."
        )
    return int(chosen) * 2**20
