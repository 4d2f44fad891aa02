"""Rooms stay small, their tests stand where the code stands, and cards say where to go."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("contracts", "ml", "settlement", "scripts")
MOST_FILES = 14
CARDS = ("contracts/README.md", "ml/README.md", "ml/training/README.md", "settlement/README.md")


def tracked():
    """Files of the repository, new ones too, without what git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def code_files():
    kinds = (".py", ".vy", ".js", ".mjs", ".css", ".html")
    return [p for p in tracked() if p.parts[0] in PRODUCT and p.suffix in kinds]


def test_no_folder_has_more_than_14_files_of_its_own():
    files = [path for path in tracked() if path.parts[0] in PRODUCT]
    assert len(files) > 150
    counts = Counter(path.parent.as_posix() for path in files if path.name != "__init__.py")
    assert not {folder: n for folder, n in counts.items() if n > MOST_FILES}


WITHOUT_TESTS_OF_THEIR_OWN = {
    # No arithmetic of their own: tests/house and tests/ml/training run them as programs.
    "scripts": "tests/house",
    "scripts/bench": "tests/ml",
    "scripts/examples": "tests/house",
    # What they write is kept in the repository, and compared there with its sources.
    "scripts/upkeep": "tests/contracts",
    # Tests of contracts are one file an external function, all in one room.
    "contracts/mocks": "tests/contracts",
    # Stages run as a whole round.
    "settlement/round": "tests/integration",
    "settlement/round/stages": "tests/integration",
    "settlement/audit": "tests/integration",
    # The page is tested as a whole, in node and in a browser.
    "settlement/report/page/modules": "tests/settlement/report/page",
    "settlement/report/page/simulation": "tests/settlement/report/page",
    "settlement/report/page/vendor": "tests/settlement/report/page",
    "ml/datasets/readers": "tests/ml/datasets",
    # Its rooms are parts of one machine.
    "settlement/simulation/arena": "tests/settlement/simulation",
    "settlement/simulation/behaviours": "tests/settlement/simulation",
    "settlement/simulation/behaviours/others": "tests/settlement/simulation",
    "settlement/simulation/behaviours/parties": "tests/settlement/simulation",
    "settlement/simulation/games": "tests/settlement/simulation",
    "settlement/simulation/play": "tests/settlement/simulation",
    "settlement/simulation/results": "tests/settlement/simulation",
    "settlement/simulation/tables": "tests/settlement/simulation",
}
"""Rooms whose tests stand elsewhere, and where."""


def rooms():
    """Folders with code of their own, beside the bare ``__init__.py`` of a package."""
    return sorted({p.parent.as_posix() for p in code_files() if p.name != "__init__.py"})


@pytest.mark.parametrize("room", rooms())
def test_each_room_has_its_room_of_tests(room):
    tests = WITHOUT_TESTS_OF_THEIR_OWN.get(room, f"tests/{room}")
    assert any((ROOT / tests).rglob("test_*.py")), f"{room} has no tests in {tests}/"


def test_each_room_of_tests_belongs_to_a_room():
    beside = {"tests", "tests/house", "tests/integration"}
    found = {p.parent.as_posix() for p in tracked() if p.match("tests/**/test_*.py")}
    strangers = {f for f in found - beside if not (ROOT / f.removeprefix("tests/")).is_dir()}
    assert not strangers


def test_exceptions_name_rooms_that_are_there():
    assert set(WITHOUT_TESTS_OF_THEIR_OWN) <= set(rooms())


def test_scripts_are_python_files_but_for_the_three_that_people_type():
    bare = {p.name for p in tracked() if p.parts[0] == "scripts" and not p.suffix}
    assert bare == {"demo", "test", "check"}


def test_constants_are_documented_in_one_way():
    """A string below the name, which tools show; no ``#:`` comment above it."""
    found = [p.as_posix() for p in code_files() if re.search(r"^#: ", (ROOT / p).read_text(), re.M)]
    assert not found


