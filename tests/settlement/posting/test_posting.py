"""Games in whole numbers, and the proof that there is always exactly one division of the money."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from settlement.posting.check import fault_of, net_amounts, prove, same_money
from settlement.posting.factors import proving_factors
from settlement.posting.format import (
    FACTOR_ONE,
    NO_CAP,
    SLACK,
    VALUE_SCALE,
    Game,
    PostingError,
    flow_scale,
    flows_of_table,
    game_of_flows,
    game_of_values,
)
from tests.settlement.posting.games import KINDS, exact_positions, random_game

THREE_PARTIES = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]
RATES = [1, 3, 10**6, 97 * 10**7, 2**40]
AMOUNTS = [0, 0, 0, 1, 2, 1_000, 10**6, 10**12, (2**63 - 1) // 64]


def random_case(n, generator):
    """A game, deposits and a rate that is not too large for it."""
    game = random_game(n, generator, generator.choice(KINDS), capped=generator.random() < 0.3)
    rate = generator.choice(RATES)
    while rate * n * n * game.grand > game.scale * VALUE_SCALE * FACTOR_ONE // SLACK:
        rate //= 2
    usual = generator.random()
    deposits = [0 if generator.random() < usual else generator.choice(AMOUNTS) for _ in range(n)]
    return game, deposits, max(1, rate)


def all_pass(n_cases, seed, sizes):
    generator = random.Random(seed)
    for _ in range(n_cases):
        game, deposits, rate = random_case(generator.choice(sizes), generator)
        proof = prove(game, deposits, rate)  # refuses what the contract would
        assert sum(proof.net_amounts) == 0
        owned = [d + net for d, net in zip(deposits, proof.net_amounts, strict=True)]
        assert min(owned) >= 0


@pytest.mark.parametrize("seed", range(4))
def test_every_choice_of_deposits_has_a_proof(seed):
    all_pass(500, seed, [2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 12])


@pytest.mark.slow
def test_ten_thousand_choices_of_deposits_have_a_proof():
    all_pass(9_900, 99, [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16])
    all_pass(95, 98, [20, 24, 32])
    all_pass(5, 97, [48, 64])


def test_sixty_four_parties_have_a_proof():
    all_pass(2, 5, [64])


@pytest.mark.parametrize("seed", range(6))
def test_the_money_is_that_of_the_exact_clearing(seed):
    """Within the proved bound, n T posted units; then to the unit, save at a rounding border."""
    generator = random.Random(seed)
    for _ in range(60):
        game, deposits, rate = random_case(generator.choice([2, 3, 4, 5]), generator)
        n, unit = game.n_parties, game.scale * VALUE_SCALE * FACTOR_ONE
        bound = Fraction(rate * n * n * game.grand, unit)
        assert bound <= Fraction(1, SLACK)
        factors = proving_factors(game, deposits, rate)
        exact = exact_positions(game, deposits, rate)
        for i, net in enumerate(exact):
            revenue = sum(game.flows[k][i] * factors[k] for k in range(n))
            posted = Fraction(rate * (revenue - game.costs[i] * factors[i]), unit)
            assert abs(posted - net) <= bound
        for net, paid in zip(exact, net_amounts(game, factors, rate), strict=True):
            assert abs(paid - net) < 1 + bound


@pytest.mark.parametrize("seed", range(4))
def test_no_other_factors_that_pass_move_other_money(seed):
    """Any factors between the rules: the greatest clearing, the least, and what lies between."""
    generator = random.Random(seed)
    n_others = 0
    for _ in range(150):
        game, deposits, rate = random_case(generator.choice([2, 3, 4]), generator)
        n, unit = game.n_parties, game.scale * VALUE_SCALE * FACTOR_ONE
        bound = Fraction(2 * rate * n * n * game.grand, unit)
        factors = proving_factors(game, deposits, rate)
        for _ in range(20):
            others = lower_clearing(game, deposits, rate, factors, generator)
            nets = net_amounts(game, others, rate)
            if fault_of(game, others, nets, deposits, rate) is None:
                n_others += others != factors
                assert same_money(prove(game, deposits, rate), nets, rate)
                for i in range(n):
                    money = [
                        sum(game.flows[k][i] * x[k] for k in range(n)) - game.costs[i] * x[i]
                        for x in (factors, others)
                    ]
                    assert abs(Fraction(rate * (money[0] - money[1]), unit)) <= bound
    assert n_others > 20


def lower_clearing(game, deposits, rate, factors, generator):
    """Walk up to a fixed point from a random point below the greatest."""
    n, unit = game.n_parties, game.scale * VALUE_SCALE * FACTOR_ONE
    x = [generator.choice([0, f // 2, max(0, f - generator.randrange(3)), f]) for f in factors]
    for _ in range(60):
        for i in range(n):
            if game.costs[i]:
                inflow = rate * sum(game.flows[k][i] * x[k] for k in range(n))
                means = -(-(deposits[i] * unit + inflow) // (rate * game.costs[i]))
                x[i] = min(game.uppers[i], means)
    return tuple(x)


def test_a_thousand_lies_are_refused():
    """One unit, one figure, or all figures changed together: 1,000 of 1,000."""
    generator = random.Random(7)
    n_refused = 0
    while n_refused < 1_000:
        n = generator.choice([2, 3, 5, 8])
        game, deposits, rate = random_case(n, generator)
        proof = prove(game, deposits, rate)
        factors, nets = list(proof.factors), list(proof.net_amounts)
        kind = n_refused % 4
        i, j = generator.sample(range(n), 2)
        if kind == 0:  # one unit between two parties, both of whom can bear it
            nets[i], nets[j] = nets[i] + 1, nets[j] - 1
        elif kind == 1:  # the nets of somebody else's deposits
            others = list(deposits)
            others[i] += 1 + generator.randrange(10**6)
            nets = list(prove(game, others, rate).net_amounts)
        elif kind == 2:  # factors and nets together, of a puppet that pays a thousandth less
            factors[i] = factors[i] * 999 // 1000
            nets = net_amounts(game, factors, rate)
        else:  # all factors lower by the same share, nets to match
            factors = [factor * 3 // 4 for factor in factors]
            nets = net_amounts(game, factors, rate)
        if nets == list(proof.net_amounts) or unit_apart(game, proof, nets, rate):
            continue  # the same money, or a tie that may fall to either side
        assert fault_of(game, factors, nets, deposits, rate) is not None
        assert not same_money(proof, nets, rate)
        n_refused += 1


def test_at_a_tie_either_division_is_the_same_money_and_no_third_one_is():
    """a buys 17/32 of what costs it 800,000: b and c get half a unit each beyond whole ones."""
    game, rate, deposits = game_of_values(THREE_PARTIES), 10**6, [25_000, 10**6, 10**6]
    proof = prove(game, deposits, rate)
    assert proof.net_amounts == (-25_000, 35_937, -10_937)
    others = (17 * FACTOR_ONE // 32, *proof.factors[1:])
    assert others != proof.factors
    nets = net_amounts(game, others, rate)
    assert nets == [-25_000, 35_938, -10_938]
    assert fault_of(game, others, nets, deposits, rate) is None
    assert same_money(proof, nets, rate)
    assert same_money(proof, proof.net_amounts, rate)
    for third in (
        (-25_000, 35_939, -10_939),
        (-25_001, 35_938, -10_937),
        (-24_999, 35_937, -10_938),
        (-25_000, 35_938, -10_937),
        (-25_000, 35_938),
    ):
        assert not same_money(proof, third, rate)


def unit_apart(game, proof, nets, rate):
    """Whether other factors of the bound's size could round to these nets."""
    unit, n = game.scale * VALUE_SCALE * FACTOR_ONE, game.n_parties
    bound = Fraction(2 * rate * n * n * game.grand, unit)
    revenues = [sum(game.flows[k][i] * proof.factors[k] for k in range(n)) for i in range(n)]
    exact = [
        Fraction(rate * (revenue - cost * factor), unit)
        for revenue, cost, factor in zip(revenues, game.costs, proof.factors, strict=True)
    ]
    changed = [exact[i] % 1 for i in range(n) if nets[i] != proof.net_amounts[i]]
    return max(changed) - min(changed) <= 2 * bound and all(
        abs(net - position) < 1 for net, position in zip(nets, exact, strict=True)
    )


