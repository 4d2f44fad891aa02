"""Parties by name in errors that only know their numbers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from ml.errors import MlError
from settlement.errors import BrokenInvariant, PlanError
from settlement.money.bridge import BridgeError
from settlement.posting.format import PostingError

__all__ = ["parties_named", "with_names"]

NUMBERING = (MlError, BridgeError, BrokenInvariant, PlanError, PostingError)
"""Errors of code that is given figures alone, no names."""

_PARTY = re.compile(r'(?<!")\b[Pp]arty (\d+)\b(?! \(")')
_COALITION = re.compile(r"\{(\d+(?:, \d+)*)\}")


@contextlib.contextmanager
def parties_named(names: Sequence[str]) -> Iterator[None]:
    """Let errors that number parties name them as well."""
    try:
        yield
    except NUMBERING as error:
        error.args = (with_names(str(error), names), *error.args[1:])
        raise


def with_names(message: str, names: Sequence[str]) -> str:
    """A message with the names of parties and of members of coalitions behind their numbers.

    Examples
    --------
    >>> with_names("worst where party 2 joins {0, 1}", ["a", "b", "c"])
    'worst where party 2 ("c") joins {0, 1} ("a", "b")'
    """

    def named(match: re.Match[str]) -> str:
        parties = [int(number) for number in match[1].split(", ")]
        if max(parties) >= len(names):
            return match[0]
        listed = ", ".join(f'"{names[party]}"' for party in parties)
        return f"{match[0]} ({listed})"

    return _COALITION.sub(named, _PARTY.sub(named, message))
