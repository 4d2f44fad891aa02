"""Figures of a settled round for papers and slides: SVG, PDF and PNG; needs the extra `plots`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.game import allocate_many, factor_caps
from settlement.errors import SettlementError
from settlement.report.page.data import MAX_DRAWN_TABLE
from settlement.report.summary import StoredRound

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "FigureError", "draw_figures"]

FILE_KINDS = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}
"""Formats of a figure, and which of their facts to leave out so that files do not differ."""

SWEEP_POINTS = 201
SIZE_INCHES = (6.4, 4.0)


class FigureError(SettlementError):
    """Figures are asked for, and what draws them is not installed."""


def draw_figures(stored: StoredRound, folder: Path) -> tuple[Path, ...]:
    """Draw every figure that the round has figures for, each in three formats.

    Parameters
    ----------
    folder
        Where the files go; made if it is not there.

    Returns
    -------
    tuple of Path
        The files that were written; the same bytes for the same round.

    Raises
    ------
    FigureError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise FigureError(
            "matplotlib is not installed; expected the extra: pip install 'fairround[plots]'."
        )
    import matplotlib
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    # Text stays text in SVG, and the ids in it do not depend on the day.
    styles: Any = {"svg.hashsalt": "fairround", "svg.fonttype": "none"}
    with matplotlib.rc_context(styles), warnings.catch_warnings():
        # PDF and PNG show a box for a sign that no font of this machine has; SVG has the text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        for name, draw in FIGURES.items():
            figure = Figure(figsize=SIZE_INCHES, layout="constrained")
            if not draw(stored, figure):
                continue
            for kind, metadata in FILE_KINDS.items():
                path = folder / f"{name}.{kind}"
                figure.savefig(path, dpi=200, metadata=metadata)
                written.append(path)
    return tuple(written)


def _table(stored: StoredRound, figure: Figure) -> bool:
    """Values of the coalitions by their size."""
    values, n_parties = stored.values, len(stored.terms.parties)
    if not values.is_table or n_parties > MAX_DRAWN_TABLE:
        return False
    axes = figure.subplots()
    coalitions = range(1, 1 << n_parties)
    sizes = [coalition.bit_count() for coalition in coalitions]
    axes.plot(sizes, values.values[1:], "o", markersize=4, alpha=0.6)
    axes.set(xlabel="parties in the coalition", ylabel="value", xticks=range(1, n_parties + 1))
    return True


def _flows(stored: StoredRound, figure: Figure) -> bool:
    """Payoff flows before budgets, payers down, payees across."""
    allocation = stored.allocation
    if allocation.flows is None:
        return False
    axes = figure.subplots()
    image = axes.imshow(allocation.flows, cmap="Blues", vmin=0)
    places = range(len(allocation.parties))
    names = [_literal(name) for name in allocation.parties]
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set(xlabel="is paid", ylabel="pays")
    figure.colorbar(image, label="payoff flow before budgets (value units)")
    return True


def _sweep(stored: StoredRound, figure: Figure) -> bool:
    """Payoffs and model values over the budget of the party that is most short of money."""
    import numpy as np

    allocation = stored.allocation
    if allocation.flows is None:
        return False
    flows = np.array(allocation.flows)
    own, budgets = np.array(allocation.own_values), np.array(allocation.budgets)
    grand = stored.values.grand_value
    limits = [np.inf if value is None else value for value in stored.terms.caps]
    caps = factor_caps(own, grand, np.array(limits))
    costs = flows.sum(axis=1)
    party = int(np.argmax(costs * (caps - np.array(allocation.adjustment_factors))))
    swept = np.linspace(0, max(costs[party], 1e-12), SWEEP_POINTS)
    batch = np.tile(budgets, (SWEEP_POINTS, 1))
    batch[:, party] = swept
    many = allocate_many(flows, batch, caps)
    axes = figure.subplots(1, 2)
    for k, name in enumerate(allocation.parties):
        style = {"label": _literal(name), "linewidth": 2.5 if k == party else 1.2}
        axes[0].plot(swept, many.payoffs[:, k], **style)
        axes[1].plot(swept, own[k] + many.costs[:, k], **style)
    for part, what in zip(axes, ("payoff", "model value"), strict=True):
        part.axvline(budgets[party], color="grey", linestyle=":")
        part.set(ylabel=what)
    figure.supxlabel(f"budget of {_literal(allocation.parties[party])} (value units)", fontsize=10)
    if len(allocation.parties) <= 12:
        axes[1].legend(fontsize=7)
    return True


def _payoffs(stored: StoredRound, figure: Figure) -> bool:
    """Payoffs, with two standard errors where there are any."""
    allocation = stored.allocation
    axes = _bars(figure, allocation.parties, allocation.payoffs, allocation.payoff_errors)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylabel="payoff (value units)")
    return True


def _models(stored: StoredRound, figure: Figure) -> bool:
    """Own value and the value of the model that each party receives."""
    allocation = stored.allocation
    errors = allocation.model_value_errors
    axes = _bars(figure, allocation.parties, allocation.model_values, errors)
    axes.bar(range(len(allocation.parties)), allocation.own_values, color="0.35", label="own value")
    axes.axhline(stored.values.grand_value, color="black", linewidth=0.8, linestyle="--")
    axes.set(ylabel="model value; dark: own value")
    return True


def _bars(
    figure: Figure, names: Sequence[str], heights: Sequence[float], errors: Sequence[float] | None
) -> Axes:
    axes: Axes = figure.subplots()
    spread = None if errors is None else [2 * error for error in errors]
    axes.bar(range(len(names)), heights, yerr=spread, capsize=3)
    axes.set_xticks(range(len(names)), [_literal(name) for name in names], rotation=90)
    return axes


def _literal(name: str) -> str:
    """A name without the signs by which matplotlib begins a formula."""
    return name.replace("$", r"\$")


FIGURES: dict[str, Callable[[StoredRound, Any], bool]] = {
    "values": _table,
    "flows": _flows,
    "budget-sweep": _sweep,
    "payoffs": _payoffs,
    "model-values": _models,
}
"""What draws each figure; False if the round has nothing for it."""
