"""Compiled contracts: the escrow comes compiled, others are compiled at first use and kept.

What is kept names a hash of every source that the compiler reads and of its version, so that a
changed line or another compiler can never meet an old artefact.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ml.files import write_atomically
from ml.reading import UnreadableFile, read_json
from settlement.cache import cache_folder
from settlement.errors import SettlementError

__all__ = ["SHIPPED", "Artifact", "ArtifactError", "artifact", "compiled_text"]

VYPER_VERSION = "0.4.3"
ESCROW = "Escrow"
SHIPPED = "compiled"
"""Folder below ``contracts/`` of what comes compiled, by scripts/upkeep/compile_contracts.py."""


class ArtifactError(SettlementError):
    """A contract that cannot be compiled: unknown name, other compiler, sources missing."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract: its name, its ABI as JSON objects, and its code.

    ``bytecode`` creates the contract; ``runtime`` is what then stands at its address, before its
    immutables.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes


def artifact(name: str = ESCROW) -> Artifact:
    """The compiled contract of that name: as shipped, or from the cache, if no source has changed.

    Parameters
    ----------
    name : str
        A path below ``contracts/`` without ``.vy``: ``"Escrow"``, ``"mocks/FeeToken"``.

    Raises
    ------
    ArtifactError
        If there is no such source, or the installed compiler is not the one it is written for.
    """
    with as_file(files("contracts")) as folder:
        source = folder / f"{name}.vy"
        if not source.is_file():
            raise ArtifactError(f'No contract "{name}"; expected a file {name}.vy in contracts/.')
        key = _sources_hash(folder, name)
        cached = cache_folder("contracts") / f"{Path(name).name}-{key[:32]}.json"
        kept = _read(folder / SHIPPED / f"{name}.json", name, key) or _read(cached, name, key)
        if kept is not None:
            return kept
        made = _compile(folder, source, name)
    with contextlib.suppress(OSError):  # without it the next caller waits a few seconds, no more
        write_atomically(cached, _as_text(made, key).encode(), durable=False)
    return made


def compiled_text(name: str = ESCROW) -> str:
    """What is shipped of a contract: compiled now, whatever is kept of it."""
    with as_file(files("contracts")) as folder:
        made = _compile(folder, folder / f"{name}.vy", name)
        return _as_text(made, _sources_hash(folder, name))


def _sources_hash(folder: Path, name: str) -> str:
    """SHA-256 over compiler version, contract name, and each source with its relative path.

    Contracts may import any module beside them; mocks stand alone.
    """
    digest = hashlib.sha256(f"{VYPER_VERSION}\0{name}\0".encode())
    patterns = [(folder, "*.vy"), (folder, "interfaces/*.vyi")]
    if name.startswith("mocks/"):
        patterns = [(folder, f"{name}.vy")]
    for root, pattern in patterns:
        for path in sorted(root.glob(pattern)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _compile(folder: Path, source: Path, name: str) -> Artifact:
    found = version("vyper")
    if found != VYPER_VERSION:
        raise ArtifactError(
            f"vyper {found} is installed; the contracts are written for {VYPER_VERSION}. "
            f"Install vyper=={VYPER_VERSION}."
        )
    from vyper.cli.vyper_compile import compile_files

    compiled = compile_files(
        [str(source)],
        output_formats=["abi", "bytecode", "bytecode_runtime"],
        paths=[str(folder)],
    )
    (output,) = compiled.values()
    codes = (bytes.fromhex(output[kind][2:]) for kind in ("bytecode", "bytecode_runtime"))
    return Artifact(name, tuple(output["abi"]), *codes)


def _read(path: Path, name: str, key: str) -> Artifact | None:
    """The kept artefact of sources with this hash; None if there is none or it is not whole."""
    try:
        kept = read_json(path)
        bytecode, runtime = bytes.fromhex(kept["bytecode"]), bytes.fromhex(kept["runtime"])
        if kept["sources_sha256"] != key or kept["codes_sha256"] != _codes_hash(bytecode, runtime):
            return None
        return Artifact(name, tuple(kept["abi"]), bytecode, runtime)
    except (UnreadableFile, ValueError, KeyError, TypeError):
        return None


def _as_text(made: Artifact, key: str) -> str:
    content = {
        "sources_sha256": key,
        "codes_sha256": _codes_hash(made.bytecode, made.runtime),
        "bytecode": made.bytecode.hex(),
        "runtime": made.runtime.hex(),
        "abi": made.abi,
    }
    return json.dumps(content) + "\n"


def _codes_hash(bytecode: bytes, runtime: bytes) -> str:
    return hashlib.sha256(bytecode + runtime).hexdigest()
