"""Iterated markets: both forms and both ends of the solver, each against a plain linear system."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from ml.errors import BrokenInvariant
from ml.game import Certificate, adjustment_factors, check_certificate
from ml.game.clearing import fictitious_default
from ml.game.clearing.aggregation import (
    _group_factors,
    _is_one_group,
    _Progress,
    _relative_change,
    _solve_directly,
    _solve_duals_directly,
    marked_system,
    solve_duals,
    solve_factors,
)
from ml.game.clearing.fictitious_default import default_in_rounds
from ml.game.clearing.problem import checked_problem


def leaking(flows, rng):
    """All but the last party are marked; each of them pays it a little."""
    flows = np.array(flows, dtype=float)
    flows[:-1, -1] += 0.01 + 0.01 * rng.random(len(flows) - 1)
    flows[-1, 0] = 1.0
    np.fill_diagonal(flows, 0)
    return flows


def full(n, rng):
    return rng.random((n, n))


def ring(n, rng):
    return np.roll(np.diag(rng.random(n) + 0.5), 1, axis=1)


def tree(n, rng):
    """Groups of one: each pays its parent, so nothing ever comes back."""
    flows = np.zeros((n, n))
    child = np.arange(1, n)
    flows[child, (child - 1) // 2] = rng.random(n - 1) + 0.1
    return flows


def two_islands(n, rng):
    """Two strongly connected groups, of which the first also pays the second."""
    flows = rng.random((n, n))
    flows[n // 2 :, : n // 2] = 0
    return flows


SHAPES = {"full": full, "ring": ring, "tree": tree, "two islands": two_islands}


@pytest.mark.parametrize("form", [np.array, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_marked_parties_pay_exactly_what_comes_in(shape, form):
    rng = np.random.default_rng(11)
    flows = leaking(SHAPES[shape](60, rng), rng)
    marked = np.arange(60) < 59
    costs = flows.sum(axis=1)
    inner = flows[:59, :59]
    system = marked_system(form(flows), marked, costs)
    np.testing.assert_allclose(system.leaks, flows[:59, 59])
    assert system.n_groups == {"full": 1, "ring": 59, "tree": 59, "two islands": 2}[shape]
    incomes = rng.random(59)
    equations = np.diag(costs[:59]) - inner.T
    factors = np.linalg.solve(equations, incomes)
    start = np.ones(59)
    found = solve_factors(system, incomes, start, 1e-15)
    np.testing.assert_allclose(found, factors, rtol=1e-10)
    np.testing.assert_allclose(_solve_directly(system, incomes), factors, rtol=1e-10)
    assert (start == 1).all()
    for charges in (costs[:59], 0.1 * costs[:59] * rng.random(59)):
        duals = np.linalg.solve(equations.T, charges)
        np.testing.assert_allclose(solve_duals(system, charges), duals, rtol=1e-9)
        np.testing.assert_allclose(_solve_duals_directly(system, charges), duals, rtol=1e-9)
    # At the solution the groups' totals balance already.
    scales = _group_factors(system, factors, incomes)
    np.testing.assert_allclose(scales, np.ones(system.n_groups), rtol=1e-9)
    # Where proportions are right and totals wrong, one step puts the totals right.
    wrong = factors * (3.0 if system.n_groups == 1 else 1 + system.group)
    np.testing.assert_allclose(
        wrong * _group_factors(system, wrong, incomes)[system.group], factors, rtol=1e-9
    )


def test_a_group_that_neither_earns_nor_pays_keeps_its_factor():
    flows = np.zeros((4, 4))
    flows[0, 1] = flows[1, 0] = 1.0
    flows[2, 3] = 0.5
    flows[0, 3] = 0.1
    system = marked_system(flows, np.array([True, True, True, False]), flows.sum(axis=1))
    scales = _group_factors(system, np.zeros(3), np.zeros(3))
    assert (scales >= 0).all()
    assert np.isfinite(scales).all()


def test_progress_tells_settling_from_moving_and_from_going_nowhere():
    halving = _Progress(1e-6)
    states = [halving.judge(0.5**k) for k in range(40)]
    settled = states.index("settled")
    assert set(states[:settled]) == {"moving"}
    # Half of the change is still to come each time: 2**-20 is about 1e-6.
    assert settled in (20, 21)
    standing = _Progress(1e-6)
    states = [standing.judge(0.5) for _ in range(100)]
    assert set(states) == {"moving", "stuck"}
    # The first change is the best so far; from the 81st that is no better on it goes nowhere.
    assert states.index("stuck") == 81
    assert _Progress(1e-6).judge(1e-17) == "settled"
    rounding = _Progress(1e-16)
    states = [rounding.judge(5e-15 * (1 + k % 2)) for k in range(40)]
    assert states.index("settled") == 25  # as far as rounding lets it


@pytest.mark.parametrize("form", [np.array, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_large_markets_of_both_forms_equal_eliminated_ones(shape, form):
    rng = np.random.default_rng(12)
    flows = SHAPES[shape](50, rng)
    np.fill_diagonal(flows, 0)
    budgets = 0.1 * rng.random(50) * (rng.random(50) < 0.3)
    budgets[:3] = np.inf
    problem = checked_problem(form(flows), budgets)
    large, duals, _ = default_in_rounds(problem, budgets[None], True)
    small, exact, _ = default_in_rounds(problem, budgets[None], False)
    np.testing.assert_allclose(large, small, atol=1e-11)
    np.testing.assert_allclose(duals, exact, rtol=1e-8, atol=1e-11)
    result = adjustment_factors(form(flows), budgets)
    np.testing.assert_allclose(result.factors, small[0], atol=1e-11)
    assert check_certificate(form(flows), budgets, result.factors, result.certificate)


def test_a_default_that_runs_along_a_chain_takes_two_rounds():
    # Each pays the next one only; nobody has a budget but the first, which has half of its cost.
    n_parties = 12
    flows = np.zeros((n_parties, n_parties))
    steps = np.arange(n_parties - 1)
    flows[steps, steps + 1] = 1.0
    flows[-1, 0] = 0.5
    budgets = np.zeros(n_parties)
    result = adjustment_factors(flows, budgets)
    np.testing.assert_allclose(result.factors, [*[0.5] * (n_parties - 1), 1.0], atol=1e-15)
    assert result.rounds == 1


@pytest.mark.parametrize(("shape", "most"), [("full", 25), ("ring", 5), ("two islands", 45)])
def test_totals_are_put_right_so_that_few_sweeps_settle(shape, most, monkeypatch):
    # A hundredth of what is paid leaks out: plain sweeps would take thousands.
    sweeps = []
    judge = _Progress.judge
    monkeypatch.setattr(_Progress, "judge", lambda *now: sweeps.append(now) or judge(*now))
    rng = np.random.default_rng(11)
    flows = leaking(SHAPES[shape](200, rng), rng)
    system = marked_system(flows, np.arange(200) < 199, flows.sum(axis=1))
    solve_factors(system, rng.random(199), np.ones(199), 1e-15)
    assert 0 < len(sweeps) <= most
    sweeps.clear()
    solve_duals(system, system.costs * rng.random(199))
    assert 0 < len(sweeps) <= most


def test_a_market_that_swings_settles_once_it_is_damped(monkeypatch):
    """Two sides that pay each other all but a millionth: undamped sweeps only change sides."""
    for name in ("_solve_directly", "_solve_duals_directly"):
        monkeypatch.setattr(f"ml.game.clearing.aggregation.{name}", None)
    flows = np.zeros((5, 5))
    flows[:2, 2:4], flows[2:4, :2] = [[1, 2], [3, 4]], [[2, 1], [1, 3]]
    flows[:4, 4] = 1e-6
    costs = flows.sum(axis=1)
    system = marked_system(flows, np.arange(5) < 4, costs)
    equations = np.diag(costs[:4]) - flows[:4, :4]
    given = np.array([1e-6, 2e-6, 3e-6, 5e-6])
    found = solve_factors(system, given, np.ones(4), 1e-15)
    np.testing.assert_allclose(found, np.linalg.solve(equations.T, given), rtol=1e-8)
    found = solve_duals(system, given)
    np.testing.assert_allclose(found, np.linalg.solve(equations, given), rtol=1e-8)


def test_the_change_of_a_sweep_is_that_of_the_entry_that_moved_most():
    before, now = np.array([1.0, 4.0, 3.0]), np.array([2.0, 5.0, 0.0])
    assert _relative_change(now, before) == 0.5
    assert _relative_change(np.zeros(2), before[:2]) == 0.0


def test_one_group_is_where_everybody_reaches_everybody():
    circle = np.roll(np.eye(5), 1, axis=1)
    assert _is_one_group(circle)
    for payer, payee in ((0, 1), (3, 4), (4, 0)):
        cut = circle.copy()
        cut[payer, payee] = 0  # some reach party 0, and it reaches some: not all
        assert not _is_one_group(cut)


@pytest.mark.parametrize(("n_parties", "is_large"), [(20, False), (60, True)])
def test_what_is_proved_is_not_solved_again(n_parties, is_large, monkeypatch):
    rng = np.random.default_rng(13)
    flows = full(n_parties, rng)
    np.fill_diagonal(flows, 0)
    asked = []
    solved = fictitious_default._single
    monkeypatch.setattr(
        fictitious_default, "_single", lambda *how: asked.append(how[1]) or solved(*how)
    )
    adjustment_factors(flows, 0.1 * rng.random(n_parties))
    assert asked == [is_large]


def test_what_is_not_proved_is_eliminated_or_refused(monkeypatch):
    rng = np.random.default_rng(13)
    flows = full(60, rng)
    np.fill_diagonal(flows, 0)
    expected = adjustment_factors(flows, np.zeros(60)).factors
    solved = fictitious_default._single

    def wrongly(problem, is_large):
        result = solved(problem, is_large)
        return replace(result, certificate=Certificate(0 * result.factors, 1.0, 1.0))

    monkeypatch.setattr(
        fictitious_default, "_single", lambda p, large: (wrongly if large else solved)(p, large)
    )
    np.testing.assert_allclose(adjustment_factors(flows, np.zeros(60)).factors, expected)
    monkeypatch.setattr(fictitious_default, "_single", wrongly)
    with pytest.raises(BrokenInvariant, match="Clearing of 60 parties leaves a relative duality"):
        adjustment_factors(flows, np.zeros(60))


def test_marks_that_leave_no_way_out_are_taken_back_from_the_least_short():
    # 0 and 1 pay each other only: their deficits cannot both be positive. 2 pays 3, which is well.
    flows = np.zeros((4, 4))
    flows[0, 1] = flows[1, 0] = flows[2, 3] = 1.0
    marked = np.zeros((2, 4), dtype=bool)
    short = np.array([[True, True, True, False], [True, False, True, False]])
    deficits = np.array([[3e-16, 2e-16, 0.5, 0.0], [1e-16, 0.0, 1e-16, 0.0]])
    fictitious_default._spare_ways_out(flows, marked, short, deficits)
    assert short.tolist() == [[True, False, True, False], [True, False, True, False]]
    # Whoever was marked in an earlier round stays so; the other one of the two goes free.
    marked[0, 1], short = True, np.array([[True, False, False, False], [False] * 4])
    fictitious_default._spare_ways_out(flows, marked, short, deficits)
    assert not short.any()
