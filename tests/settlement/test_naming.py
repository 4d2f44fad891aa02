import pytest

from ml.errors import NotMonotoneError
from ml.game import ValueTable
from settlement.errors import SettlementError
from settlement.naming import parties_named, with_names


def test_an_error_of_the_game_names_party_and_coalition():
    table = ValueTable([0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 0.5])
    with pytest.raises(NotMonotoneError) as caught, parties_named(["a", "b", "c"]):
        table.require_monotone()
    assert 'party 0 ("a") joins {1, 2} ("b", "c")' in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        'Party 1 ("b") holds no training sample.',  # has its name already
        'The party of the name "party 1" is away.',
        "Party 7 is of another round.",
        "parties 1 and {}",
    ],
)
def test_what_has_its_name_or_none_stays_as_it_is(message):
    assert with_names(message, ["a", "b"]) == message


def test_errors_that_hold_names_are_left_alone():
    """A party may be called "party 1"."""
    with pytest.raises(SettlementError, match=r"^missing: party 1$"), parties_named(["x", "y"]):
        raise SettlementError("missing: party 1")
