"""What a game and deposits come to in base units, and the check that the contract makes.

`settlement.posting.factors` finds the factors; here is what they must satisfy, the net positions
that follow, and the first rule that a wrong claim breaks, in the contract's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.errors import BrokenInvariant
from settlement.posting.factors import proving_factors
from settlement.posting.format import FACTOR_ONE, SLACK, VALUE_SCALE, Game

__all__ = ["Proof", "fault_of", "net_amounts", "prove", "same_money"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What settles a round: the game, factors in units of 2**-72, net positions in base units."""

    game: Game
    factors: tuple[int, ...]
    net_amounts: tuple[int, ...]


def prove(game: Game, deposits_units: Sequence[int], exchange_rate: int) -> Proof:
    """The net positions that follow from a game and locked deposits, with their proof.

    There is one for every choice of deposits.

    Parameters
    ----------
    game : Game
        Of 2 to 64 parties.
    deposits_units : sequence of int
        Locked deposits: the budgets.
    exchange_rate : int
        nu, base units a unit of value.

    Raises
    ------
    PostingError
        If the game breaks a rule or the exchange rate is too large for it, see `Game.check`.
    """
    game.check(exchange_rate)
    factors = proving_factors(game, deposits_units, exchange_rate)
    nets = net_amounts(game, factors, exchange_rate)
    if fault := fault_of(game, factors, nets, deposits_units, exchange_rate):
        raise BrokenInvariant(f"Our own proof is refused: {fault}. Nothing was sent.")
    return Proof(game, factors, tuple(nets))


def net_amounts(game: Game, factors: Sequence[int], exchange_rate: int) -> list[int]:
    """Net positions in base units that follow from factors; they sum to exactly zero.

    Exact positions rounded down, then one unit each for the largest remainders, the lower party
    index first. None is below its deposit, see contracts/README.md.
    """
    n_parties, unit = game.n_parties, game.scale * VALUE_SCALE * FACTOR_ONE
    exact = [
        exchange_rate * (revenue - cost * factor)
        for revenue, cost, factor in zip(_revenues(game, factors), game.costs, factors, strict=True)
    ]
    nets = [amount // unit for amount in exact]
    ranked = sorted(range(n_parties), key=lambda party: (-(exact[party] % unit), party))
    for party in ranked[: -sum(nets)]:
        nets[party] += 1
    return nets


def same_money(proof: Proof, nets: Sequence[int], exchange_rate: int) -> bool:
    """Whether the contract may have taken these net positions instead of a proof's own.

    Others may settle with other factors that pass. What a party pays exactly is the same up to
    2 n T, see contracts/README.md, so after rounding it is the same to the unit, but where two
    remainders are that close to each other: then the missing unit may go to either party. ``nets``
    are exact positions rounded, the largest remainders up, if no two of them were moved apart by
    more than one unit.
    """
    game, n_parties = proof.game, proof.game.n_parties
    unit = game.scale * VALUE_SCALE * FACTOR_ONE
    if sum(nets) or len(nets) != n_parties:
        return False
    moved = [
        net * unit - exchange_rate * (revenue - cost * factor)
        for net, revenue, cost, factor in zip(
            nets, _revenues(game, proof.factors), game.costs, proof.factors, strict=True
        )
    ]
    apart = 4 * exchange_rate * n_parties**2 * game.grand
    return max(moved) - min(moved) <= unit + apart


def fault_of(
    game: Game,
    factors: Sequence[int],
    nets: Sequence[int],
    deposits_units: Sequence[int],
    exchange_rate: int,
) -> str | None:
    """The first rule of `settle_by_proof` that is broken, in the contract's words; None if none is.

    ``nets`` are the net positions that the transfers bring about.
    """
    n = game.n_parties
    if len(factors) != n:
        return "not one factor a party"
    for i, factor in enumerate(factors):
        if factor > FACTOR_ONE:
            return "factor is too large"
        if game.flows[i][i]:
            return "party pays itself"
    unit, grand, costs = game.scale * VALUE_SCALE * FACTOR_ONE, game.grand, game.costs
    slack = exchange_rate * n * grand
    if n * slack > unit // SLACK:
        return "game too large for rate"
    revenues, uppers = _revenues(game, factors), game.uppers
    least_up, most_down = (unit, 0), (-1, 0)
    for i, (factor, cost) in enumerate(zip(factors, costs, strict=True)):
        if game.scale * game.own[i] + cost != grand:
            return "own values do not fit"
        if factor > uppers[i]:
            return "factor is too large"
        owed, inflow = exchange_rate * cost * factor, exchange_rate * revenues[i]
        gap = owed - inflow - deposits_units[i] * unit
        if gap > slack:
            return "factor beyond means"
        if gap < 0 and factor != uppers[i]:
            return "factor is too small"
        down, remainder = divmod(inflow - owed, unit)
        if nets[i] - down not in (0, 1):
            return "wrong net position"
        if nets[i] == down:
            most_down = max(most_down, (remainder, -i))
        else:
            least_up = min(least_up, (remainder, -i))
    return "wrong rounding" if least_up < most_down else None


def _revenues(game: Game, factors: Sequence[int]) -> list[int]:
    """Flows received, times the payers' factors."""
    everybody = range(game.n_parties)
    return [sum(game.flows[k][i] * factors[k] for k in everybody) for i in everybody]
