"""The room card tells the truth: every function and test that it names is there."""

import re
from pathlib import Path

import pytest

import ml.game
from ml.game.tables import flows

CARD = Path(__file__).resolve().parents[3] / "ml" / "README.md"
TESTS = Path(__file__).parent
ROWS = re.findall(r"^\| (.+) \| `(\w+)` \| `(test_\w+)` \|$", CARD.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("equation", "function", "test"), ROWS)
def test_each_equation_has_its_function_and_its_test(equation, function, test):
    assert hasattr(ml.game, function) or hasattr(flows, function), equation
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert f"def {test}(" in sources, equation


@pytest.mark.parametrize(
    "stated",
    [*(f"({number})" for number in range(1, 12)), "(P)", "Lemma 3.1", "Lemma 3.7", "Lemma 4.1"]
    + [f"Cor. 3.{number}" for number in (2, 3, 8)]
    + [f"3.{number}" for number in (4, 5, 6, 9, 10, 11)]
    + ["Remark 4.2", "Remark 4.3", "App. D"],
)
def test_the_card_leaves_out_no_equation_lemma_corollary_or_remark(stated):
    assert any(stated in row[0] for row in ROWS)


def test_every_public_name_can_be_had():
    for name in ml.game.__all__:
        assert getattr(ml.game, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'shapely'"):
        _ = ml.game.shapely
    assert set(ml.game.__all__) <= set(dir(ml.game))
