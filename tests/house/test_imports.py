"""The import rules of the house hold, and no two files import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "ml", "settlement")


def lint_imports(folder):
    program = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True)


def test_imports_follow_the_house_rules():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


BREACHES = {
    "rooms of settlement": ("settlement/money/terms.py", "import settlement.round.round"),
    "rooms of ml": ("ml/datasets/spec.py", "import ml.training.recipe"),
    "rooms of ml.game": ("ml/game/tables/flows.py", "import ml.game.allocation"),
    "ml imports neither": ("ml/errors.py", "import settlement.errors"),
    "training knows no game": ("ml/engines/spec.py", "import ml.game"),
    "the game knows no training": ("ml/game/allocation.py", "import torch"),
    "web3, eth-tester": ("settlement/escrow/reader.py", "import web3"),
    "vyper only": ("settlement/chain/evm.py", "import vyper"),
    "matplotlib only": ("settlement/simulation/simulating.py", "import matplotlib"),
    "pyrevm only": ("settlement/simulation/arena/world.py", "import pyrevm"),
    "click and rich": ("settlement/round/round.py", "import click"),
    "torch only": ("settlement/audit/audit.py", "import torch"),
    "Ray only": ("ml/engines/processes.py", "import ray"),
    "Flower only": ("ml/engines/spec.py", "import flwr"),
    "shapiq only": ("ml/game/comparison/families.py", "import shapiq"),
    "numba and scipy": ("ml/training/scores.py", "import scipy"),
    "whole units know no numpy": ("settlement/escrow/twin.py", "import numpy"),
    "pydantic only": ("settlement/round/plan.py", "import pydantic"),
}
"""For each rule a file and a line in it that breaks the rule."""


@pytest.fixture(scope="module")
def broken_house(tmp_path_factory):
    """What the checker says of a copy of the house in which every rule is broken once."""
    house = tmp_path_factory.mktemp("house")
    (house / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            copy = house / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
    for name, line in BREACHES.values():
        # Inside a function: a lazy import counts as much as one at the top.
        with (house / name).open("a") as file:
            file.write(f"\n\ndef _breach():\n    {line}\n")
    done = lint_imports(house)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize("rule", list(BREACHES))
def test_a_file_that_breaks_a_rule_is_noticed(broken_house, rule):
    told = [line for line in broken_house.splitlines() if line.startswith(rule)]
    assert any(" BROKEN" in line for line in told), told


def test_every_rule_is_broken_once_by_a_test(broken_house):
    """So that no rule stands there that cannot fail."""
    kept = [line for line in broken_house.splitlines() if line.endswith(" KEPT")]
    assert kept == []


def test_no_two_files_import_each_other():
    """By no import: not at the top, not lazily, not for types alone."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    circles = [
        (one, other)
        for one in sorted(graph.modules)
        for other in graph.find_modules_directly_imported_by(one)
        if one < other and graph.direct_import_exists(importer=other, imported=one)
    ]
    assert not circles


def test_nothing_imports_scripts():
    names = {path.stem for path in (ROOT / "scripts").rglob("*.py")} - {"__init__"}
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    imported = [node.module or ""]
                else:
                    continue
                roots = {name.partition(".")[0] for name in imported}
                found += [(path.name, root) for root in roots & ({"scripts"} | names)]
    assert not found
