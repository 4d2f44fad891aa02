#!/usr/bin/env python3
"""Change the game's code one small thing at a time; its tests must notice.

    scripts/mutate_game.py [--count 200] [--seed 1] [--only clearing] [--report FILE]
    scripts/mutate_game.py --again FILE     # only those of an earlier report that nobody killed
    scripts/mutate_game.py --lines FILE     # read or keep there which tests execute which lines

A mutant swaps an operator, a minimum and a maximum, moves a number by one, turns a condition round
or drops a statement of `ml/game`, in memory: no file is written. First all tests of
`tests/ml/game` run once, and each line is told which tests execute it; a mutant then meets those
tests, the quick ones first, as many as take 45 seconds together (with --again all of them), in a
process of its own that was forked with numpy and scipy in place. Lines of compiled functions cannot
be watched: their mutants meet the tests that run something in their file.
A mutant that needs five times the processor time that its tests need, and a minute more, counts as
noticed; how many did so is printed.

Left out: what stands outside of functions (constants, classes' fields), default arguments,
annotations, decorators, texts and all that a `raise` says, the types in `cast`, and the `strict` of
`zip`, which guards lists that are equally long, the -1 of a `reshape`, for which any negative
number would do, and the seed of a generator. Slow tests do not run.

Survivors with a reason are in tests/ml/game/survivors.md. Exits 1 if more than 5 % survive.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
GAME = ROOT / "ml" / "game"
TESTS = "tests/ml/game"

MOST_TESTS_S = 45
"""Processor time of the tests that a mutant meets: nearly all of them but the slowest twenty."""

LEAST_S = 60
TIMES = 5
"""Processor time that a mutant has: a minute, and so many times what its tests took."""

MOST_BYTES = 6 << 30
"""Address space of a mutant: one that asks for more is noticed, and harms nobody else."""

OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Lt: ast.GtE, ast.LtE: ast.Gt,
    ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "all": "any",
         "any": "all", "argmin": "argmax", "argmax": "argmin"}  # fmt: skip
Change = Callable[[Any], None]


@dataclass(frozen=True)
class GameMutant:
    """One change of one file, and the lines of the statement that it is in."""

    path: Path
    line: int
    column: int
    words: str
    first: int
    last: int
    change: Callable[[ast.Module], None]

    @property
    def where(self) -> str:
        """For people, and to find it again."""
        return f"{self.path.relative_to(ROOT)}:{self.line}:{self.column}"


def changes_of(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What may be changed at a node: in words, and the function that does it."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        new = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} -> {new.__name__}", lambda n: setattr(n, "op", new())
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in OPERATORS:
                yield _compared(place, operator)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        # What is so large that one more changes nothing is doubled.
        moved = node.value + 1 if node.value + 1 != node.value else node.value * 2
        yield f"{node.value} -> {moved}", lambda n: setattr(n, "value", moved)
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


def _compared(place: int, operator: ast.cmpop) -> tuple[str, Change]:
    new = OPERATORS[type(operator)]
    return (
        f"{type(operator).__name__} -> {new.__name__}",
        lambda n: n.ops.__setitem__(place, new()),
    )


def _turn(node: Any) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _is_true_or_false(node: ast.expr) -> bool:
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return isinstance(node, ast.Compare) or (is_call and node.func.id == "bool")  # type: ignore[union-attr, attr-defined]


def _is_left_out(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast":
        return True
    is_strict = isinstance(node, ast.keyword) and node.arg == "strict"
    return is_strict or isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert)


def mutants_of(path: Path) -> list[GameMutant]:
    """Every mutant of a file; see the head of this script for what is left out."""
    tree = ast.parse(path.read_text())
    found: list[GameMutant] = []
    as_good = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for argument in node.args
        if (getattr(node.func, "attr", ""), type(argument))
        in (("reshape", ast.UnaryOp), ("default_rng", ast.Constant))
    }

    def visit(node: ast.AST, place: tuple[Any, ...], inside: bool, lines: tuple[int, int]) -> None:
        if _is_left_out(node) or id(node) in as_good:
            return
        if isinstance(node, ast.stmt) and lines != EVERYWHERE:
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            lines = (node.lineno, max(node.lineno, last))
        if inside:
            where = (getattr(node, "lineno", lines[0]), getattr(node, "col_offset", 0))
            for words, change in changes_of(node):
                found.append(GameMutant(path, *where, words, *lines, _at(place, change)))
            if isinstance(node, ast.AugAssign):
                dropper = _at(place[:-1], _dropper(place[-1]))
                found.append(GameMutant(path, *where, "dropped", *lines, dropper))
        if isinstance(node, ast.FunctionDef) and {"_compiled", "intrinsic"} & {
            decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)
        }:
            lines = EVERYWHERE
        enters = inside or isinstance(node, ast.FunctionDef)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
                continue
            if isinstance(value, list):
                for k, child in enumerate(value):
                    if isinstance(child, ast.AST):
                        visit(child, (*place, (field, k)), enters, lines)
            elif isinstance(value, ast.AST):
                visit(value, (*place, (field, None)), enters, lines)

    visit(tree, (), False, (0, 0))
    return found


EVERYWHERE = (0, 1 << 30)
"""Lines of a compiled function: any line of the file tells who runs it."""


def _at(place: tuple[Any, ...], change: Change) -> Callable[[ast.Module], None]:
    def apply(tree: ast.Module) -> None:
        node: Any = tree
        for field, k in place:
            node = getattr(node, field) if k is None else getattr(node, field)[k]
        change(node)

    return apply


def _dropper(place: tuple[str, int]) -> Change:
    return lambda parent: getattr(parent, place[0]).__setitem__(place[1], ast.Pass())


class Lines:
    """A pytest plugin: which tests execute which lines of the game, and how long each takes."""

    def __init__(self, watched: bool = True) -> None:
        self.tests: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._seen: set[tuple[str, int]] = set()
        self._prefix = str(GAME)
        self._watched = watched

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(self._prefix) or frame.f_code.co_name == "<module>":
            return None
        if event == "line":
            self._seen.add((name, frame.f_lineno))
        return self._trace

    def pytest_collection(self) -> None:
        """Let examples that fail be: no smaller ones are sought, none is kept for the next."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings.default, phases=phases, database=None)
        settings.load_profile("mutants")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Before a test, its fixtures included; nothing is remembered from the tests before it."""
        del nodeid
        if not self._watched:
            return
        for name, module in list(sys.modules.items()):
            for thing in vars(module).values() if name.startswith("ml.game") else ():
                if hasattr(thing, "cache_clear"):
                    thing.cache_clear()
        self._seen, self._started = set(), time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """After it."""
        if not self._watched:
            return
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        self.seconds[nodeid] = time.process_time() - self._started
        for line in self._seen:
            self.tests[line].add(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Tests that fail."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Files of tests that cannot even be imported."""
        if report.failed:
            self.failed.append(f"import of {report.nodeid}")


