"""Stored figures beside what they must follow from; what differs is named with its file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from settlement.audit.findings import TOLERANCE, AuditError
from settlement.store.documents import Document

__all__ = ["close", "disagreement", "same", "same_entries"]


def same_entries(place: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare plain data key by key, each way.

    Raises
    ------
    AuditError
    """
    for key in expected | found:
        if found.get(key) != expected.get(key):
            raise AuditError(
                f"{place}: {key} is {found.get(key)!s:.80}; expected {expected.get(key)!s:.80}."
            )


def same(document: Document, name: str, expected: Any) -> None:
    """Compare one figure of a document exactly."""
    found = getattr(document, name)
    if found != expected:
        raise AuditError(disagreement(document, name, found, expected))


def close(document: Document, name: str, expected: Any, tolerance: float = TOLERANCE) -> None:
    """Compare nested figures: floats up to rounding, everything else exactly."""
    found = getattr(document, name)
    for place, one, other in _pairs(name, found, expected):
        both = isinstance(one, float) and isinstance(other, int | float)
        if not (one == other or (both and abs(one - other) <= tolerance)):
            raise AuditError(disagreement(document, place, one, other))


def _pairs(place: str, found: Any, expected: Any) -> Iterator[tuple[str, Any, Any]]:
    same_length = isinstance(found, list | dict) and type(found) is type(expected)
    if same_length and len(found) == len(expected):
        keys = found if isinstance(found, dict) else range(len(found))
        for key in keys:
            other = expected.get(key) if isinstance(expected, dict) else expected[key]
            yield from _pairs(f"{place}[{key}]", found[key], other)
    else:
        yield place, found, expected


def disagreement(document: Document, place: str, found: Any, expected: Any) -> str:
    """The sentence for a figure that is not what it follows from."""
    return (
        f"{document.STAGE}/{document.FILE}: {place} is {found!s:.80}; "
        f"what it follows from gives {expected!s:.80}."
    )
