"""What a simulation shows, in figures and in words."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from settlement.simulation.results.expectations import Verdict

__all__ = ["NOT_MODELLED", "BehaviourFigures", "Summary", "finite", "summarise"]

NOT_MODELLED = (
    "side payments outside of the contract (a group's members are added up, not balanced)",
    "a party that joins a model reward with data that it kept back",
    "time preference, and any fee other than gas",
    "other people's transactions: blocks have room for everybody",
    "scores that differ from training to training: a table is taken as it is",
)
"""What a simulated round leaves out; said in every summary."""

MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class BehaviourFigures:
    """Means over all parties of one table and behaviour in one cell, with Monte Carlo errors."""

    cell: int
    parameters: dict[str, Any]  # what is swept
    kind: str  # name of the scenario's table of the party
    behaviour: str
    n_rows: int
    utility: tuple[float, float]
    surplus: tuple[float, float]  # over what the party has alone
    payoff: tuple[float, float]
    model_value: tuple[float, float]
    deposit: tuple[float, float]
    gain: tuple[float, float] | None  # over being honest, where that was tried
    hurt: float  # share that is worse off than alone

    @property
    def group(self) -> str:
        """What the row is called."""
        return group_name(self.kind, self.behaviour)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that the command prints."""

    name: str
    scenario: str  # its hash, from which all seeds follow
    seed: int
    tier: str
    n_cells: int
    n_rounds: int
    n_settled: int
    n_equal: int  # on twin and EVM, to the unit
    n_calls: int
    n_refusals: int
    settled_by: dict[str, int]
    gross_units: float  # mean a settled round
    net_units: float
    transfers: float
    troubles: dict[str, int]
    behaviours: tuple[BehaviourFigures, ...]
    verdicts: tuple[Verdict, ...]
    failures: tuple[tuple[int, int, str], ...]  # cell, replicate, traceback
    not_modelled: tuple[str, ...] = NOT_MODELLED

    @property
    def holds(self) -> bool:
        """Whether everything is as expected."""
        return not self.failures and all(verdict.holds for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Plain data; rounds by their keys."""
        document = asdict(self)
        for found, verdict in zip(document["verdicts"], self.verdicts, strict=True):
            found["broken"] = [str(key) for key in verdict.broken]
            for side in ("left", "right"):
                figure = getattr(verdict, side)
                found[side] = figure and {
                    "value": finite(figure.value),
                    "standard_error": finite(figure.standard_error),
                    "n_rows": figure.n_rows,
                }
        for row in document["behaviours"]:
            for key, value in row.items():
                if isinstance(value, tuple):
                    row[key] = [finite(number) for number in value]
        return document | {"holds": self.holds}

    def as_text(self, folder: str) -> str:
        """What a person reads."""
        equal = (
            f"{self.n_equal:,} of {self.n_rounds:,} rounds equal on twin and EVM ({self.tier}), "
            "to the unit"
            if self.tier != "twin"
            else f"{self.n_rounds:,} rounds on the twin alone: nothing was compared"
        )
        lines = [
            f"{self.name}: {self.n_rounds:,} rounds in {self.n_cells:,} cells, "
            f"{self.n_settled:,} settled",
            f"{equal}; {self.n_calls:,} calls, {self.n_refusals:,} of them refused",
            f"seed {self.seed}, scenario {self.scenario[:16]}",
        ]
        if self.settled_by:
            who = ", ".join(f"{name} {count:,}" for name, count in self.settled_by.items())
            lines.append(f"settled by: {who}")
        if self.n_settled:
            lines.append(
                f"a settled round moves {self.net_units:,.0f} base units in {self.transfers:.1f} "
                f"transfers, of {self.gross_units:,.0f} in flows"
            )
        if self.troubles:
            met = ", ".join(f"{name} {count:,}" for name, count in self.troubles.items())
            lines.append(f"troubles met: {met}")
        lines += ["", *self._table(), ""]
        for verdict in self.verdicts:
            lines.append(f"{'holds ' if verdict.holds else 'BROKEN'}  {verdict.sentence}")
            lines += [f"        fairround replay {folder} --round {k}" for k in verdict.broken[:3]]
        for cell, replicate, trace in self.failures[:3]:
            lines.append(f"FAILED  cell {cell}, replicate {replicate}:")
            lines += [f"        {line}" for line in trace.rstrip().splitlines()]
        if len(self.failures) > 3:
            lines.append(f"        and {len(self.failures) - 3} more replicates")
        lines += ["", f"not modelled: {'; '.join(self.not_modelled)}"]
        return "\n".join(lines) + "\n"

    def _table(self) -> list[str]:
        head = ["party: behaviour", "rows", "utility", "over alone", "payoff", "model value"]
        head += ["deposit", "gain", "worse than alone"]
        rows = [head]
        for found in self.behaviours[:MOST_LINES]:
            swept = ", ".join(
                f"{place.rpartition('.')[2]} {_short(value)}"
                for place, value in found.parameters.items()
            )
            rows.append(
                [
                    f"{found.group} ({swept})" if swept else found.group,
                    f"{found.n_rows:,}",
                    _with_error(found.utility),
                    _with_error(found.surplus),
                    _with_error(found.payoff),
                    _with_error(found.model_value, 4),
                    _with_error(found.deposit),
                    _with_error(found.gain) if found.gain else "",
                    f"{found.hurt:.1%}",
                ]
            )
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        if len(self.behaviours) > MOST_LINES:
            lines.append(f"... and {len(self.behaviours) - MOST_LINES} more lines in --json")
        return lines


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(_short(v) if k == "name" else f"{k} {_short(v)}" for k, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_error(figure: tuple[float, float], digits: int = 0) -> str:
    value, error = figure
    text = f"{value:,.{digits}f}"
    return text if math.isnan(error) else f"{text} ± {error:,.{digits}f}"


def group_name(kind: str, behaviour: str) -> str:
    """What parties of one table and behaviour are called together."""
    return behaviour if kind == behaviour else f"{kind}: {behaviour}"


def finite(number: float) -> float | None:
    """A number as JSON knows it; None for one that is not known."""
    return number if math.isfinite(number) else None


def summarise(
    database: sqlite3.Connection,
    *,
    name: str,
    scenario: str,
    seed: int,
    tier: str,
    verdicts: tuple[Verdict, ...],
) -> Summary:
    """The summary of what a database holds."""
    n_rounds, n_settled, n_calls, n_refusals = database.execute(
        "SELECT count(*), sum(settled), sum(n_calls), sum(n_refusals) FROM rounds"
    ).fetchone()
    (n_unequal,) = database.execute(
        "SELECT count(*) FROM (SELECT DISTINCT cell, replicate, period FROM violations "
        "WHERE property = 'twin_equals_evm')"
    ).fetchone()
    gross, net, transfers = database.execute(
        "SELECT avg(gross_units), avg(net_units), avg(n_transfers) FROM rounds WHERE settled"
    ).fetchone()
    settled_by = dict(
        database.execute(
            "SELECT settled_by, count(*) FROM rounds WHERE settled GROUP BY 1 ORDER BY 2 DESC"
        )
    )
    (n_cells,) = database.execute("SELECT count(DISTINCT cell) FROM rounds").fetchone()
    return Summary(
        name=name,
        scenario=scenario,
        seed=seed,
        tier=tier,
        n_cells=n_cells,
        n_rounds=n_rounds,
        n_settled=n_settled or 0,
        n_equal=n_rounds - n_unequal,
        n_calls=n_calls or 0,
        n_refusals=n_refusals or 0,
        settled_by=settled_by,
        gross_units=gross or 0.0,
        net_units=net or 0.0,
        transfers=transfers or 0.0,
        troubles=_troubles(database),
        behaviours=_behaviours(database),
        verdicts=verdicts,
        failures=tuple(
            database.execute("SELECT cell, replicate, traceback FROM failures ORDER BY 1, 2")
        ),
    )


def _troubles(database: sqlite3.Connection) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (words,) in database.execute("SELECT troubles FROM rounds WHERE troubles != ''"):
        for item in words.split(", "):
            name, count = item.rsplit(" ", 1)
            counts[name] = counts.get(name, 0) + int(count)
    return dict(sorted(counts.items()))


_FIGURES = ("utility", "utility - utility_alone", "payoff_units", "model_value", "deposit_units")


def _behaviours(database: sqlite3.Connection) -> tuple[BehaviourFigures, ...]:
    """Means by cell, table and behaviour; errors are over replicates, whose rows are one draw."""
    parameters: dict[int, dict[str, Any]] = {}
    for cell, place, value in database.execute("SELECT cell, place, value FROM cells"):
        parameters.setdefault(cell, {})[place] = json.loads(value)
    columns = ", ".join(f"sum({figure})" for figure in (*_FIGURES, "gain"))
    query = (
        f"SELECT cell, kind, behaviour, replicate, count(*), {columns}, "
        "sum(utility < utility_alone - 1.5), count(gain) "
        "FROM parties GROUP BY cell, kind, behaviour, replicate ORDER BY cell, kind, behaviour"
    )
    groups: dict[tuple[int, str, str], list[tuple[Any, ...]]] = {}
    for cell, kind, behaviour, _, *row in database.execute(query):
        groups.setdefault((cell, kind, behaviour), []).append(tuple(row))
    found = []
    for (cell, kind, behaviour), rows in groups.items():
        counts = [row[0] for row in rows]
        figures = [_ratio([row[1 + k] for row in rows], counts) for k in range(len(_FIGURES))]
        tried = [row for row in rows if row[8]]
        found.append(
            BehaviourFigures(
                cell=cell,
                parameters=parameters.get(cell, {}),
                kind=kind,
                behaviour=behaviour,
                n_rows=sum(counts),
                utility=figures[0],
                surplus=figures[1],
                payoff=figures[2],
                model_value=figures[3],
                deposit=figures[4],
                gain=_ratio([r[6] for r in tried], [r[8] for r in tried]) if tried else None,
                hurt=sum(row[7] for row in rows) / sum(counts),
            )
        )
    return tuple(found)


def _ratio(sums: list[float], counts: list[int]) -> tuple[float, float]:
    """Mean and its standard error, from the sums of independent groups."""
    total, n_groups = sum(counts), len(counts)
    mean = sum(sums) / total
    if n_groups < 2:
        return mean, float("nan")
    squares = sum((s - mean * c) ** 2 for s, c in zip(sums, counts, strict=True))
    return mean, math.sqrt(n_groups / (n_groups - 1) * squares) / total
