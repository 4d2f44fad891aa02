"""The journal of a chain: one line for each thing done, written down before it is done.

Each line of ``journal.jsonl`` is a JSON object in one canonical spelling. Its ``digest`` is the
SHA-256 of the digest before it and of the line's own content, so that a figure changed anywhere
is named with its line. A line counts from the moment that its newline is on the disk: nothing is
sent before that, so a torn last line (the machine stopped in the middle of a write) speaks of
something that never happened, and is dropped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ml.reading import UnreadableFile, parse_json
from settlement.chain.errors import JournalFault, JournalLocked, ReadOnlyChain

__all__ = ["JOURNAL_NAME", "Journal", "JournalEntry", "JournalRecord", "read_journal"]

JOURNAL_NAME = "journal.jsonl"
FIRST_KINDS = frozenset({"genesis", "endpoint"})
ENTRY_KINDS = FIRST_KINDS | {"send", "receipt", "clock", "reorganised", "dropped"}
START_DIGEST = bytes(32)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line: its number (from 1), what kind of thing it records, and the fields of that.

    ``digest`` is the running digest, hex: it commits to this line and all before it.
    """

    line: int
    kind: str
    fields: dict[str, Any]
    digest: str

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A journal that was read and whose running digest holds; nothing was executed.

    ``torn_bytes`` is the length of an unfinished last line, 0 for a journal that was closed well.
    """

    path: Path | None
    entries: tuple[JournalEntry, ...]
    digest: str  # of the last line: it commits to the whole journal
    torn_bytes: int


def read_journal(path: Path) -> JournalRecord:
    """Read a journal and check its running digest, without executing anything.

    Raises
    ------
    JournalFault
        If a line is not what was written there; names the first such line.
    FileNotFoundError
        If there is no journal.
    """
    return _parse(path, path.read_bytes())


def _parse(path: Path | None, content: bytes) -> JournalRecord:
    *lines, tail = content.split(b"\n")
    entries: list[JournalEntry] = []
    digest = START_DIGEST
    for number, line in enumerate(lines, start=1):
        entry, digest = _parse_line(path, number, line, digest)
        entries.append(entry)
    return JournalRecord(path, tuple(entries), digest.hex(), len(tail))


def _parse_line(
    path: Path | None, number: int, line: bytes, before: bytes
) -> tuple[JournalEntry, bytes]:
    try:
        content = parse_json(line, "the line")
    except UnreadableFile as error:
        raise JournalFault(path, number, f"{error} Restore the file.") from None
    if not isinstance(content, dict):
        raise JournalFault(path, number, "not a JSON object; restore the file.")
    written = content.pop("digest", None)
    digest = _digest(before, content)
    # The spelling is compared too: one content has one line, to the last byte.
    if written != digest.hex() or _render(content, digest) != line + b"\n":
        raise JournalFault(
            path,
            number,
            f"digest {written} written, {digest.hex()} computed from this line and the one "
            "before it. The line was changed after it was written; restore the file.",
        )
    kind = content.pop("kind", None)
    if content.pop("line", None) != number:
        raise JournalFault(path, number, "its own line number is another; restore the file.")
    if kind not in (FIRST_KINDS if number == 1 else ENTRY_KINDS - FIRST_KINDS):
        raise JournalFault(path, number, f"kind {kind!r} has no place on this line.")
    return JournalEntry(number, kind, content, digest.hex()), digest


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _digest(before: bytes, content: dict[str, Any]) -> bytes:
    return hashlib.sha256(before + _canonical(content)).digest()


def _render(content: dict[str, Any], digest: bytes) -> bytes:
    return _canonical({**content, "digest": digest.hex()}) + b"\n"


class Journal:
    """An append-only journal, held under an exclusive lock while it is open.

    Parameters
    ----------
    folder : Path or None
        Where ``journal.jsonl`` lives or will live; None keeps the journal in memory, for a chain
        that nobody will ask for again.
    read_only : bool
        Takes no lock, writes nothing, leaves a torn line where it is.

    Raises
    ------
    JournalLocked
        If another process, or another `Journal` of this one, holds it.
    JournalFault
        If a line is not what was written there, or there is nothing to read.
    """

    def __init__(self, folder: Path | None, *, read_only: bool = False) -> None:
        self.path = None if folder is None else folder / JOURNAL_NAME
        self.read_only = read_only
        self._descriptor: int | None = None
        if self.path is None:
            self.record = _parse(None, b"")
        elif read_only and not self.path.exists():
            raise JournalFault(self.path, 0, "there is no journal; the chain was never started.")
        elif read_only:
            self.record = read_journal(self.path)
        else:
            descriptor = _open_locked(self.path)
            try:
                self.record = _recover(self.path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        self._entries = list(self.record.entries)
        self._last_digest = bytes.fromhex(self.record.digest)

    @property
    def entries(self) -> tuple[JournalEntry, ...]:
        """All entries so far, in order."""
        return tuple(self._entries)

    @property
    def digest(self) -> str:
        """Digest of the last line, hex: it commits to everything that the journal holds."""
        return self._last_digest.hex()

    def append(self, kind: str, fields: dict[str, Any]) -> JournalEntry:
        """Write one entry and return once it is on the disk."""
        if self.read_only:
            raise ReadOnlyChain(f"{self.path} is open for reading; a {kind} entry is not written.")
        number = len(self._entries) + 1
        content = {**fields, "kind": kind, "line": number}
        digest = _digest(self._last_digest, content)
        if self._descriptor is not None:
            try:
                _write_durably(self._descriptor, _render(content, digest))
            except OSError:
                # Half a line may be there; whatever came after it would be read as part of it.
                self.close()
                raise
        entry = JournalEntry(number, kind, fields, digest.hex())
        self._entries.append(entry)
        self._last_digest = digest
        return entry

    def close(self) -> None:
        """Let go of the lock; the journal stays as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self.read_only = True

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _write_durably(descriptor: int, content: bytes) -> None:
    """Append bytes and wait until the disk has them."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _open_locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    # Not through a link: what is torn at its end is cut off, and might be somebody's key.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalLocked(
            f"{path} is in use by another process; wait until that one ends."
        ) from error
    if fresh:
        # A file whose name is not on the disk is lost with everything in it.
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    return descriptor


def _recover(path: Path, descriptor: int) -> JournalRecord:
    """Read what is there; cut off a torn last line so that the next one starts on its own."""
    content = path.read_bytes()
    record = _parse(path, content)
    if record.torn_bytes:
        _log.warning(
            "%s: dropped an unfinished line %d of %d bytes; what it speaks of was never sent.",
            path,
            len(record.entries) + 1,
            record.torn_bytes,
        )
        os.ftruncate(descriptor, len(content) - record.torn_bytes)
        os.fsync(descriptor)
    return record