def test_rounding_gives_units_to_the_largest_remainders():
    game = game_of_values(THREE_PARTIES)
    proof = prove(game, (7, 7, 7), 7)
    assert sum(proof.net_amounts) == 0
    exact = exact_positions(game, [7, 7, 7], 7)
    assert [abs(net - e) < 1 for net, e in zip(proof.net_amounts, exact, strict=True)] == [True] * 3


def test_three_parties_come_to_the_known_allocation():
    proof = prove(game_of_values(THREE_PARTIES), (200_000, 0, 0), 10**6)
    assert proof.net_amounts == (-200_000, 112_500, 87_500)
    assert abs(proof.factors[0] - FACTOR_ONE * 3 // 4) < 10
    assert proof.factors[1:] == (FACTOR_ONE, FACTOR_ONE)


def test_a_game_survives_its_bytes():
    generator = random.Random(3)
    for n in (2, 3, 8, 9, 64):
        for capped in (False, True):
            game = random_game(n, generator, capped=capped)
            assert Game.decode(game.encode()) == game
            assert len(game.encode()) == 8 * n * (n + 1 + capped)


def test_bytes_of_no_game_are_refused():
    for packed in (b"", bytes(47), bytes(56), bytes(8 * 65 * 66)):
        with pytest.raises(PostingError, match="expected 8 n"):
            Game.decode(packed)


def test_flows_of_up_to_eight_parties_follow_exactly_from_the_values():
    generator = random.Random(1)
    for n in range(2, 9):
        table = [0] + [generator.randrange(10**15) for _ in range(2**n - 1)]
        flows = flows_of_table(table)
        for i, row in enumerate(flows):
            assert sum(row) == flow_scale(n) * (table[-1] - table[1 << i])  # eq. (4)


def test_games_that_cannot_be_posted_are_refused():
    with pytest.raises(PostingError, match="not monotone"):
        game_of_values([0, 0.5, 0.5, 0.6, 0.5, 0.6, 0.6, 0.2])
    with pytest.raises(PostingError, match="empty coalition"):
        game_of_values([0.1, 1, 1, 1])
    with pytest.raises(PostingError, match=r"table of 5 values"):
        game_of_values([0, 1, 1, 1, 1])
    with pytest.raises(PostingError, match="Flows of 65 parties"):
        game_of_flows([[0] * 65] * 65, 1)
    with pytest.raises(PostingError, match="2 caps for 3 parties"):
        game_of_values(THREE_PARTIES, [0.1, None])
    with pytest.raises(PostingError, match="is negative"):
        game_of_flows([[0.2] * 9] * 9, 1)


def test_a_rate_that_is_too_large_for_a_game_is_refused_before_any_money():
    game = game_of_values([0, 0, 0, 18_000])
    most = 2**60 // 4 // 18_000
    game.check(most)
    with pytest.raises(PostingError, match=f"expected {most} at most"):
        game.check(most + 1)
    for rate in (0, 2**48 + 1):
        with pytest.raises(PostingError, match="expected 1 to"):
            game.check(rate)


def test_games_up_to_one_unit_of_value_fit_every_rate():
    generator = random.Random(2)
    for n in (2, 9, 64):
        flows = [[0 if i == j else 1 / (n - 1) for j in range(n)] for i in range(n)]
        game = game_of_flows(flows, 1) if n > 8 else random_game(n, generator)
        game.check(2**48)


def test_games_that_break_a_rule_are_refused_before_any_money():
    good = game_of_values(THREE_PARTIES)
    unfit = Game(good.flows, (good.own[0] + 1, *good.own[1:]))
    with pytest.raises(PostingError, match=r"eq. \(4\)"):
        unfit.check(1)
    rows = [list(row) for row in good.flows]
    rows[2][2] = 1
    with pytest.raises(PostingError, match="pays itself"):
        Game(tuple(map(tuple, rows)), good.own).check(1)


def test_caps_hold_the_model_at_the_wanted_value():
    game = game_of_values(THREE_PARTIES, [0.6, None, 0.4])
    assert game.wanted == (6 * 10**14, NO_CAP, 4 * 10**14)
    assert game.uppers == (FACTOR_ONE // 2, FACTOR_ONE, 0)
    assert game_of_values(THREE_PARTIES, [None] * 3).wanted == ()
