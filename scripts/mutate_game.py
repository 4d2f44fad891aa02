#!/usr/bin/env python3
"""Change the game's code one small thing at a time; its tests must notice.

    scripts/mutate_game.py [--count 200] [--seed 1] [--only clearing] [--report FILE]

A mutant swaps an operator, a minimum and a maximum, moves a number by one, turns a condition round
or drops a statement of `ml/game`, in memory: no file is written. First all tests of
`tests/ml/game` run once, and each line is told which tests execute it; a mutant then meets those
tests, the quick ones first, in a process of its own that was forked with numpy and scipy in place.
Exits 1 if more than 5 % survive.
Slow tests do not run.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.machinery
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
GAME = ROOT / "ml" / "game"
TESTS = "tests/ml/game"
LIMIT_S = 240
MOST_TESTS = 60
"""Tests that a mutant meets at most, the quickest of those that execute its line."""

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Lt: ast.GtE, ast.LtE: ast.Gt,
    ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "all": "any",
         "any": "all", "argmin": "argmax", "argmax": "argmin"}  # fmt: skip
Spot = tuple[Path, int, str, Callable[[ast.Module], None]]


def changes_of(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """What may be changed at a node: in words, and the function that does it."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        new = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} -> {new.__name__}", lambda n: setattr(n, "op", new())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        new = OPERATORS[type(node.ops[0])]
        yield (
            f"{type(node.ops[0]).__name__} -> {new.__name__}",
            lambda n: setattr(n, "ops", [new()]),
        )
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} -> {node.value + 1}", lambda n: setattr(n, "value", n.value + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "-x -> +x", lambda n: setattr(n, "op", ast.UAdd())
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        other = NAMES[node.attr]
        yield f"{node.attr} -> {other}", lambda n: setattr(n, "attr", other)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        other = NAMES[node.id]
        yield f"{node.id} -> {other}", lambda n: setattr(n, "id", other)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "condition turned round", _turn
    elif isinstance(node, ast.Return) and node.value is not None and _is_true_or_false(node.value):
        yield "return True", lambda n: setattr(n, "value", ast.Constant(True))


def _turn(node: Any) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _is_true_or_false(node: ast.expr) -> bool:
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return isinstance(node, ast.Compare) or (is_call and node.func.id == "bool")  # type: ignore[union-attr, attr-defined]


def mutants_of(path: Path) -> list[Spot]:
    """Every mutant of a file: inside functions, what is said in errors and annotations left out."""
    tree = ast.parse(path.read_text())
    found: list[Spot] = []

    def visit(node: ast.AST, place: tuple[Any, ...], inside: bool) -> None:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
            return
        if inside:
            for words, change in changes_of(node):
                found.append((path, node.lineno, words, _at(place, change)))  # type: ignore[attr-defined]
            if isinstance(node, ast.AugAssign):
                found.append((path, node.lineno, "dropped", _at(place[:-1], _dropper(place[-1]))))
        enters = inside or isinstance(node, ast.FunctionDef)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
                continue
            if isinstance(value, list):
                for k, child in enumerate(value):
                    if isinstance(child, ast.AST):
                        visit(child, (*place, (field, k)), enters)
            elif isinstance(value, ast.AST):
                visit(value, (*place, (field, None)), enters)

    visit(tree, (), False)
    return found


def _at(place: tuple[Any, ...], change: Callable[[Any], None]) -> Callable[[ast.Module], None]:
    def apply(tree: ast.Module) -> None:
        node: Any = tree
        for field, k in place:
            node = getattr(node, field) if k is None else getattr(node, field)[k]
        change(node)

    return apply


def _dropper(place: tuple[str, int]) -> Callable[[Any], None]:
    return lambda parent: getattr(parent, place[0]).__setitem__(place[1], ast.Pass())


class Lines:
    """A pytest plugin: which tests execute which lines of the game, and how long each takes."""

    def __init__(self) -> None:
        self.tests: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._seen: set[tuple[str, int]] = set()
        self._prefix = str(GAME)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(self._prefix):
            return None
        if event == "line":
            self._seen.add((name, frame.f_lineno))
        return self._trace

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Before a test, its fixtures included."""
        del nodeid
        self._seen, self._started = set(), time.perf_counter()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """After it."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        self.seconds[nodeid] = time.perf_counter() - self._started
        for line in self._seen:
            self.tests[line].add(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Tests that fail as the code is."""
        if report.failed:
            self.failed.append(report.nodeid)


def preload() -> None:
    """Import what is the same for all mutants before any process is forked."""
    import pytest  # noqa: F401

    with contextlib.suppress(ImportError):
        import sklearn.datasets  # noqa: F401


def forked(work: Callable[[], Any], limit_s: float = 3600) -> Any:
    """What a function returns in a process of its own; None if it takes too long or dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.alarm(int(limit_s))
        with os.fdopen(writing, "w") as answer, contextlib.suppress(BaseException):
            json.dump(work(), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def run_tests(names: list[str], plugin: object = None) -> int:
    """Run tests here; 0 if all pass."""
    import pytest

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    return int(pytest.main([*options, *names], plugins=[plugin] if plugin else []))


def lines_of_tests() -> Any:
    """Which tests execute which lines."""
    lines = Lines()
    run_tests([TESTS], lines)
    tests = [[name, line, sorted(who)] for (name, line), who in lines.tests.items()]
    return {"tests": tests, "seconds": lines.seconds, "failed": lines.failed}


def killer(spot: Spot, names: list[str]) -> Any:
    """First test that fails when the mutant stands in for the file; 'nobody' if none does."""
    path, _, _, change = spot
    tree = ast.parse(path.read_text())
    change(tree)
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: Any, fullname: str) -> Any:
        return code if loader.path == str(path) else original(loader, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    lines = Lines()
    lines._trace = lambda *_: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        if path.name == "kernel.py":
            os.environ["NUMBA_CACHE_DIR"] = folder  # compiled code of the original must not serve
        status = run_tests(names, lines)
    if status == 0:
        return "nobody"
    return lines.failed[0] if lines.failed else "the import"


def main() -> int:
    """Make mutants and run the tests on each; 1 if too few are noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the files' path")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    preload()
    seen = forked(lines_of_tests)
    if not seen or seen["failed"]:
        print(f"The tests fail as the code is: {seen and seen['failed']}", file=sys.stderr)
        return 1
    tests = {(name, line): who for name, line, who in seen["tests"]}
    files = [path for path in sorted(GAME.rglob("*.py")) if options.only in str(path)]
    everything = [spot for path in files for spot in mutants_of(path)]
    random.Random(options.seed).shuffle(everything)
    rows = []
    for number, spot in enumerate(everything[: options.count], start=1):
        path, line, words, _ = spot
        names = sorted(tests.get((str(path), line), []), key=seen["seconds"].__getitem__)
        begun = time.monotonic()
        by = "nobody: no test runs the line"
        if names:
            by = forked(lambda s=spot, n=names[:MOST_TESTS]: killer(s, n), LIMIT_S) or "time"
        where = f"{path.relative_to(ROOT)}:{line}"
        rows.append({"where": where, "change": words, "killed by": by})
        print(f"{number:4} {where} {words}: {by} ({time.monotonic() - begun:.0f} s)", flush=True)
        if options.report:
            options.report.write_text(json.dumps(rows, indent=1))
    alive = sum(str(row["killed by"]).startswith("nobody") for row in rows)
    share = 1 - alive / max(1, len(rows))
    print(f"{len(rows) - alive} of {len(rows)} mutants killed: {share:.1%}, seed {options.seed}")
    return 0 if share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