def change_table():
    """Rows of the tables "to change ... go to ..." of all cards: (card, change, cell of files)."""
    rows = []
    for card in CARDS:
        lines = (ROOT / card).read_text().splitlines()
        for start, line in enumerate(lines):
            if line.startswith("| to change or add |"):
                for row in lines[start + 2 :]:
                    if not row.startswith("|"):
                        break
                    change, files, *_ = (cell.strip() for cell in row.strip("|").split("|"))
                    rows.append((card, change, files))
    return rows


def test_the_cards_say_where_the_usual_changes_are_made():
    changes = " / ".join(change for _, change, _ in change_table())
    for wanted in (
        "estimator",
        "score",
        "template",
        "fees of another chain",
        "shadow price",
        "second token",
        "verb",
        "rule of the contract",
        "behaviour",
        "page",
    ):
        assert wanted in changes, f"no row for: {wanted}"


@pytest.mark.parametrize(("card", "change", "files"), change_table())
def test_each_file_that_a_change_needs_exists_or_is_announced(card, change, files):
    """A room that is still to be built must be named in the card's table of rooms as planned."""
    named = re.findall(r"`([^`]+)`", files)
    assert named, change
    text = (ROOT / card).read_text()
    for name in named:
        planned = f"| `{name}` | planned" in text
        there = (ROOT / name).exists()
        assert there or planned, f"{card}: {change}: {name} does not exist"
        assert not (there and planned), f"{card}: {name} exists; it is not planned any more"


GLOSSARY = ROOT / "ml" / "GLOSSARY.md"


def test_each_card_links_the_glossary():
    for card in (*CARDS, "README.md"):
        text = (ROOT / card).read_text()
        assert "GLOSSARY.md" in text, f"{card} does not link the glossary"


def glossary():
    """Rows of the glossary's tables: word, symbol, meaning."""
    rows = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def test_the_glossary_has_every_word_of_the_game_and_of_the_settlement():
    words = " ".join(word for word, *_ in glossary()).lower()
    for wanted in (
        "party",
        "coalition",
        "score",
        "value table",
        "flow",
        "payoff",
        "budget",
        "adjustment factor",
        "model reward",
        "base unit",
        "exchange rate",
        "net position",
        "transfer",
        "plan",
        "posted game",
        "certificate",
        "escrow",
        "receipt",
        "round",
        "agreement",
        "game hash",
        "scenario",
        "behaviour",
        "shard",
    ):
        assert wanted in words, wanted


def test_types_that_the_glossary_names_exist():
    source = "\n".join((ROOT / p).read_text() for p in code_files() if p.suffix == ".py")
    named = re.findall(r"`([A-Z]\w+)`", " ".join(word for word, *_ in glossary()))
    assert len(named) >= 6
    for name in named:
        assert re.search(rf"^class {name}\b", source, re.M), f"no class {name}"


def test_the_settlement_card_lists_every_type_named_after_the_round():
    card = (ROOT / "settlement" / "README.md").read_text()
    section = card.split("## Types named after the round", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.M)
    listed = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    sources = [(ROOT / p).read_text() for p in code_files() if p.parts[0] == "settlement"]
    there = {n for text in sources for n in re.findall(r"^class ([A-Z]\w*)", text, re.M)}
    assert listed == {name for name in there if "Round" in name}


def constants(path):
    """Names in capitals that a file sets at its top."""
    for node in ast.parse((ROOT / path).read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(name, ast.Name) and name.id.isupper() and name.id[0] != "_":
                    yield name.id


def test_a_constant_means_one_thing_and_is_set_in_one_place():
    product = [p for p in code_files() if p.suffix == ".py" and p.parts[0] in ("ml", "settlement")]
    counts = Counter(name for path in product for name in constants(path))
    assert len(counts) > 150
    assert not {name: n for name, n in counts.items() if n > 1}


def test_a_class_name_means_one_thing():
    """Two rooms that never meet must still not share a class name: readers search by name."""
    pattern = re.compile(r"^class ([A-Za-z]\w*)", re.M)
    product = [p for p in code_files() if p.suffix == ".py" and p.parts[0] in PRODUCT]
    places = [(name, p) for p in product for name in pattern.findall((ROOT / p).read_text())]
    assert len(places) > 300
    counts = Counter(name for name, _ in places)
    twice = {name: [str(p) for n, p in places if n == name] for name in counts if counts[name] > 1}
    assert not twice
