"""What a scenario expects of its results: read from one line, answered from the rows.

A line compares figures, ``utility(honest) >= utility(hides_budget)``, or names a property of every
round. A figure is a mean over all rows that it selects, unless ``max``, ``min`` or ``share``
says otherwise.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from settlement.errors import SettlementError
from settlement.simulation.tables.scenario import Claim
from settlement.simulation.tables.sweeps import RoundKey

__all__ = [
    "ALWAYS",
    "METRICS",
    "ROUND_PROPERTIES",
    "Expectation",
    "ExpectationError",
    "Figure",
    "Verdict",
    "check_expectation",
    "parse_expectation",
]

ALWAYS = ("twin_equals_evm", "conservation", "no_overdraft")
"""Checked in every round of every scenario."""

ROUND_PROPERTIES = (*ALWAYS, "individual_rationality")

METRICS = {
    "utility": "p.utility",
    "payoff": "p.payoff_units",
    "model_value": "p.model_value",
    "own_value": "p.own_value",
    "alone": "p.utility_alone",
    "surplus": "p.utility - p.utility_alone",
    "gain": "p.gain",
    "hurt": "p.utility < p.utility_alone - 1.5",
    "deposit": "p.deposit_units",
    "moved": "p.moved",
    "settled": "r.settled",
    "transfers": "r.n_transfers",
    "gross": "r.gross_units",
    "net": "r.net_units",
}
"""Figures of a party in a round, or of a round; money in base units, models in value units."""

FILTERS = ("party", "behaviour", "looks", "pays", "operator", "lie", "period", "settled", "cell")

COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.LtE: ("<=", operator.le),
    ast.GtE: (">=", operator.ge),
    ast.Lt: ("<", operator.lt),
    ast.Gt: (">", operator.gt),
    ast.Eq: ("==", operator.eq),
}
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
AGGREGATES = ("mean", "max", "min", "share")

RATIONAL_SLACK = 1.5
"""Base units by which rounding may leave a party below what it has alone."""


class ExpectationError(SettlementError):
    """An expectation that cannot be read; ``key`` is the key of the claim that is wrong."""

    def __init__(self, message: str, key: str = "that") -> None:
        self.key = key
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Figure:
    """One side of a comparison: its value, Monte Carlo standard error, and the rows behind it."""

    value: float
    standard_error: float = 0.0
    n_rows: int = 0
    lowest: RoundKey | None = None
    highest: RoundKey | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """A claim that can be read: the name of a property, or a comparison."""

    claim: Claim
    tree: ast.expr

    @property
    def is_property(self) -> bool:
        """Whether it is about every round on its own."""
        return isinstance(self.tree, ast.Name)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an expectation holds, with its figures, in one sentence."""

    that: str
    holds: bool
    sentence: str
    left: Figure | None = None
    right: Figure | None = None
    broken: tuple[RoundKey, ...] = ()  # rounds to replay


def parse_expectation(claim: Claim, places: Sequence[str], names: Collection[str]) -> Expectation:
    """Read a claim; ``places`` are the swept places, ``names`` the parties and behaviours.

    Raises
    ------
    ExpectationError
        With what was found and what is known.
    """
    try:
        tree = _Truths().visit(ast.parse(claim.that, mode="eval")).body
    except SyntaxError as error:
        raise ExpectationError(f"{claim.that!r} cannot be read: {error.msg}") from None
    swept = {place.rpartition(".")[2] for place in places}
    for key in claim.where:
        _check_filter(key, swept, "where")
    if isinstance(tree, ast.Name):
        if tree.id not in ROUND_PROPERTIES:
            raise ExpectationError(
                f"unknown property {tree.id!r}; expected one of {', '.join(ROUND_PROPERTIES)}, or "
                "a comparison such as utility(honest) >= utility(hides_budget)"
            )
        return Expectation(claim, tree)
    if (
        not isinstance(tree, ast.Compare)
        or len(tree.ops) != 1
        or type(tree.ops[0]) not in (COMPARISONS)
    ):
        raise ExpectationError(
            f"{claim.that!r} is no comparison of two sides by <=, >=, <, > or =="
        )
    for side in (tree.left, tree.comparators[0]):
        _check_side(side, swept, names)
    return Expectation(claim, tree)