def preload() -> None:
    """Import what is the same for all mutants before any process is forked."""
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
    import scipy.optimize
    import scipy.sparse.csgraph
    import scipy.stats  # noqa: F401

    # What the tests' own helpers import, and what pytest loads by itself.
    for name in (
        "sklearn.datasets",
        "eth_account",
        "anyio.pytest_plugin",
        "_hypothesis_pytestplugin",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def forked(work: Callable[[], Any], limit_s: float = 7200) -> Any:
    """What a function returns in a process of its own.

    {"time": true} if it takes more processor time than it may, {"signal": n} if it dies of one.

    Raises
    ------
    RuntimeError
        If the function does: then nothing was learnt about a mutant.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        with os.fdopen(writing, "w") as answer:
            try:
                text = json.dumps({"answer": work()})
            except BaseException:
                text = json.dumps({"error": traceback.format_exc()})
            answer.write(text)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if text:
        said = json.loads(text)
        if "error" in said:
            raise RuntimeError(said["error"])
        return said["answer"]
    number = os.WTERMSIG(status)
    return {"time": True} if number in (signal.SIGXCPU, signal.SIGKILL) else {"signal": number}


def run_tests(names: list[str], plugin: Lines) -> int:
    """Run tests here; 0 if all pass, 1 if one fails, 2 if one cannot be imported."""
    import pytest

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is there already
    return int(pytest.main([*options, *names], plugins=[plugin]))


def lines_of_tests() -> Any:
    """Which tests execute which lines."""
    lines = Lines()
    run_tests([TESTS], lines)
    tests = [[name, line, sorted(who)] for (name, line), who in lines.tests.items()]
    return {"tests": tests, "seconds": lines.seconds, "failed": lines.failed}


def killer(mutant: GameMutant, names: list[str]) -> str:
    """First test that fails when the mutant stands in for the file; 'nobody' if none does."""
    tree = ast.parse(mutant.path.read_text())
    mutant.change(tree)
    code = compile(ast.fix_missing_locations(tree), str(mutant.path), "exec")
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: Any, fullname: str) -> Any:
        return code if loader.path == str(mutant.path) else original(loader, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    lines = Lines(watched=False)
    with tempfile.TemporaryDirectory() as folder:
        if mutant.path.name in ("kernel.py", "moments.py"):
            os.environ["NUMBA_CACHE_DIR"] = folder  # compiled code of the original must not serve
        status = run_tests(names, lines)
    if status == 0:
        return "nobody"
    # With the original all of them ran, so tests that cannot even be collected have noticed.
    return lines.failed[0] if lines.failed else f"collection: pytest stopped with {status}"


def meet(
    mutant: GameMutant,
    tests: dict[str, dict[int, list[str]]],
    seconds: dict[str, float],
    most_s: float,
) -> str:
    """What became of a mutant: the first test that failed, or why it lives."""
    ours = tests.get(str(mutant.path), {})
    names: set[str] = set()
    for line, who in ours.items():
        if mutant.first <= line <= mutant.last:
            names.update(who)
    if not names:
        return "nobody: no test runs the line"
    ordered: list[str] = []
    took = 0.0
    for name in sorted(names, key=seconds.__getitem__):
        took += seconds[name]
        if ordered and took > most_s:
            break
        ordered.append(name)
    limit = LEAST_S + TIMES * min(took, most_s)
    found = forked(lambda: killer(mutant, ordered), limit)
    if isinstance(found, dict):
        return "time" if "time" in found else f"died of signal {found['signal']}"
    return str(found)


def chosen_mutants(options: argparse.Namespace) -> list[GameMutant]:
    """Those of the seed, or the survivors of an earlier report."""
    files = [path for path in sorted(GAME.rglob("*.py")) if options.only in str(path)]
    if importlib.util.find_spec("shapiq") is None:
        print("shapiq is not installed: its tests do not run, its file is left out", flush=True)
        files = [path for path in files if path.name != "shapiq_games.py"]
    everything = [mutant for path in files for mutant in mutants_of(path)]
    if options.again:
        rows = json.loads(options.again.read_text())
        alive = {(r["where"], r["change"]) for r in rows if r["killed by"].startswith("nobody")}
        return [mutant for mutant in everything if (mutant.where, mutant.words) in alive]
    random.Random(options.seed).shuffle(everything)
    print(f"{len(everything)} mutants, of which {options.count} are tried, seed {options.seed}")
    return everything[: options.count]


def main() -> int:
    """Make mutants and run the tests on each; 1 if too few are noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the files' path")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--again", type=Path, help="report whose survivors are tried again")
    parser.add_argument("--lines", type=Path, help="which tests execute which lines, if known")
    options = parser.parse_args()
    preload()
    mutants = chosen_mutants(options)
    if options.lines and options.lines.exists():
        seen = json.loads(options.lines.read_text())
    else:
        seen = forked(lines_of_tests)
        if "tests" not in seen or seen["failed"]:
            print(f"The tests fail as the code is: {seen.get('failed', seen)}", file=sys.stderr)
            return 1
        if options.lines:
            options.lines.write_text(json.dumps(seen))
    tests: defaultdict[str, dict[int, list[str]]] = defaultdict(dict)
    for name, line, who in seen["tests"]:
        tests[name][line] = who
    rows: list[dict[str, str]] = []
    most_s = float("inf") if options.again else MOST_TESTS_S
    for number, mutant in enumerate(mutants, start=1):
        begun = time.monotonic()
        by = meet(mutant, tests, seen["seconds"], most_s)
        rows.append({"where": mutant.where, "change": mutant.words, "killed by": by})
        took = time.monotonic() - begun
        print(f"{number:4} {mutant.where} {mutant.words}: {by} ({took:.0f} s)", flush=True)
        if options.report:
            options.report.write_text(json.dumps(rows, indent=1))
    alive = sum(row["killed by"].startswith("nobody") for row in rows)
    late = sum(row["killed by"] == "time" for row in rows)
    share = 1 - alive / max(1, len(rows))
    print(
        f"{len(rows) - alive} of {len(rows)} mutants killed, {late} of them by the clock: "
        f"{share:.1%}, seed {options.seed}"
    )
    return 0 if share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
