from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.posting.check import check_posting, hash_of_caps, net_amounts, post_allocation
from settlement.posting.format import (
    FACTOR_ONE,
    NO_CAP,
    VALUE_SCALE,
    Fault,
    Posting,
    PostingError,
    flow_scale,
    flows_of_table,
)

THREE_PARTIES = [0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1]
NU = 10**6


def factors(posting):
    return [Fraction(factor, FACTOR_ONE) for factor in posting.factors]


def test_three_parties_are_posted_as_the_guide_says():
    posting = post_allocation([200_000, NU, NU], NU, values=THREE_PARTIES)
    assert factors(posting) == [Fraction(3, 4), 1, 1]
    assert net_amounts(posting, NU) == [-200_000, 112_500, 87_500]
    unlimited = post_allocation([NU] * 3, NU, values=THREE_PARTIES)
    assert net_amounts(unlimited, NU) == [-400_000, 200_000, 200_000]


@pytest.mark.parametrize("n_parties", [2, 3, 4, 5])
def test_flows_of_table_are_the_permutation_form(n_parties):
    """Remark 3.10: average marginal contributions over orders that begin with the payer."""
    table = [0] + [(c * 7919) % 1000 + 1000 * c.bit_count() for c in range(1, 1 << n_parties)]
    flows = flows_of_table(table)
    for payer in range(n_parties):
        others = [party for party in range(n_parties) if party != payer]
        totals = dict.fromkeys(others, 0)
        for order in permutations(others):
            coalition = 1 << payer
            for party in order:
                totals[party] += table[coalition | 1 << party] - table[coalition]
                coalition |= 1 << party
        for payee, total in totals.items():
            exact = Fraction(total, factorial(n_parties - 1))
            assert flows[payer][payee] == exact * flow_scale(n_parties)


@st.composite
def games(draw):
    n_parties = draw(st.integers(2, 6))
    table = [0] * (1 << n_parties)
    for coalition in range(1, 1 << n_parties):
        least = max(table[coalition & ~(1 << i)] for i in range(n_parties) if coalition >> i & 1)
        table[coalition] = least + draw(st.integers(0, 50) | st.just(0))
    deposits = draw(
        st.lists(st.integers(0, 10**6) | st.just(0), min_size=n_parties, max_size=n_parties)
    )
    wanted = draw(st.lists(st.none() | st.integers(0, 300), min_size=n_parties, max_size=n_parties))
    rate = draw(st.sampled_from([1, 7, 10**6, 2**48]))
    values = [Fraction(value, 1000) for value in table]
    return values, deposits, [w if w is None else Fraction(w, 1000) for w in wanted], rate


@settings(max_examples=150, deadline=None)
@given(games())
def test_an_honest_posting_breaks_no_rule_for_any_game(game):
    values, deposits, wanted, rate = game
    posting = post_allocation(deposits, rate, values=values, wanted=wanted)
    nets = net_amounts(posting, rate)
    assert check_posting(posting, nets, deposits, rate, hash_of_caps(wanted)) is Fault.NONE
    assert sum(nets) == 0
    assert all(net >= -deposit for net, deposit in zip(nets, deposits, strict=True))
    assert Posting.decode(posting.encode(), posting.encode_table()) == posting


@settings(max_examples=60, deadline=None)
@given(games())
def test_posted_factors_are_those_of_the_linear_programme(game):
    from ml.game import adjustment_factors

    values, deposits, _, rate = game
    posting = post_allocation(deposits, rate, values=values)
    unit = flow_scale(posting.n_parties) * VALUE_SCALE
    flows = [[flow / unit for flow in row] for row in posting.flows]
    budgets = [deposit / rate for deposit in deposits]
    import numpy as np

    expected = adjustment_factors(np.array(flows), np.array(budgets)).factors
    for party, (found, wanted) in enumerate(zip(factors(posting), expected, strict=True)):
        if sum(posting.flows[party]):
            assert abs(float(found) - wanted) < 1e-7