class _Truths(ast.NodeTransformer):
    """``true`` and ``false`` as TOML writes them."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("true", "false"):
            return ast.copy_location(ast.Constant(node.id == "true"), node)
        return node


def _check_filter(key: str, swept: Collection[str], fault: str = "that") -> None:
    if key not in FILTERS and key not in swept:
        known = ", ".join([*FILTERS, *sorted(swept)])
        raise ExpectationError(f"unknown filter {key!r}; expected one of {known}", fault)


def _check_side(node: ast.expr, swept: Collection[str], names: Collection[str]) -> None:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _check_side(node.operand, swept, names)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        _check_side(node.left, swept, names)
        return _check_side(node.right, swept, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in AGGREGATES:
            return _check_aggregate(node, swept, names)
        return _check_metric(node, swept, names)
    raise ExpectationError(f"{ast.unparse(node)!r} is no figure; expected a number or metric(name)")


def _check_aggregate(node: ast.Call, swept: Collection[str], names: Collection[str]) -> None:
    assert isinstance(node.func, ast.Name)
    inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if node.func.id == "share":
        if not (
            isinstance(inner, ast.Compare)
            and len(inner.ops) == 1
            and type(inner.ops[0]) in COMPARISONS
            and _number(inner.comparators[0]) is not None
        ):
            raise ExpectationError("share takes one comparison with a number: share(gain(a) > 1)")
        inner = inner.left
    if not (isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)):
        raise ExpectationError(f"{node.func.id} takes one metric: {node.func.id}(gain(a))")
    _check_metric(inner, swept, names)


def _check_metric(node: ast.Call, swept: Collection[str], names: Collection[str]) -> None:
    assert isinstance(node.func, ast.Name)
    if node.func.id not in METRICS:
        known = ", ".join([*METRICS, *AGGREGATES])
        raise ExpectationError(f"unknown metric {node.func.id!r}; expected one of {known}")
    if len(node.args) > 1:
        raise ExpectationError(f"{ast.unparse(node)!r} names several; expected one name or none")
    for argument in node.args:
        name = _name(argument)
        if name is None or name not in names:
            known = ", ".join(sorted(names))
            raise ExpectationError(
                f"{ast.unparse(argument)!r} is no party and no behaviour of this scenario; "
                f"expected one of {known}"
            )
    for keyword in node.keywords:
        _check_filter(str(keyword.arg), swept)
        if not isinstance(keyword.value, ast.Constant) and _number(keyword.value) is None:
            raise ExpectationError(f"{ast.unparse(keyword.value)!r} is no plain value")


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        number: Any = node.value
        return float(number)
    return None


def check_expectation(expectation: Expectation, database: sqlite3.Connection) -> Verdict:
    """Whether the rows bear an expectation out."""
    claim = expectation.claim
    if isinstance(expectation.tree, ast.Name):
        return _check_property(claim, expectation.tree.id, database)
    assert isinstance(expectation.tree, ast.Compare)
    sign, compare = COMPARISONS[type(expectation.tree.ops[0])]
    left = _figure(expectation.tree.left, claim.where, database)
    right = _figure(expectation.tree.comparators[0], claim.where, database)
    holds = bool(compare(left.value, right.value))
    words = (claim.says or claim.that).replace("{left}", _in_words(left))
    words = words.replace("{right}", _in_words(right))
    if claim.says is None:
        words += f": {_in_words(left)} {sign} {_in_words(right)}"
    if not left.n_rows + right.n_rows:
        holds, words = False, f"{words} (no row is selected)"
    worst = [left.lowest, right.highest] if sign[0] == ">" else [left.highest, right.lowest]
    broken = () if holds else tuple(key for key in worst if key is not None)[:1]
    return Verdict(claim.that, holds, words, left, right, broken)


def _in_words(figure: Figure) -> str:
    if not figure.n_rows:
        return f"{figure.value:g}"
    large = abs(figure.value) >= 1_000
    text = f"{figure.value:,.0f}" if large else f"{figure.value:.4g}"
    if math.isnan(figure.standard_error) or figure.standard_error <= 1e-12 * abs(figure.value):
        return text  # one replicate, or all alike but for the last digit
    error = f"{figure.standard_error:,.0f}" if large else f"{figure.standard_error:.2g}"
    return f"{text} ± {error}"


def _check_property(claim: Claim, name: str, database: sqlite3.Connection) -> Verdict:
    condition, values = _conditions(claim.where, database)
    if name == "individual_rationality":
        found = database.execute(
            "SELECT DISTINCT r.cell, r.replicate, r.period FROM parties p JOIN rounds r "
            "USING (cell, replicate, period) WHERE p.behaviour = 'honest' "
            f"AND p.utility < p.utility_alone - {RATIONAL_SLACK}{condition} ORDER BY 1, 2, 3",
            values,
        ).fetchall()
    else:
        found = database.execute(
            "SELECT DISTINCT r.cell, r.replicate, r.period FROM violations v JOIN rounds r "
            f"USING (cell, replicate, period) WHERE v.property = ?{condition} ORDER BY 1, 2, 3",
            [name, *values],
        ).fetchall()
    (n_rounds,) = database.execute(
        f"SELECT count(*) FROM rounds r WHERE 1{condition}", values
    ).fetchone()
    broken = tuple(RoundKey(*row) for row in found)
    words = (
        claim.says
        or {
            "conservation": "no unit is made or lost",
            "no_overdraft": "nobody pays more than it has locked",
            "twin_equals_evm": "contract and twin agree in every balance, event and refusal",
            "individual_rationality": "no honest party is worse off than alone",
        }[name]
    )
    sentence = f"{words}: {n_rounds - len(broken):,} of {n_rounds:,} rounds"
    return Verdict(claim.that, not broken, sentence, broken=broken)


def _conditions(where: Mapping[str, Any], database: sqlite3.Connection) -> tuple[str, list[Any]]:
    """SQL behind a WHERE, and its values."""
    text, values = "", []
    for key, wanted in where.items():
        if key == "period" and wanted in ("first", "last"):
            which = "min" if wanted == "first" else "max"
            text += f" AND r.period = (SELECT {which}(period) FROM rounds s WHERE s.cell = r.cell)"
        elif key in ("operator", "lie"):
            text += f" AND r.{key} = ?"
            values.append(wanted)
        elif key in ("period", "cell", "settled"):
            text += f" AND r.{key} = ?"
            values.append(int(wanted))
        elif key == "party":
            text += " AND (p.party = ? OR p.kind = ?)"
            values += [wanted, wanted]
        elif key in ("behaviour", "looks"):
            text += f" AND p.{key} = ?"
            values.append(wanted)
        elif key == "pays":  # had it been honest
            text += f" AND p.payoff_otherwise {'<' if wanted else '>='} 0"
        else:
            cells = database.execute("SELECT cell, value FROM cells WHERE name = ?", [key])
            chosen = [cell for cell, value in cells if json.loads(value) == wanted]
            text += f" AND r.cell IN ({','.join(map(str, chosen)) or 'NULL'})"
    return text, values


def _figure(node: ast.expr, where: Mapping[str, Any], database: sqlite3.Connection) -> Figure:
    number = _number(node)
    if number is not None:
        return Figure(number)
    if isinstance(node, ast.UnaryOp):
        found = _figure(node.operand, where, database)
        return Figure(-found.value, found.standard_error, found.n_rows, found.highest, found.lowest)
    if isinstance(node, ast.BinOp):
        return _combined(node, where, database)
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    if node.func.id not in AGGREGATES:
        return _mean(*_rows(node, where, database))
    inner = node.args[0]
    if node.func.id == "share":
        assert isinstance(inner, ast.Compare)
        assert isinstance(inner.left, ast.Call)
        keys, values = _rows(inner.left, where, database)
        compare = COMPARISONS[type(inner.ops[0])][1]
        limit = _number(inner.comparators[0])
        assert limit is not None
        return _mean(keys, np.array([compare(value, limit) for value in values], dtype=float))
    assert isinstance(inner, ast.Call)
    keys, values = _rows(inner, where, database)
    found = _mean(keys, values)
    if node.func.id == "mean" or not len(values):
        return found
    extreme = values.max() if node.func.id == "max" else values.min()
    return Figure(float(extreme), 0.0, len(values), found.lowest, found.highest)


def _combined(node: ast.BinOp, where: Mapping[str, Any], database: sqlite3.Connection) -> Figure:
    left = _figure(node.left, where, database)
    right = _figure(node.right, where, database)
    kind = type(node.op)
    value = ARITHMETIC[kind](left.value, right.value)
    if kind in (ast.Add, ast.Sub):
        slopes = (1.0, 1.0)
    elif kind is ast.Mult:
        slopes = (right.value, left.value)
    else:
        slopes = (1 / right.value, value / right.value)
    error = math.hypot(left.standard_error * slopes[0], right.standard_error * slopes[1])
    first = left if left.n_rows else right
    return Figure(value, error, left.n_rows + right.n_rows, first.lowest, first.highest)


def _rows(
    node: ast.Call, where: Mapping[str, Any], database: sqlite3.Connection
) -> tuple[np.ndarray, np.ndarray]:
    """Keys (rows, 3) and figures of the rows that a metric selects."""
    assert isinstance(node.func, ast.Name)
    own = {
        str(keyword.arg): (
            keyword.value.value
            if isinstance(keyword.value, ast.Constant)
            else _number(keyword.value)
        )
        for keyword in node.keywords
    }
    condition, values = _conditions({**where, **own}, database)
    for argument in node.args:
        name = _name(argument)
        condition += " AND (p.behaviour = ? OR p.party = ? OR p.kind = ?)"
        values += [name, name, name]
    column = METRICS[node.func.id]
    joined = "p." in column or "p." in condition
    source = "parties p JOIN rounds r USING (cell, replicate, period)" if joined else "rounds r"
    found = database.execute(
        f"SELECT r.cell, r.replicate, r.period, {column} FROM {source} "
        f"WHERE {column} IS NOT NULL{condition}",
        values,
    ).fetchall()
    table = np.array(found, dtype=float).reshape(-1, 4)
    return table[:, :3].astype(np.int64), table[:, 3]


def _mean(keys: np.ndarray, values: np.ndarray) -> Figure:
    """Mean and standard error; rows of one replicate are one draw, not many."""
    if not len(values):
        return Figure(float("nan"))
    mean = float(values.mean())
    _, group = np.unique(keys[:, :2], axis=0, return_inverse=True)
    group = group.ravel()
    n_groups = int(group.max()) + 1
    error = float("nan")
    if n_groups > 1:
        deviations = np.bincount(group, weights=values - mean)
        error = math.sqrt(n_groups / (n_groups - 1) * float((deviations**2).sum())) / len(values)
    lowest, highest = (RoundKey(*map(int, keys[k])) for k in (values.argmin(), values.argmax()))
    return Figure(mean, error, len(values), lowest, highest)
