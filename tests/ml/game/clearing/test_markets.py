"""Large and awkward markets: every shape is right, certified, or refused by name."""

import numpy as np
import pytest
from scipy import sparse

from ml.game import adjustment_factors, check_certificate
from ml.game.clearing.aggregation import marked_system, solve_duals, solve_factors
from ml.game.clearing.fictitious_default import _single
from ml.game.clearing.problem import checked_problem


def random_market(n_parties, n_flows, rng, allowed=lambda payer, payee: payer != payee):
    payer, payee = rng.integers(0, n_parties, (2, n_flows))
    kept = (payer != payee) & allowed(payer, payee)
    entries = (rng.random(kept.sum()), (payer[kept], payee[kept]))
    return sparse.coo_array(entries, shape=(n_parties, n_parties)).tocsr()


def ring(n, rng):
    steps = np.arange(n)
    return sparse.coo_array((rng.random(n) + 0.1, (steps, (steps + 1) % n)), shape=(n, n)).tocsr()


def binary_tree(n, rng):
    child = np.arange(1, n)
    return sparse.coo_array((rng.random(n - 1), (child, (child - 1) // 2)), shape=(n, n)).tocsr()


def two_sided(n, rng):
    return random_market(n, 8 * n, rng, lambda i, j: (i < n // 2) != (j < n // 2))


def islands(n, rng):
    return sparse.block_diag([random_market(n // 4, 3 * n, rng) for _ in range(4)]).tocsr()


def uneven(n, rng):
    scale = sparse.diags_array(10.0 ** rng.uniform(-6, 6, n))
    return (scale @ random_market(n, 8 * n, rng)).tocsr()


def chain(n, rng):
    """Each pays its neighbours, the next one twice as much: defaults run along all of it."""
    return sparse.diags_array([np.ones(n - 1), np.full(n - 1, 0.5)], offsets=[1, -1]).tocsr()


SHAPES = {
    "chain": chain,
    "random": lambda n, rng: random_market(n, 10 * n, rng),
    "thin": lambda n, rng: random_market(n, n + n // 3, rng),
    "ring": ring,
    "tree": binary_tree,
    "two-sided": two_sided,
    "islands": islands,
    "uneven": uneven,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_funded", [False, True])
def test_iterated_factors_equal_eliminated_ones(shape, is_funded):
    rng = np.random.default_rng(3)
    flows = SHAPES[shape](320, rng)
    budgets = 0.1 * rng.random(320) * (rng.random(320) < 0.1) * is_funded
    found = adjustment_factors(flows, budgets)
    exact = _single(checked_problem(flows, budgets), False)
    np.testing.assert_allclose(found.factors, exact.factors, atol=1e-12)
    assert check_certificate(flows, budgets, found.factors, found.certificate)


@pytest.mark.parametrize("shape", ["random", "islands", "thin"])
def test_dense_and_sparse_flows_give_the_same_factors(shape):
    rng = np.random.default_rng(4)
    flows = SHAPES[shape](400, rng)
    dense = adjustment_factors(flows.toarray(), np.zeros(400)).factors
    np.testing.assert_allclose(adjustment_factors(flows, np.zeros(400)).factors, dense, atol=1e-13)


def test_the_linear_programme_takes_sparse_flows():
    rng = np.random.default_rng(5)
    flows, budgets = SHAPES["random"](60, rng), rng.random(60)
    programme = adjustment_factors(flows, budgets, method="linear-programme")
    clearing = adjustment_factors(flows, budgets)
    np.testing.assert_allclose(programme.factors, clearing.factors, atol=1e-9)
    assert check_certificate(flows, budgets, programme.factors, programme.certificate)


def test_a_chain_is_solved_directly_where_iteration_gets_nowhere():
    rng = np.random.default_rng(6)
    n_parties = 4000  # past the last resort by elimination
    flows = ring(n_parties, rng)
    result = adjustment_factors(flows, np.zeros(n_parties))
    smallest = flows.data.min()
    np.testing.assert_allclose(result.factors, smallest / np.asarray(flows.sum(axis=1)).ravel())


def test_marked_systems_are_solved_on_both_sides():
    rng = np.random.default_rng(8)
    flows = random_market(300, 3000, rng)
    marked = np.arange(300) < 299  # all but one: everything leaks to a single party
    costs = np.asarray(flows.sum(axis=1)).ravel()
    system = marked_system(flows, marked, costs)
    incomes = np.asarray(flows[[299]].toarray()).ravel()[:299]
    factors = solve_factors(system, incomes, np.ones(299), 1e-15)
    np.testing.assert_allclose(costs[:299] * factors - system.turned @ factors, incomes, atol=1e-13)
    duals = solve_duals(system, costs[:299])
    np.testing.assert_allclose(
        costs[:299] * duals - system.inner @ duals, costs[:299], atol=1e-9 * duals.max()
    )


@pytest.mark.slow
def test_a_hundred_thousand_parties_clear_without_budgets_certified():
    rng = np.random.default_rng(9)
    flows = random_market(10**5, 10**6, rng)
    budgets = np.zeros(10**5)
    result = adjustment_factors(flows, budgets)
    assert check_certificate(flows, budgets, result.factors, result.certificate, tolerance=1e-11)
