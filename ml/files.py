"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

__all__ = ["flush_to_disk", "write_atomically"]

_UMASK_LOCK = threading.Lock()


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file's content; a kill at any moment leaves the old file or the new one.

    The content goes into a temporary file ``.<name>.<random>.part`` in the same folder, which then
    takes the name. Missing folders are made. The file may be read by whom the umask allows, as
    one that `open` makes.

    Parameters
    ----------
    durable
        Whether the file must also survive a power cut. Waiting for the disk takes most of the time
        of a write, so a cache does without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())  # a temporary file is its owner's alone
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        flush_to_disk(path.parent)  # the new name must survive as well


def _umask() -> int:
    """The permissions that new files do not get. It can be read only by setting it."""
    with _UMASK_LOCK:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or the list of names of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