@settings(max_examples=100, deadline=None)
@given(games(), st.data())
def test_any_single_number_changed_is_found(game, data):
    values, deposits, wanted, rate = game
    posting = post_allocation(deposits, rate, values=values, wanted=wanted)
    nets = net_amounts(posting, rate)
    what = data.draw(st.sampled_from(["own", "wanted", "factors", "duals", "flows", "nets"]))
    numbers = list(nets if what == "nets" else getattr(posting, what))
    place = data.draw(st.integers(0, len(numbers) - 1))
    step = data.draw(st.sampled_from([-1, 1]) | st.integers(1, 2**60))
    if what == "flows":
        row = list(numbers[place])
        column = data.draw(st.integers(0, len(row) - 1))
        row[column] = abs(row[column] + step)
        numbers[place] = tuple(row)
    else:
        numbers[place] = numbers[place] + step if what == "nets" else abs(numbers[place] + step)
    changed = posting
    if what == "nets":
        nets = numbers
    else:
        import dataclasses

        changed = dataclasses.replace(posting, **{what: tuple(numbers)})
        if (
            changed == posting
            or max(map(max, changed.flows)) >= 2**64
            or max(changed.wanted) > NO_CAP
        ):
            return
    fault = check_posting(changed, nets, deposits, rate, hash_of_caps(wanted))
    assert fault is not Fault.NONE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": [0, 0.2, 0.5]}, "3 values"),
        ({"values": [0.1, 0.2, 0.5, 1]}, "empty coalition"),
        ({"values": [0, 0.6, 0.5, 0.4]}, "not monotone"),
        ({"values": [0, 2e4, 2e4, 4e4]}, "expected 0 to 2"),
        ({"values": [0, -0.1, 0.5, 1]}, "expected 0 to 2"),
        ({}, "values"),
        ({"values": [0, 0.2, 0.5, 1], "wanted": [0.3]}, "1 caps for 2 parties"),
    ],
)
def test_what_cannot_be_posted_is_refused_with_numbers(options, message):
    with pytest.raises(PostingError, match=message):
        post_allocation([5, 5], NU, **options)


def test_equations_that_money_hardly_leaves_are_refused_not_walked_for_ever():
    """Two parties pay each other 0.8 and the third, which is capped, a few 1e-12."""
    values = [0, 1.2e-5, 0.2, 0.9999992, 5.6e-12, 1.2000007e-5, 0.20000001, 1]
    with pytest.raises(PostingError, match="settled after 100000 sweeps"):
        post_allocation([0, 0, 10], NU, values=values, wanted=[None, None, 0])


@pytest.mark.parametrize(("n_parties", "rate"), [(1, NU), (65, NU), (3, 0), (3, 2**48 + 1)])
def test_rounds_that_the_contract_does_not_take_are_refused(n_parties, rate):
    with pytest.raises(PostingError, match="expected"):
        post_allocation([1] * n_parties, rate, values=[0] * 8)


def test_decode_refuses_bytes_that_are_no_posting():
    with pytest.raises(PostingError, match="41 bytes"):
        Posting.decode(bytes(41), b"")
    with pytest.raises(PostingError, match="7 bytes"):
        Posting.decode(bytes(2 * 56), bytes(7))


def test_a_party_that_nobody_can_add_to_has_factor_one():
    values = [0, 1, 0.5, 1, 0.25, 1, 0.75, 1]  # party 0 alone has everything
    posting = post_allocation([0, 0, 0], NU, values=values)
    assert posting.factors[0] == FACTOR_ONE
    assert check_posting(posting, net_amounts(posting, NU), [0] * 3, NU) is Fault.NONE


def test_rounding_up_the_flows_of_a_party_worth_nothing_alone_is_taken_back():
    """More than eight parties post flows, each rounded: a row may come out above v(N)."""
    third = Fraction(2, 3 * VALUE_SCALE) + Fraction(1, 10)
    row = [third] * 8
    flows = [[*row[:i], Fraction(0), *row[i:]] for i in range(9)]
    grand = 8 * third  # every own value is zero
    posting = post_allocation([NU] * 9, NU, flows=flows, grand_value=grand)
    assert min(posting.own) >= 0
    assert check_posting(posting, net_amounts(posting, NU), [NU] * 9, NU) is Fault.NONE
    row = [third + Fraction(1, 1000)] * 8
    flows = [[*row[:i], Fraction(0), *row[i:]] for i in range(9)]
    with pytest.raises(PostingError, match="is negative"):
        post_allocation([NU] * 9, NU, flows=flows, grand_value=grand)
