import pytest

from settlement.config.places import line_of

TEXT = """\
# a comment
[round]
name = "x"

[[party]]
name = "a"
[[party]]
name = "b"
  "labels" = [1]
[training]
epochs = 5
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("round.name", 3),
        ("party[0].name", 6),
        ("party[1].labels", 9),
        ("party[1].labels[0]", 9),
        ("training.epochs", 11),
        ("training.missing_key", 10),
        ("party", 5),
        ("party[7].name", 5),
        ("nowhere", None),
        ("", None),
    ],
)
def test_line_of_a_place(place, line):
    assert line_of(TEXT, place) == line
