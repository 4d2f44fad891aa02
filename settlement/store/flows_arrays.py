"""The arrays of an npz file that somebody else wrote, read within limits."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from settlement.errors import SettlementError

__all__ = ["FLOWS_BYTES", "KINDS", "FlowsFileError", "read_arrays"]

FLOWS_BYTES = 256 * 2**20
"""Most that an npz file may hold once it is unpacked: 5,792 parties in full, 65,536 sparse."""

KINDS = {
    "flows": "fiu",
    "payers": "iu",
    "payees": "iu",
    "amounts": "fiu",
    "own_values": "fiu",
    "grand_value": "fiu",
    "parties": "U",
}
"""What a file may hold, and of which kinds of numpy's types."""


class FlowsFileError(SettlementError):
    """A file of flows that cannot be read, or whose flows are none."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file of flows.

    Nothing in the file is run or believed: no pickled objects, no more bytes than `FLOWS_BYTES`,
    and no array that is not of the size that its file says.

    Raises
    ------
    FlowsFileError
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            for name in names:
                if name.removesuffix(".npy") not in KINDS or not name.endswith(".npy"):
                    raise FlowsFileError(f"{name!r:.80} is not expected in a file of flows.")
                if names.count(name) > 1:
                    raise FlowsFileError(f"{name} is in it twice.")
            if (total := sum(member.file_size for member in members)) > FLOWS_BYTES:
                raise FlowsFileError(
                    f"unpacked it has {total:,} bytes; expected at most {FLOWS_BYTES:,}. Where "
                    "most flows are zero, write payers, payees and amounts instead of flows."
                )
            found = {}
            for member in members:
                if member.flag_bits & 1:
                    raise FlowsFileError(f"{member.filename} is encrypted.")
                key = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    found[key] = _read_array(stream, key, member.file_size)
            return found
    except OSError as error:
        raise FlowsFileError(f"cannot be read: {error.strerror or error}.") from None
    except FlowsFileError:
        raise
    except Exception as error:  # what zip, its packers and a header of Python's words may raise
        raise FlowsFileError(f"no npz file: {error or type(error).__name__}.") from None


def _read_array(stream: IO[bytes], key: str, file_size: int) -> np.ndarray:
    """One array; its header is compared with what the file holds before anything is made of it."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, by_column, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise FlowsFileError(f"{key} is of numpy's format {version}; expected 1.0 or 2.0.")
    if dtype.hasobject or dtype.kind not in KINDS[key]:
        raise FlowsFileError(
            f"{key} is of type {dtype}; expected {'names' if key == 'parties' else 'numbers'}."
        )
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > file_size or min(shape, default=0) < 0:
        raise FlowsFileError(
            f"{key} says that it is of shape {shape}, {n_bytes:,} bytes; the file holds "
            f"{file_size:,}."
        )
    raw = stream.read(n_bytes)
    if len(raw) < n_bytes:
        raise FlowsFileError(f"{key} ends after {len(raw):,} of {n_bytes:,} bytes.")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C")
    if key == "parties":
        array.tolist()  # names whose signs are none show here
    return array
