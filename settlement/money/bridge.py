"""The bridge between the countries: budgets and payoffs, which are floats, to base units.

The game itself becomes whole numbers in `settlement.posting`; a float becomes an amount nowhere
else.

Value units are floats (one unit is a score of 1.0); base units are whole numbers. The
exchange rate nu says how many base units one unit of value is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from settlement.errors import BrokenInvariant, SettlementError
from settlement.money.terms import MAX_AMOUNT_UNITS, NetPosition

__all__ = [
    "BridgeError",
    "budgets_of_deposits",
    "deposit_units",
    "most_owed_units",
    "net_positions",
]

TOLERANCE_VALUE = Fraction(1, 10**9)
"""How far float payoffs may be from balance or budget: above float rounding, below money."""


MAX_RATE_DIGITS = 20
"""Digits of the largest exchange rate, 2**63 - 1, and one to spare."""


class BridgeError(SettlementError):
    """Payoffs that cannot become whole base units: not finite, not balanced, over a deposit."""


def deposit_units(budget: Decimal, exchange_rate: int) -> int:
    """Base units that a party locks for its budget, rounded down.

    Parameters
    ----------
    budget
        In value units, at least 0.
    exchange_rate
        nu, base units a unit of value, positive.

    Raises
    ------
    BridgeError
        If the budget is negative or not finite, or more than a deposit can hold.

    Examples
    --------
    >>> deposit_units(Decimal("0.3"), 10**6)
    300000
    """
    if not budget.is_finite() or budget < 0:
        raise BridgeError(
            f"Budget is {budget} value units; expected a finite number of at least 0."
        )
    # All digits of the product: the default context would round a long budget, maybe up.
    context = Context(prec=len(budget.as_tuple().digits) + MAX_RATE_DIGITS, traps=[])
    product = context.multiply(budget, Decimal(exchange_rate))
    if product >= MAX_AMOUNT_UNITS + 1:
        raise BridgeError(f"Budget is {product} base units; a deposit holds {MAX_AMOUNT_UNITS}.")
    return int(product.to_integral_value(rounding=ROUND_FLOOR))


def most_owed_units(cost: float, exchange_rate: int) -> int:
    """Base units of all that a party can owe, v(N) - v(i) in value units, rounded up.

    Examples
    --------
    >>> most_owed_units(0.5, 10**6), most_owed_units(0.1, 10**6)
    (500000, 100001)
    """
    return math.ceil(Fraction(cost) * exchange_rate)


def budgets_of_deposits(deposits_units: Sequence[int], exchange_rate: int) -> list[float]:
    """Budgets b_i in value units: the locked deposits themselves.

    The nearest float may be above the exact quotient; `net_positions` clamps what that
    could add to a payment, so no party ever pays past its deposit.
    """
    return [units / exchange_rate for units in deposits_units]


def net_positions(
    payoffs: Sequence[float], deposits_units: Sequence[int], exchange_rate: int
) -> tuple[NetPosition, ...]:
    """Payoffs in whole base units that sum to exactly zero.

    Every payoff is scaled exactly, rounded down, and the units that are then missing go
    one each to the largest remainders (the lower party index wins ties). Net positions
    are rounded, not flows: rounding each flow would let a debtor exceed its deposit.

    Parameters
    ----------
    payoffs : shape (n,)
        p_i in value units; sum to zero up to float rounding.
    deposits_units : shape (n,)
        Locked deposits; no party pays more than its own.

    Returns
    -------
    tuple of NetPosition
        In party order; each less than one unit (and float rounding) from its exact figure.

    Raises
    ------
    BridgeError
        If a payoff is not finite, the payoffs do not balance, or one is below its deposit.
    """
    scaled = _scaled(payoffs, deposits_units, exchange_rate)
    exact = _balanced(scaled, deposits_units)
    floors = [math.floor(amount) for amount in exact]
    missing = -sum(floors)
    if not 0 <= missing < len(floors):
        raise BrokenInvariant(
            f"{missing} base units are missing after rounding {len(floors)} payoffs."
        )
    remainders = [amount - floor for amount, floor in zip(exact, floors, strict=True)]
    by_remainder = sorted(range(len(floors)), key=lambda party: (-remainders[party], party))
    for party in by_remainder[:missing]:
        floors[party] += 1
    _check_rounded(floors, scaled, deposits_units, exchange_rate)
    return tuple(NetPosition(party, amount) for party, amount in enumerate(floors))


def _scaled(
    payoffs: Sequence[float], deposits_units: Sequence[int], exchange_rate: int
) -> list[Fraction]:
    if len(payoffs) != len(deposits_units):
        raise BridgeError(f"{len(payoffs)} payoffs for {len(deposits_units)} deposits.")
    for party, payoff in enumerate(payoffs):
        if not math.isfinite(payoff):
            raise BridgeError(
                f"Payoff of party {party} is {payoff}; expected a finite number.", party=party
            )
    scaled = [Fraction(payoff) * exchange_rate for payoff in payoffs]
    tolerance = TOLERANCE_VALUE * exchange_rate
    total = sum(scaled, Fraction(0))
    if abs(total) > tolerance:
        raise BridgeError(
            f"Payoffs sum to {float(total)} base units; expected 0 within {float(tolerance)}."
        )
    for party, (amount, deposit) in enumerate(zip(scaled, deposits_units, strict=True)):
        if amount < -deposit - tolerance:
            raise BridgeError(
                f"Party {party} owes {float(-amount)} base units but deposited {deposit}.",
                party=party,
            )
    return scaled


def _balanced(scaled: Sequence[Fraction], deposits_units: Sequence[int]) -> list[Fraction]:
    """Amounts without the rounding of floats: sum exactly zero, nobody over its deposit.

    What a payoff lies below its deposit is cut off; what then is too much in all comes off who
    receives most, what is too little goes there. At large exchange rates that is many base units.
    """
    amounts = [max(amount, Fraction(-d)) for amount, d in zip(scaled, deposits_units, strict=True)]
    surplus = sum(amounts, Fraction(0))
    for party in sorted(range(len(amounts)), key=lambda party: (-amounts[party], party)):
        taken = min(surplus, amounts[party] + deposits_units[party])
        amounts[party] -= taken
        surplus -= taken
    return amounts


def _check_rounded(
    amounts: Sequence[int],
    scaled: Sequence[Fraction],
    deposits_units: Sequence[int],
    exchange_rate: int,
) -> None:
    if sum(amounts):
        raise BrokenInvariant(f"Net positions sum to {sum(amounts)} base units; expected 0.")
    limit = 1 + (len(amounts) + 1) * TOLERANCE_VALUE * exchange_rate
    for party, (amount, exact, deposit) in enumerate(
        zip(amounts, scaled, deposits_units, strict=True)
    ):
        if amount < -deposit:
            raise BrokenInvariant(
                f"Party {party} pays {-amount} of {deposit} base units deposited.", party=party
            )
        if abs(amount - exact) > limit:
            raise BrokenInvariant(
                f"Net position of party {party} is {amount} base units; exact is {float(exact)}.",
                party=party,
            )
