"""What others propose: payoffs and model values of other schemes on the same value table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import SchemeError, ValueTableError
from ml.game.clearing.clearing import adjustment_factors
from ml.game.clearing.problem import checked_budgets
from ml.game.comparison.outcome import Outcome, Scheme
from ml.game.comparison.properties import PropertyCheck, check_properties
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import flows_of_table, shapley_of_table
from ml.game.tables.values import ValueTable
from ml.game.words import MAX_TABLE_PARTIES

__all__ = [
    "SCHEMES",
    "SchemeReport",
    "alpha_beta_scheme",
    "compare_schemes",
    "rho_shapley_scheme",
]


@dataclass(frozen=True, eq=False)
class SchemeReport:
    """A scheme on one table: outcome, and each property with how far it is from holding."""

    name: str
    outcome: Outcome
    properties: Mapping[str, PropertyCheck]


def conditional_shapley_scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
    """Everybody pays each other party its conditional Shapley value, eqs. (5) and (7)."""
    return _cleared(table, flows_of_table(table.values), budgets)


def leave_one_out_scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
    """Everybody pays each other party what that one adds to all the others."""
    grand = len(table.values) - 1
    without = table.values[grand ^ (1 << np.arange(table.n_parties))]
    return _cleared(table, np.tile(table.grand_value - without, (table.n_parties, 1)), budgets)


def equal_split_scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
    """Everybody pays its full gain v(N) - v(i), in equal parts to the others."""
    return _cleared(table, np.ones((table.n_parties,) * 2) * _gains(table)[:, None], budgets, True)


def ratio_shapley_scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
    """Everybody pays its full gain v(N) - v(i), to the others in the ratio of their Shapley values.

    Scaled Shapley values: the sum comes out right, and the payoffs are not linear any more.
    """
    phi = np.maximum(shapley_of_table(table.values), 0.0)
    shares = np.tile(phi, (table.n_parties, 1))
    np.fill_diagonal(shares, 0.0)
    return _cleared(table, shares * _gains(table)[:, None], budgets, True)


def shapley_scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
    """Shapley value itself: v(N) in money is split by phi and everybody gets the model too."""
    return alpha_beta_scheme(1.0, table.grand_value)(table, budgets)


def alpha_beta_scheme(alpha: float, beta: float) -> Scheme:
    """Payoffs alpha phi_i + (beta - alpha v(N)) / n, which sum to beta.

    Parameters
    ----------
    alpha : float
        How much contributions count: a dummy party receives (beta - alpha v(N)) / n.
    beta : float
        What somebody from outside, a sponsor say, puts in, value units; 0 balances.

    Notes
    -----
    alpha = 1 and beta = v(N) give the Shapley value, alpha = n and beta = 0 eq. (1), and with
    alpha = 0 everybody receives beta / n. Everybody gets the grand model; budgets are not kept.
    Source: Remark 3.6.

    Examples
    --------
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> alpha_beta_scheme(3, 0.3)(table, np.full(3, np.inf)).payoffs.round(2)
    array([-0.3,  0.3,  0.3])
    """
    if not np.isfinite([alpha, beta]).all():
        raise SchemeError(f"alpha is {alpha} and beta {beta}; expected two finite numbers.")

    def scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
        n_parties = table.n_parties
        outside = (beta - alpha * table.grand_value) / n_parties
        payoffs = alpha * shapley_of_table(table.values) + outside
        # As in eq. (7), of which each figure is the share alpha / n.
        return Outcome(payoffs, _grand_models(table), alpha / n_parties * _gains(table))

    return scheme


def rho_shapley_scheme(rho: float) -> Scheme:
    """Model rewards of Sim et al. [16]: no money, models worth (phi_i / max phi)**rho v(N).

    Parameters
    ----------
    rho : float
        0 gives everybody v(N), 1 rewards in proportion to the Shapley value.

    Raises
    ------
    SchemeError
        If rho is negative or no number: models would be worth more than v(N).
    """
    if not 0 <= rho < np.inf:
        raise SchemeError(f"rho is {rho}; expected a number from 0 on, usually 0 to 1.")

    def scheme(table: ValueTable, budgets: FloatArray) -> Outcome:
        phi = np.maximum(shapley_of_table(table.values), 0.0)
        largest = float(phi.max())
        shares = phi / largest if largest > 0 else np.ones(table.n_parties)
        # 0**0 is 1: with rho = 0 even a party that adds nothing receives v(N).
        models = shares**rho * table.grand_value
        return Outcome(np.zeros(table.n_parties), models, np.zeros(table.n_parties))

    return scheme


def _cleared(
    table: ValueTable, flows: FloatArray, budgets: FloatArray, whole_gain: bool = False
) -> Outcome:
    """Outcome of paying by these flows as far as the budgets allow; every model in proportion.

    With ``whole_gain`` the rows are scaled so that each sums to v(N) - v(i).
    """
    flows = flows.copy()
    np.fill_diagonal(flows, 0.0)
    if whole_gain:
        totals = flows.sum(axis=1)
        flows *= np.divide(_gains(table), totals, out=np.zeros_like(totals), where=totals > 0)[
            :, None
        ]
    factors = np.ones(table.n_parties)
    if np.isfinite(budgets).any():
        rounding = 1e-13 * float(table.values.max())
        factors = adjustment_factors(flows, budgets, tolerance=rounding).factors
    costs = factors * flows.sum(axis=1)
    models = table.own_values + factors * _gains(table)
    return Outcome(factors @ flows - costs, models, costs)


def _gains(table: ValueTable) -> FloatArray:
    return table.grand_value - table.own_values


def _grand_models(table: ValueTable) -> FloatArray:
    return np.full(table.n_parties, table.grand_value)


SCHEMES: dict[str, Scheme] = {
    "conditional Shapley": conditional_shapley_scheme,
    "Shapley value": shapley_scheme,
    "alpha-beta (1, 0)": alpha_beta_scheme(1.0, 0.0),
    "ratio Shapley": ratio_shapley_scheme,
    "rho-Shapley (rho = 1)": rho_shapley_scheme(1.0),
    "leave-one-out": leave_one_out_scheme,
    "equal split": equal_split_scheme,
}
"""Schemes by name. Those that pay by flows keep budgets as the paper's own does; the Shapley
value and alpha-beta ignore them, and rho-Shapley moves no money at all."""


def compare_schemes(
    table: ValueTable,
    budgets: npt.ArrayLike | None = None,
    schemes: Mapping[str, Scheme] | None = None,
    *,
    seed: int = 0,
) -> list[SchemeReport]:
    """Schemes side by side on one table, each with the properties that it satisfies.

    Parameters
    ----------
    table : ValueTable
        At most 25 parties: some properties are checked with one party more.
    budgets : float64, shape (n,), optional
        The most that each party may pay net, value units; nobody has a limit if not given.
    schemes : mapping of name to function, optional
        All of `SCHEMES` if not given. A scheme takes a `ValueTable` and budgets and returns an
        `Outcome`.
    seed : int
        Of the second game by which linearity is checked.

    Returns
    -------
    list of SchemeReport
        In the order given; see `check_properties` for what each property means.

    Examples
    --------
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> report = compare_schemes(table, [0.2, np.inf, np.inf])[0]
    >>> report.name, report.outcome.payoffs.round(4), report.properties["balance"].holds
    ('conditional Shapley', array([-0.2   ,  0.1125,  0.0875]), True)
    """
    if table.n_parties >= MAX_TABLE_PARTIES:
        raise ValueTableError(
            f"Value table is for {table.n_parties} parties; expected at most "
            f"{MAX_TABLE_PARTIES - 1}: replicating a party makes one more. Compare on a smaller "
            "game."
        )
    limits = checked_budgets(budgets, table.n_parties)
    chosen = SCHEMES if schemes is None else schemes
    return [
        SchemeReport(
            name, scheme(table, limits), check_properties(scheme, table, limits, seed=seed)
        )
        for name, scheme in chosen.items()
    ]
