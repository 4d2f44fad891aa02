"""What the documents say is what the code does."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ("ml.game", "settlement")
"""Packages whose docstring examples run: they need no training."""


def modules():
    for name in LIGHT:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                yield module.name


@pytest.mark.parametrize("name", list(modules()))
def test_docstring_examples_are_true(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


def test_every_verb_is_in_the_readme():
    from settlement.cli.main import fairround

    readme = (ROOT / "README.md").read_text()
    missing = [verb for verb in fairround.commands if f"`fairround {verb}" not in readme]
    assert not missing


PAGES = (
    "README.md",
    "contracts/README.md",
    "ml/ESTIMATES.md",
    "ml/GLOSSARY.md",
    "ml/INCENTIVES.md",
    "ml/README.md",
    "ml/datasets/README.md",
    "ml/training/README.md",
    "settlement/README.md",
    "settlement/party/README.md",
)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_named_file_exists(name):
    page = ROOT / name
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{name} links to {target}"


def test_every_script_that_a_page_names_exists():
    for name in PAGES:
        for script in re.findall(r"scripts/[\w/.]+\w", (ROOT / name).read_text()):
            assert (ROOT / script).exists(), f"{name} names {script}"


def test_every_room_has_a_card_that_names_its_files():
    for room in ("ml", "settlement", "contracts"):
        card = (ROOT / room / "README.md").read_text()
        for path in (ROOT / room).iterdir():
            if path.name.startswith("_") or path.name in ("README.md", "py.typed"):
                continue
            assert path.name in card, f"{room}/README.md does not mention {path.name}"


def test_every_column_that_a_report_prints_is_explained():
    from settlement.calculator.calculator import tables
    from settlement.report import summary_tables

    party = dict.fromkeys(
        ("own_value", "adjustment_factor", "payoff", "model_value", "validation_score"), 0.0
    )
    party |= {"name": "a", "deposit_units": 0, "net_position_units": 0, "holdout_score": 0.0}
    party |= {"factor_error": None, "payoff_error": None}
    summary = {"parties": [party], "transfers": [], "interval_quantile": None}
    printed = [t.header for t in summary_tables(summary)]
    figures: tuple[str, ...]
    figures = ("shapley", "payoffs_unlimited", "adjustment_factors", "payoffs", "model_values")
    figures += ("payoffs_with_sponsor",)
    result = {"parties": [], "flows": [], "sponsor": 0.0} | {name: () for name in figures}
    printed.append(tables(result)[0].header)
    section = (ROOT / "ml" / "GLOSSARY.md").read_text().split("## The columns of a report")[1]
    explained = {
        name.strip()
        for row in re.findall(r"^\| ([^|]+) \|", section, re.M)
        for name in row.split(",")
    }
    assert {column for header in printed for column in header} <= explained
