import pytest

from ml.errors import NegativeFlowError, NotMonotoneError
from ml.game import ValueTable, allocate
from settlement.errors import SettlementError
from settlement.naming import parties_named, with_names

NAMES = ["a", "b", "c"]


def test_an_error_of_the_game_names_party_and_coalition():
    table = ValueTable([0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 0.5])
    with pytest.raises(NotMonotoneError) as caught, parties_named(NAMES):
        table.require_monotone()
    assert "party 0 joins {1, 2}" in str(caught.value)
    assert str(caught.value).endswith('Party 0 is "a", 1 is "b", 2 is "c".')
    assert (caught.value.party, caught.value.coalition) == (0, 0b110)


def test_a_payer_and_a_payee_are_named():
    with pytest.raises(NegativeFlowError) as caught, parties_named(["x", "y"]):
        allocate(ValueTable([0, 0.5, 0.2, 0.4]))
    assert str(caught.value).endswith('Party 0 is "x", 1 is "y".')


def test_only_what_the_error_itself_says_of_parties_counts():
    """Words never do: a party may be called "party 1"."""
    with pytest.raises(SettlementError, match=r"^missing: party 1$"), parties_named(["x", "y"]):
        raise SettlementError("missing: party 1")


def test_a_party_of_another_round_has_no_name():
    assert with_names(SettlementError("Party 7 is away.", party=7), NAMES) == "Party 7 is away."
