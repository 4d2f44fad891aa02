"""What others propose: payoffs and model values of other schemes on the same value table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.errors import SchemeError, ValueTableError
from ml.game.comparison.outcome import Outcome, Scheme
from ml.game.comparison.properties import PropertyCheck, check_properties
from ml.game.tables.coalitions import FloatArray
from ml.game.tables.flows import shapley_values
from ml.game.tables.values import ValueTable

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


def conditional_shapley_scheme(table: ValueTable) -> Outcome:
    """Payoffs of eq. (7), n phi_i - v(N): everybody buys the grand model at its full gain."""
    gains = table.grand_value - table.own_values
    payoffs = table.n_parties * shapley_values(table.values) - table.grand_value
    return Outcome(payoffs, _grand_models(table), gains)


def shapley_scheme(table: ValueTable) -> Outcome:
    """Shapley value itself: v(N) in money is split by phi and everybody gets the model too."""
    phi = shapley_values(table.values)
    return Outcome(phi, _grand_models(table), np.zeros(table.n_parties))


def alpha_beta_scheme(alpha: float, beta: float) -> Scheme:
    """Payoffs alpha phi_i - beta v(N): the two-parameter family around eq. (7).

    (1, 0) is the Shapley value and (n, 1) eq. (7); alpha = n beta balances. Source: Remark 3.6
    as read here: symmetric, linear payoffs that depend on the Shapley value and on v(N).
    """
    if not np.isfinite([alpha, beta]).all():
        raise SchemeError(f"alpha is {alpha} and beta {beta}; expected two finite numbers.")

    def scheme(table: ValueTable) -> Outcome:
        payoffs = alpha * shapley_values(table.values) - beta * table.grand_value
        costs = beta * (table.grand_value - table.own_values)
        return Outcome(payoffs, _grand_models(table), costs)

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

    def scheme(table: ValueTable) -> Outcome:
        phi = np.maximum(shapley_values(table.values), 0.0)
        largest = float(phi.max())
        shares = phi / largest if largest > 0 else np.ones(table.n_parties)
        # 0**0 is 1: with rho = 0 even a party that adds nothing receives v(N).
        models = shares**rho * table.grand_value
        return Outcome(np.zeros(table.n_parties), models, np.zeros(table.n_parties))

    return scheme


def leave_one_out_scheme(table: ValueTable) -> Outcome:
    """Everybody pays each other party what that one adds to all the others."""
    last = _last_contributions(table)
    costs = last.sum() - last
    return Outcome(table.n_parties * last - last.sum(), _grand_models(table), costs)


def equal_split_scheme(table: ValueTable) -> Outcome:
    """Everybody pays its full gain into a pot that is split equally."""
    gains = table.grand_value - table.own_values
    return Outcome(gains.mean() - gains, _grand_models(table), gains)


SCHEMES: dict[str, Scheme] = {
    "conditional Shapley": conditional_shapley_scheme,
    "Shapley value": shapley_scheme,
    "alpha-beta (1, 1/n)": lambda table: alpha_beta_scheme(1.0, 1 / table.n_parties)(table),
    "rho-Shapley (rho = 1)": rho_shapley_scheme(1.0),
    "leave-one-out": leave_one_out_scheme,
    "equal split": equal_split_scheme,
}


def compare_schemes(
    table: ValueTable, schemes: Mapping[str, Scheme] | None = None, *, seed: int = 0
) -> list[SchemeReport]:
    """Schemes side by side on one table, each with the properties that it satisfies.

    Parameters
    ----------
    table : ValueTable
        At most 25 parties: some properties are checked with one party more.
    schemes : mapping of name to function, optional
        All of `SCHEMES` if not given. A scheme takes a `ValueTable` and returns an `Outcome`.
    seed : int
        Of the second game by which linearity is checked.

    Returns
    -------
    list of SchemeReport
        In the order given; see `ml.game.comparison.properties` for what each property means.

    Examples
    --------
    >>> table = ValueTable([0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0])
    >>> report = compare_schemes(table)[0]
    >>> report.name, report.outcome.payoffs.round(2), report.properties["balance"].holds
    ('conditional Shapley', array([-0.4,  0.2,  0.2]), True)
    """
    if table.n_parties > 25:
        raise ValueTableError(
            f"Value table is for {table.n_parties} parties; expected at most 25: replicating a "
            "party makes one more. Compare on a smaller game."
        )
    chosen = SCHEMES if schemes is None else schemes
    return [
        SchemeReport(name, scheme(table), check_properties(scheme, table, seed=seed))
        for name, scheme in chosen.items()
    ]


def _grand_models(table: ValueTable) -> FloatArray:
    return np.full(table.n_parties, table.grand_value)


def _last_contributions(table: ValueTable) -> FloatArray:
    grand = len(table.values) - 1
    without = table.values[grand ^ (1 << np.arange(table.n_parties))]
    return np.asarray(table.grand_value - without, dtype=np.float64)
