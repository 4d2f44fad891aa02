"""One folder a round: stages written once, as a whole, sealed with hashes.

A stage is a subfolder. It is written under a temporary name and renamed when it is complete,
so that a killed process leaves a whole stage or none. Its ``seal.json`` holds the SHA-256
of every file of the stage, of everything outside that the stage was made from (``inputs``),
and of itself. Reading a stage checks all of them, so a changed file is named before anything
is built on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ml.files import flush_to_disk
from ml.reading import VALUES_BYTES, UnreadableFile, read_json
from settlement.errors import SettlementError
from settlement.store.answers import ANSWERS_FILE

__all__ = [
    "LAYOUT",
    "PARTIES",
    "STAGES",
    "NoRound",
    "OtherLayout",
    "RoundBusy",
    "RoundFolder",
    "StageMissing",
    "TamperedFile",
    "dump_json",
]

STAGES = ("train", "open", "allocate", "settle", "reward", "report")
"""In their order: the game is agreed before any money is locked, and models come after it moved."""

LAYOUT: Final = 3
"""Which stages there are, in which order, with which files; stands in every seal."""

CONFIG = "round.toml"
PARTIES = "parties.csv"
SEAL = "seal.json"
LOCK = ".lock"

WRITTEN = (
    *(CONFIG, PARTIES, LOCK, ANSWERS_FILE, "chain", "signatures", "received"),
    *STAGES,
    *(f".{stage}.partial" for stage in STAGES),
)
"""What commands write to, or hand on, in a round's folder; data of the parties may be elsewhere."""


class NoRound(SettlementError):
    """The folder holds no round."""


class OtherLayout(SettlementError):
    """The folder was written by a version whose stages are others, or stand in another order."""


class StageMissing(SettlementError):
    """A stage is asked for that was not carried out yet."""


class TamperedFile(SettlementError):
    """A file of the round is not what was sealed: changed, lost, added, or a link to another."""


class RoundBusy(SettlementError):
    """Another process works on this round."""


