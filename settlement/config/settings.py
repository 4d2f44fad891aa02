"""Stand-in until the branch `config` is merged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settlement.errors import SettlementError

__all__ = ["Settings", "SettingsError", "read_settings", "settings_path"]


class SettingsError(SettlementError):
    """Settings have faults, or lack what a command needs."""


@dataclass(frozen=True)
class Settings:
    """One user's settings."""

    endpoint: str | None = None
    keystore: str = "keys"
    max_fee_gwei: int = 100
    priority_fee_gwei: int = 1
    confirmations: int = 1
    allowed_modules: tuple[str, ...] = ()


def user_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "fairround"


def settings_path() -> Path:
    return user_folder() / "config.toml"


def read_settings(**flags: Any) -> Settings:
    given = {key: value for key, value in flags.items() if value is not None}
    return Settings(
        **{
            "endpoint": os.environ.get("FAIRROUND_ENDPOINT"),
            "keystore": str(user_folder() / "keys"),
        }
        | given
    )
