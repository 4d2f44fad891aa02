import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import PlanError
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, Transfer, net_positions_of


@st.composite
def balanced_positions(draw):
    amounts = draw(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30))
    amounts.append(-sum(amounts))
    return [NetPosition(party, amount) for party, amount in enumerate(amounts)]


@given(balanced_positions())
def test_transfers_bring_about_every_net_position(positions):
    transfers = net_transfers(positions)
    assert list(net_positions_of(transfers, len(positions))) == positions


@given(balanced_positions())
def test_transfers_are_fewer_than_the_parties_that_owe_or_are_owed(positions):
    open_parties = sum(position.amount_units != 0 for position in positions)
    assert len(net_transfers(positions)) <= max(0, open_parties - 1)


@given(balanced_positions())
def test_no_party_is_both_debtor_and_creditor(positions):
    transfers = net_transfers(positions)
    assert not {t.debtor for t in transfers} & {t.creditor for t in transfers}


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20, unique=True))
def test_equal_amounts_settle_in_exact_pairs(amounts):
    positions = [NetPosition(2 * k, -amount) for k, amount in enumerate(amounts)]
    positions += [NetPosition(2 * k + 1, amount) for k, amount in enumerate(amounts)]
    assert len(net_transfers(positions)) == len(amounts)


def test_a_remainder_forms_an_exact_pair_again():
    # 10 meets 7 first; what is left of the debtor, 3, is just what party 2 is owed.
    amounts = [-10, 7, 3, -2, 1, 1]
    transfers = net_transfers([NetPosition(k, a) for k, a in enumerate(amounts)])
    assert transfers == (
        Transfer(0, 1, 7),
        Transfer(0, 2, 3),
        Transfer(3, 4, 1),
        Transfer(3, 5, 1),
    )


def test_ties_go_to_the_lowest_party():
    transfers = net_transfers([NetPosition(3, 5), NetPosition(1, 5), NetPosition(0, -10)])
    assert [t.creditor for t in transfers] == [1, 3]


def test_positions_that_do_not_sum_to_zero_are_refused():
    with pytest.raises(PlanError, match="sum to 1 base units"):
        net_transfers([NetPosition(0, -4), NetPosition(1, 5)])


def test_a_party_named_twice_is_refused():
    with pytest.raises(PlanError, match=r"\[0\] twice"):
        net_transfers([NetPosition(0, -4), NetPosition(0, 4)])
