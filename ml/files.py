"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["flush_to_disk", "write_atomically"]


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
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        flush_to_disk(path.parent)  # the new name must survive as well


def flush_to_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or the list of names of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
