"""Pictures of a simulation, from its file of rows alone; needs matplotlib (the extra `plots`)."""

from __future__ import annotations

import json
import sqlite3
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from settlement.errors import SettlementError

__all__ = ["PlotError", "draw_all"]

FORMATS = ("svg", "png")
BAND = 1.96
"""Standard errors on either side of a mean."""


class PlotError(SettlementError):
    """Pictures are asked for, and what draws them is not installed."""


def draw_all(database: Path, folder: Path) -> list[Path]:
    """Draw every picture that the rows have something for; the files that were written.

    Raises
    ------
    PlotError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise PlotError(
            "matplotlib is not installed; expected the extra: pip install 'fairround[plots]'."
        )
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        written = []
        for name, draw in PICTURES.items():
            with _figure() as (figure, axes):
                if draw(connection, axes):
                    figure.supxlabel(_small_print(connection), fontsize=6, x=0.01, ha="left")
                    for kind in FORMATS:
                        path = folder / f"{name}.{kind}"
                        # No date inside: the same rows make the same file.
                        figure.savefig(path, metadata={"Date": None} if kind == "svg" else None)
                        written.append(path)
        return written
    finally:
        connection.close()


def _small_print(connection: sqlite3.Connection) -> str:
    """How many rounds it is about, and what they leave out."""
    (n_rounds,) = connection.execute("SELECT count(*) FROM rounds").fetchone()
    (left_out,) = connection.execute("SELECT value FROM meta WHERE key = 'not_modelled'").fetchone()
    return textwrap.fill(f"{n_rounds:,} rounds. Not modelled: {left_out}.", 150)


@contextmanager
def _figure() -> Iterator[tuple[Any, Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import StrMethodFormatter

    with matplotlib.rc_context({"svg.hashsalt": "fairround", "font.size": 9}):
        figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        try:
            yield figure, axes
        finally:
            pyplot.close(figure)


def _numeric_axis(connection: sqlite3.Connection) -> tuple[str, dict[int, float]] | None:
    """The swept place with most numbers as values, and its value in each cell."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for cell, place, text in connection.execute("SELECT cell, place, value FROM cells"):
        value = json.loads(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[place][cell] = float(value)
    many = {place: cells for place, cells in values.items() if len(set(cells.values())) > 1}
    if not many:
        return None
    place = max(many, key=lambda name: len(set(many[name].values())))
    return place, many[place]


def _mean_and_band(values: list[float]) -> tuple[float, float]:
    error = stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0
    return fmean(values), BAND * error


def _by_replicate(
    connection: sqlite3.Connection, figure: str, group: str
) -> Iterator[tuple[int, str, float]]:
    """Cell, group and the replicate's mean of a figure."""
    query = (
        f"SELECT cell, {group}, avg({figure}) FROM parties "
        f"GROUP BY cell, {group}, replicate ORDER BY cell, {group}, replicate"
    )
    yield from connection.execute(query)


def _lines(
    connection: sqlite3.Connection, axes: Any, figure: str, group: str, axis: dict[int, float]
) -> None:
    series: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell, name, value in _by_replicate(connection, figure, group):
        if cell in axis and value is not None:
            series[name][axis[cell]].append(value)
    for name, points in sorted(series.items()):
        places = sorted(points)
        means, bands = zip(*(_mean_and_band(points[x]) for x in places), strict=True)
        (line,) = axes.plot(places, means, marker="o", markersize=3, label=name)
        low = [m - b for m, b in zip(means, bands, strict=True)]
        high = [m + b for m, b in zip(means, bands, strict=True)]
        axes.fill_between(places, low, high, alpha=0.2, color=line.get_color())
    _legend(axes)


def _legend(axes: Any, title: str | None = None) -> None:
    """Beside the picture, where it hides nothing."""
    axes.legend(fontsize=8, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def _utilities(connection: sqlite3.Connection, axes: Any) -> bool:
    """Utility over what a party has alone, by behaviour."""
    figure = "utility - utility_alone"
    axis = _numeric_axis(connection)
    axes.set_ylabel("utility over alone, base units")
    axes.axhline(0, color="black", linewidth=0.6)
    if axis is not None:
        _lines(connection, axes, figure, "behaviour", axis[1])
        axes.set_xlabel(axis[0])
    else:
        values: dict[str, list[float]] = defaultdict(list)
        for _, behaviour, value in _by_replicate(connection, figure, "behaviour"):
            values[behaviour].append(value)
        names = sorted(values)
        means, bands = zip(*(_mean_and_band(values[name]) for name in names), strict=True)
        axes.bar(names, means, yerr=bands, capsize=3)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_title("Utilities by behaviour (95 % bands over replicates)")
    return True


def _budget_axis(connection: sqlite3.Connection) -> dict[int, float] | None:
    found = _numeric_axis(connection)
    return found[1] if found is not None and found[0].endswith(".budget") else None


def _budget_models(connection: sqlite3.Connection, axes: Any) -> bool:
    axis = _budget_axis(connection)
    if axis is None:
        return False
    _lines(connection, axes, "model_value", "party", axis)
    axes.set_xlabel("budget of the party that is swept, units of value")
    axes.set_ylabel("model value")
    axes.set_title("A larger budget: everybody's model")
    return True


def _budget_payoffs(connection: sqlite3.Connection, axes: Any) -> bool:
    axis = _budget_axis(connection)
    if axis is None:
        return False
    _lines(connection, axes, "payoff_units", "party", axis)
    axes.set_xlabel("budget of the party that is swept, units of value")
    axes.set_ylabel("payoff, base units")
    axes.set_title("A larger budget: everybody's payoff")
    return True


def _gross_and_net(connection: sqlite3.Connection, axes: Any) -> bool:
    rows = list(
        connection.execute("SELECT gross_units, net_units FROM rounds WHERE settled LIMIT 5000")
    )
    if not rows:
        return False
    gross, net = zip(*rows, strict=True)
    axes.scatter(gross, net, s=6, alpha=0.5, edgecolors="none")
    most = max(gross)
    axes.plot([0, most], [0, most], color="black", linewidth=0.6, label="nothing nets out")
    axes.set_xlabel("flows between parties, base units")
    axes.set_ylabel("moved by transfers, base units")
    axes.set_title("Gross flows against net transfers, a point a round")
    _legend(axes)
    return True


def _left_by_lies(connection: sqlite3.Connection, axes: Any) -> bool:
    """What each way of settling leaves every kind of party."""
    rows = list(
        connection.execute(
            "SELECT r.way, p.kind, coalesce(r.lie, 'none'), avg(p.utility - p.utility_alone) "
            "FROM parties p JOIN rounds r USING (cell, replicate, period) "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
    )
    lies = sorted({lie for _, _, lie, _ in rows}, key=lambda lie: (lie != "none", lie))
    if lies == ["none"]:
        return False
    groups = list(dict.fromkeys((way, kind) for way, kind, _, _ in rows))
    width = 0.8 / len(lies)
    for k, lie in enumerate(lies):
        found = {(way, kind): mean for way, kind, about, mean in rows if about == lie}
        places = [g + (k - (len(lies) - 1) / 2) * width for g in range(len(groups))]
        heights = [found.get(group, 0.0) for group in groups]
        axes.bar(places, heights, width, label="honest" if lie == "none" else f"lies about {lie}")
    names = [f"{kind}, {way}" for way, kind in groups]
    axes.set_xticks(range(len(groups)), names, rotation=30, ha="right")
    axes.set_ylabel("utility over alone, base units")
    axes.set_title("What a lying operator leaves")
    _legend(axes, "operator")
    return True


PICTURES: dict[str, Callable[[sqlite3.Connection, Any], bool]] = {
    "utilities": _utilities,
    "budget-model-values": _budget_models,
    "budget-payoffs": _budget_payoffs,
    "gross-and-net": _gross_and_net,
    "lying-operator": _left_by_lies,
}
