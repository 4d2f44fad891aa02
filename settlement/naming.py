"""Names of the parties behind errors that only know their numbers."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

from ml.errors import FairroundError

__all__ = ["fault_of_names", "listed", "parties_named", "with_names"]

MOST_LISTED = 10
"""Names of a sentence that lists them, where there are more than twice as many."""


def fault_of_names(names: Sequence[str]) -> str | None:
    """What is wrong with names that stand in a file: none may be invisible or there twice."""
    for name in names:
        if not name.isprintable() or not name.strip():
            return f"{name!r} is no name that can be printed."
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    return f"parties {twice} are named twice." if twice else None


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of hundreds only the first, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b"])
    'a, b'
    >>> listed([f"p{k}" for k in range(1000)])
    'p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 990 more'
    """
    if len(names) <= 2 * MOST_LISTED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_LISTED])} and {len(names) - MOST_LISTED} more"


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
