"""Names of the parties behind errors that only know their numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ml.errors import FairroundError

__all__ = ["parties_named", "with_names"]


@contextlib.contextmanager
def parties_named(names: Sequence[str]) -> Iterator[None]:
    """Let errors about parties say who they are."""
    try:
        yield
    except FairroundError as error:
        error.args = (with_names(error, names), *error.args[1:])
        raise


def with_names(error: FairroundError, names: Sequence[str]) -> str:
    """An error's message, and who the parties are that it is about.

    Examples
    --------
    >>> error = FairroundError("Party 2 makes {0, 1} worse.", party=2, coalition=0b11)
    >>> with_names(error, ["a", "b", "c"])
    'Party 2 makes {0, 1} worse. Party 2 is "c", 0 is "a", 1 is "b".'
    """
    others = error.coalition or 0
    numbers = [] if error.party is None else [error.party]
    numbers += [party for party in range(others.bit_length()) if others >> party & 1]
    if not numbers or max(numbers) >= len(names):
        return str(error)
    listed = ", ".join(f'{number} is "{names[number]}"' for number in numbers)
    return f"{error} Party {listed}."
