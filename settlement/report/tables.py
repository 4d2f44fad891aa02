"""Plain text tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["text_table"]


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; the first column is flush left, the others right.

    Examples
    --------
    >>> text_table(["party", "payoff"], [["a", "-0.2"], ["bc", "0.1125"]])
    ['party  payoff', 'a        -0.2', 'bc     0.1125']
    >>> text_table(["party", "payoff"], [["医院", "-0.2"]])
    ['party  payoff', '医院     -0.2']
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(_columns(row[k]) for row in cells) for k in range(len(header))]
    lines = []
    for row in cells:
        gaps = [" " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)]
        others = (gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True))
        lines.append("  ".join([row[0] + gaps[0], *others]).rstrip())
    return lines


def _columns(text: str) -> int:
    """Columns that a terminal shows a text in: two for a Chinese sign, none for a lone accent."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.category(sign) in ("Mn", "Me") for sign in text)
