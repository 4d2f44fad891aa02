"""Numbers that callers pass in, read in one way everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import MlError

__all__ = ["as_floats"]

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def as_floats(
    numbers: Any, what: str, error: type[MlError], *, keep_single: bool = False
) -> npt.NDArray[Any]:
    """Array of float64 in the machine's byte order, not copied if it is one already.

    Parameters
    ----------
    numbers
        Anything that holds real numbers: lists, integers, floats of any size, fractions.
    what : str
        Subject of the message, in the plural: "Budgets".
    error : type
        Raised for text, complex numbers, dates, ragged lists and masked entries: to read on
        without a word would drop what they say.
    keep_single : bool
        Leave float32 as it is.
    """
    if isinstance(numbers, np.ma.MaskedArray) and np.ma.is_masked(numbers):
        raise error(f"{what} have masked entries; expected a number for each. Fill them first.")
    try:
        array = np.asarray(numbers)
    except (TypeError, ValueError) as fault:
        raise error(f"{what} cannot be read as numbers: {fault}.") from None
    if array.dtype == _FLOATS[0] or (keep_single and array.dtype == _FLOATS[1]):
        return array
    if array.dtype.kind not in "fiubO":
        raise error(f"{what} are of type {array.dtype}; expected real numbers.")
    if keep_single and array.dtype.newbyteorder("=") == _FLOATS[1]:
        return array.astype(np.float32)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as fault:
        raise error(f"{what} cannot be read as numbers: {fault}.") from None
