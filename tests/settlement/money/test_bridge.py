import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.money.bridge import BridgeError, budgets_of_deposits, deposit_units, net_positions

NU = 10**6


@st.composite
def payoffs_and_deposits(draw):
    payoffs = draw(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
    payoffs.append(-sum(payoffs))
    # A debtor's deposit covers its payoff rounded up; or just its payoff, when that is whole.
    deposits = [max(0, -((p * NU) // 1)) + draw(st.integers(0, 2)) for p in payoffs]
    return payoffs, [int(deposit) for deposit in deposits]


@given(payoffs_and_deposits())
def test_net_positions_sum_to_exactly_zero(case):
    payoffs, deposits = case
    assert sum(p.amount_units for p in net_positions(payoffs, deposits, NU)) == 0


@given(payoffs_and_deposits())
def test_no_net_position_is_beyond_its_deposit(case):
    payoffs, deposits = case
    for position, deposit in zip(net_positions(payoffs, deposits, NU), deposits, strict=True):
        assert position.amount_units >= -deposit


@given(payoffs_and_deposits())
def test_net_positions_are_within_one_unit_of_the_exact_figure(case):
    payoffs, deposits = case
    for position, payoff in zip(net_positions(payoffs, deposits, NU), payoffs, strict=True):
        assert abs(position.amount_units - Fraction(payoff) * NU) <= 1 + Fraction(1, 1000)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.sampled_from([1, 10**15, 2**63 - 1]))
def test_any_exchange_rate_settles_payoffs_that_balance_up_to_float_rounding(payoffs, rate):
    """At the finest rates the rounding of one float is a thousand base units."""
    payoffs = [*payoffs, -sum(payoffs)]
    deposits = [max(0, math.ceil(-payoff * rate)) for payoff in payoffs]
    amounts = [p.amount_units for p in net_positions(payoffs, deposits, rate)]
    assert sum(amounts) == 0
    for amount, deposit, payoff in zip(amounts, deposits, payoffs, strict=True):
        assert amount >= -deposit
        assert abs(amount - Fraction(payoff) * rate) <= len(payoffs) + rate / 10**14


def test_a_payoff_below_its_deposit_by_float_rounding_pays_the_deposit():
    owed = 0.1 + 0.2  # 0.30000000000000004
    positions = net_positions([-owed, owed], [300_000, 0], NU)
    assert [p.amount_units for p in positions] == [-300_000, 300_000]


def test_the_missing_unit_goes_to_the_largest_remainder():
    positions = net_positions([-1.0, 0.25, 0.75], [1, 0, 0], 1)
    assert [p.amount_units for p in positions] == [-1, 0, 1]


def test_payoffs_that_do_not_balance_are_refused():
    with pytest.raises(BridgeError, match="sum to"):
        net_positions([-0.5, 0.6], [NU, NU], NU)


def test_a_payoff_beyond_its_deposit_is_refused():
    with pytest.raises(
        BridgeError, match=r"Party 0 owes 500000\.0 base units but deposited 499999"
    ):
        net_positions([-0.5, 0.5], [499_999, 0], NU)


@pytest.mark.parametrize("payoff", [float("nan"), float("inf")])
def test_a_payoff_that_is_not_finite_is_refused(payoff):
    with pytest.raises(BridgeError, match="Payoff of party 1"):
        net_positions([0.0, payoff], [0, 0], NU)


def test_a_decimal_budget_becomes_exactly_its_base_units():
    assert deposit_units(Decimal("0.3"), NU) == 300_000
    assert deposit_units(Decimal("0.29999999"), NU) == 299_999


def test_a_budget_of_many_digits_is_never_rounded_up():
    assert deposit_units(Decimal("0.1" + "9" * 40), NU) == 199_999
    assert deposit_units(Decimal("1e-999999999"), NU) == 0


@pytest.mark.parametrize("budget", [Decimal("9.3e12"), Decimal("1e999999")])
def test_a_budget_beyond_a_deposit_is_refused(budget):
    with pytest.raises(BridgeError, match="a deposit holds"):
        deposit_units(budget, NU)


@pytest.mark.parametrize("budget", [Decimal("-0.1"), Decimal("NaN"), Decimal("Infinity")])
def test_a_budget_that_is_no_amount_is_refused(budget):
    with pytest.raises(BridgeError, match="Budget is"):
        deposit_units(budget, NU)


@given(st.integers(1, 10**12), st.data())
def test_a_payoff_of_the_whole_budget_pays_the_whole_deposit(exchange_rate, data):
    deposit = data.draw(st.integers(0, exchange_rate))  # no party owes more than one unit of value
    (budget,) = budgets_of_deposits([deposit], exchange_rate)
    positions = net_positions([-budget, budget], [deposit, 0], exchange_rate)
    assert -deposit <= positions[0].amount_units <= -deposit + 1
