"""Tables as plain text, as CSV and for LaTeX."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PrintedTable", "tables_as", "text_table"]

_NUMBER = re.compile(r"[+-]?[\d,]+(\.\d+)?")

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class PrintedTable:
    """A table of texts with a title; the first column names the rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables_as(tables: Sequence[PrintedTable], form: str) -> str:
    r"""Tables as one text, "csv" or "latex"; a comment line with its title comes before each.

    Examples
    --------
    >>> print(tables_as([PrintedTable("all", ["party", "sum"], [["a_b", "1,000"]])], "csv"), end="")
    # all
    party,sum
    a_b,1000
    >>> print(tables_as([PrintedTable("all", ["party", "sum"], [["a_b", "+1"]])], "latex"), end="")
    % all
    \begin{tabular}{lr}
    party & sum \\
    \hline
    a\_b & +1 \\
    \end{tabular}
    """
    return "\n".join(_csv(table) if form == "csv" else _latex(table) for table in tables)


def _csv(table: PrintedTable) -> str:
    text = io.StringIO()
    rows = [[_field(cell) for cell in row] for row in (table.header, *table.rows)]
    csv.writer(text, lineterminator="\n").writerows(rows)
    return f"# {table.title}\n{text.getvalue()}"


def _field(cell: str) -> str:
    """A number without separators; a text that no spreadsheet takes for a formula."""
    if _NUMBER.fullmatch(cell):
        return cell.replace(",", "")
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _latex(table: PrintedTable) -> str:
    header, *rows = (
        " & ".join(cell.translate(_LATEX) for cell in row) + r" \\"
        for row in (table.header, *table.rows)
    )
    begin = rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}"
    lines = [f"% {table.title}", begin, header, r"\hline", *rows, r"\end{tabular}"]
    return "\n".join(lines) + "\n"


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
