"""Figures of a round as SVG: payoffs with revenue and cost, model rewards, the flow matrix."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["bars", "matrix"]

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3")
WIDTH, HEIGHT, MARGIN = 560, 300, 48

Figures = NDArray[np.float64]


def _frame(title: str, body: list[str], height: int = HEIGHT) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>'
    )
    label = (
        f'<text x="{WIDTH / 2}" y="18" text-anchor="middle" font-size="13">{escape(title)}</text>'
    )
    return "\n".join([head, label, *body, "</svg>\n"])


def bars(title: str, names: Sequence[str], series: dict[str, Figures]) -> str:
    """Groups of bars, one group a party, one bar a series, from zero."""
    figures = np.array(list(series.values()))
    low, high = min(0.0, float(figures.min())), max(0.0, float(figures.max()))
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / span

    group = (WIDTH - 2 * MARGIN) / len(names)
    bar = 0.8 * group / len(series)
    body = [f'<path d="M {MARGIN} {y(0):.1f} H {WIDTH - MARGIN}" stroke="black"/>']
    for k, (name, row) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        left = MARGIN + 110 * k
        body.append(f'<rect x="{left}" y="26" width="10" height="10" fill="{colour}"/>')
        body.append(f'<text x="{left + 14}" y="35">{escape(name)}</text>')
        for party, value in enumerate(row):
            x = MARGIN + party * group + 0.1 * group + k * bar
            top, bottom = min(y(value), y(0)), max(y(value), y(0))
            body.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{bar:.1f}" height="{bottom - top:.1f}" '
                f'fill="{colour}"><title>{escape(names[party])}: {value:.4f}</title></rect>'
            )
    for value in (low, high):
        body.append(f'<text x="4" y="{y(value) + 4:.1f}">{value:.2f}</text>')
    for party, name in enumerate(names):
        x = MARGIN + (party + 0.5) * group
        body.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(name)}</text>'
        )
    return _frame(title, body)


def matrix(title: str, names: Sequence[str], flows: Figures) -> str:
    """Flows as shaded cells with their figures, payers in rows and payees in columns."""
    cell = (WIDTH - 3 * MARGIN) / len(names)
    side = min(cell, 60.0)
    top = float(np.abs(flows).max()) or 1.0
    body = [f'<text x="{MARGIN}" y="38">row pays column</text>']
    for i, name in enumerate(names):
        y = MARGIN + 16 + i * side
        body.append(
            f'<text x="{2 * MARGIN - 6}" y="{y + side / 2 + 4:.1f}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
        x = 2 * MARGIN + (i + 0.5) * side
        body.append(
            f'<text x="{x:.1f}" y="{MARGIN + 12}" text-anchor="middle">{escape(name)}</text>'
        )
        for j in range(len(names)):
            left, value = 2 * MARGIN + j * side, float(flows[i, j])
            body.append(
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" '
                f'fill="{COLOURS[0]}" fill-opacity="{abs(value) / top:.3f}" stroke="#ddd"/>'
            )
            if i != j:
                body.append(
                    f'<text x="{left + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" '
                    f'text-anchor="middle">{value:.3f}</text>'
                )
    return _frame(title, body, int(MARGIN + 40 + side * len(names)))