def dump_json(document: Any) -> bytes:
    """Readable, deterministic JSON; floats in their shortest form that reads back exactly.

    Raises
    ------
    ValueError
        If the document holds NaN or an infinity: write ``None`` instead.
    """
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class RoundFolder:
    """The files of one round below one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config_path(self) -> Path:
        """The configuration that a person wrote; never changed by a stage."""
        return self.path / CONFIG

    @property
    def config_paths(self) -> list[Path]:
        """The configuration and, if there is one, the file of parties that belongs to it."""
        parties = self.path / PARTIES
        return [self.config_path, *([parties] if parties.is_file() else [])]

    def require_config(self) -> None:
        """Make sure that there is a configuration, which is what makes a folder a round.

        Its stages must also be those of this version: a folder of another order is refused as a
        whole, before a stage of the new order is put beside stages of the old one.

        Raises
        ------
        NoRound, OtherLayout
        TamperedFile
            If a file that commands write to is a link.
        """
        self.refuse_links()
        if not self.config_path.is_file():
            raise NoRound(
                f"{self.path} has no {CONFIG}; write one with "
                f"`fairround init {shlex.quote(str(self.path))}`."
            )
        for stage in STAGES:
            with contextlib.suppress(TamperedFile):  # said where the stage is read
                if self.has(stage):
                    self._read_seal(stage)

    def refuse_links(self) -> None:
        """Make sure that whatever is written here is written here.

        A folder may be anybody's. Were its lock or its journal a link, a command that only reads
        would empty a file of whoever runs it, such as a key; another link would hand one on.

        Raises
        ------
        TamperedFile
        """
        for name in WRITTEN:
            path = self.path / name
            below = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
            for found in (path, *below):
                if found.is_symlink():
                    raise TamperedFile(
                        f"{found} is a link; a round's folder holds files of its own. Put there "
                        f"what it leads to, if you know it to be the round's, or take it away."
                    )

    @property
    def chain_path(self) -> Path:
        """Folder of the chain's journal; not a stage: it grows during `open` and `settle`."""
        return self.path / "chain"

    def has(self, stage: str) -> bool:
        """Whether a stage is complete (not whether it is still what was sealed)."""
        return (self.path / stage / SEAL).is_file()

    def stage(self, stage: str) -> Path:
        """Folder of a complete stage, after checking its seal and all seals that it rests on.

        Raises
        ------
        StageMissing, TamperedFile
        """
        if not self.has(stage):
            raise StageMissing(
                f"{self.path} has no stage {stage!r} yet; run `fairround {stage} {self.path}`."
            )
        for name in self.check_seal(stage):
            if name.endswith(SEAL):
                self.stage(name.removesuffix(f"/{SEAL}"))
        return self.path / stage

    def check_seal(self, stage: str) -> tuple[str, ...]:
        """Check one stage's own files and inputs; the names of the inputs.

        Raises
        ------
        TamperedFile
            Naming the first file that is changed, lost or added.
        """
        folder = self.path / stage
        seal = self._read_seal(stage)
        for name, expected in seal["files"].items():
            self._check_hash(folder / name, expected)
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        if added := sorted(found - set(seal["files"]) - {SEAL}):
            raise TamperedFile(f"{stage}/{added[0]} is not in the stage's seal; take it out.")
        for name, expected in seal["inputs"].items():
            self._check_hash(self.path / name, expected)
        return tuple(seal["inputs"])

    def read_json(self, stage: str, name: str) -> Any:
        """One JSON document of a complete stage, after checking its seal."""
        return read_json(self.stage(stage) / name, VALUES_BYTES)

    @contextlib.contextmanager
    def write_stage(self, stage: str, *, inputs: Sequence[str]) -> Iterator[Path]:
        """Folder to write a stage's files into; sealed and put in its place on success.

        Parameters
        ----------
        inputs
            Earlier stages that this one is made from; the configuration always is one.

        Raises
        ------
        StageMissing, TamperedFile
        """
        if (self.path / stage).exists() and (left := sorted((self.path / stage).iterdir())):
            raise TamperedFile(
                f"{stage}/ holds {left[0].name} but no {SEAL}: it lost the seal or is not the "
                f"round's. Restore {stage}/{SEAL}, or move the folder away."
            )
        rests_on = {path.name: sha256_of(path) for path in self.config_paths}
        rests_on |= {f"{name}/{SEAL}": sha256_of(self.stage(name) / SEAL) for name in inputs}
        partial = self.path / f".{stage}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
        partial.mkdir(parents=True)
        yield partial
        files = sorted(p for p in partial.rglob("*") if p.is_file())
        body = {
            "layout": LAYOUT,
            "stage": stage,
            "inputs": rests_on,
            "files": {p.relative_to(partial).as_posix(): sha256_of(p) for p in files},
        }
        seal = partial / SEAL
        seal.write_bytes(dump_json(body | {"seal": _digest(body)}))
        for path in [*files, seal, partial]:
            flush_to_disk(path)
        partial.rename(self.path / stage)
        flush_to_disk(self.path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from working on this round.

        Raises
        ------
        RoundBusy
            If another process holds the lock. The operating system frees it when its
            holder ends, however it ends.
        """
        descriptor = os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"{self.path} is in use by another process; wait for it to end."
                raise RoundBusy(message) from None
            yield
        finally:
            os.close(descriptor)

    def _read_seal(self, stage: str) -> dict[str, Any]:
        name = f"{stage}/{SEAL}"
        try:
            seal: dict[str, Any] = read_json(self.path / name)
            claimed = seal.pop("seal")
            intact = claimed == _digest(seal) and seal["stage"] == stage
            intact &= all(_stays_inside(name) for name in (*seal["files"], *seal["inputs"]))
        except (UnreadableFile, KeyError, AttributeError, TypeError):
            intact = False
        if not intact:
            raise TamperedFile(f"{name} does not agree with its own hash; restore the file.")
        if (layout := seal.get("layout")) != LAYOUT:
            raise OtherLayout(
                f"{self.path} is a round of layout {layout or 1} ({name}); this version reads "
                f"layout {LAYOUT}, in which the game is agreed before any money is locked. Finish "
                f"it with the version that began it, or start a new round in another folder."
            )
        return seal

    def _check_hash(self, path: Path, expected: str) -> None:
        name = path.relative_to(self.path).as_posix()
        if not path.is_file():
            raise TamperedFile(f"{name} is missing; its seal expects SHA-256 {expected[:16]}...")
        found = sha256_of(path)
        if found != expected:
            kept = "it from open/" if name in (CONFIG, PARTIES) else "the file"
            raise TamperedFile(
                f"{name} has SHA-256 {found[:16]}...; its seal expects {expected[:16]}... "
                f"Restore {kept} or start a new round."
            )


def _stays_inside(name: str) -> bool:
    """Whether a name in a seal can only mean a file below the round's folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
