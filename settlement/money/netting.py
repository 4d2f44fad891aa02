"""Net positions to few transfers. Pure functions on whole numbers."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence

from settlement.errors import BrokenInvariant, PlanError
from settlement.money.terms import NetPosition, Transfer, net_positions_of

__all__ = ["net_transfers"]


def net_transfers(positions: Sequence[NetPosition]) -> tuple[Transfer, ...]:
    """Transfers that settle all net positions: exact pairs first, then largest with largest.

    A debtor and a creditor of the same amount settle each other in one transfer. When no
    such pair is left, the largest debtor pays the largest creditor, and what remains of
    the larger of the two may form an exact pair again. Every transfer settles at least one
    party, so there are at most n - 1 of them. Finding the fewest is a partition problem;
    with fine units the fewest is nearly always n - 1 as well.

    Parameters
    ----------
    positions
        One position a party; amounts in base units that sum to exactly 0.

    Returns
    -------
    tuple of Transfer
        Deterministic: among equal amounts the lowest party index goes first.

    Raises
    ------
    PlanError
        If a party appears twice or the amounts do not sum to zero.

    Examples
    --------
    >>> positions = [NetPosition(0, -7), NetPosition(1, 3), NetPosition(2, 7), NetPosition(3, -3)]
    >>> [(t.debtor, t.creditor, t.amount_units) for t in net_transfers(positions)]
    [(3, 1, 3), (0, 2, 7)]
    """
    _check_positions(positions)
    debtors = _Side((p.party, -p.amount_units) for p in positions if p.amount_units < 0)
    creditors = _Side((p.party, p.amount_units) for p in positions if p.amount_units > 0)
    transfers = _exact_pairs(debtors, creditors)
    while debtors:
        debtor, owed = debtors.pop_largest()
        creditor, due = creditors.pop_largest()
        amount = min(owed, due)
        transfers.append(Transfer(debtor, creditor, amount))
        # Only the remainder is a new amount, so only it can form a new exact pair.
        if owed > amount:
            partner = creditors.pop_exactly(owed - amount)
            if partner is None:
                debtors.push(debtor, owed - amount)
            else:
                transfers.append(Transfer(debtor, partner, owed - amount))
        elif due > amount:
            partner = debtors.pop_exactly(due - amount)
            if partner is None:
                creditors.push(creditor, due - amount)
            else:
                transfers.append(Transfer(partner, creditor, due - amount))
    _check_settled(positions, transfers)
    return tuple(transfers)


class _Side:
    """The open amounts of all debtors or of all creditors, by size and by exact amount."""

    def __init__(self, amounts: Iterable[tuple[int, int]]) -> None:
        self._by_size: list[tuple[int, int]] = []  # (-amount, party): the largest on top
        self._by_amount: dict[int, list[int]] = defaultdict(list)  # heaps of parties
        self._open: dict[int, int] = {}
        for party, amount in amounts:
            self.push(party, amount)

    def __bool__(self) -> bool:
        return bool(self._open)

    def push(self, party: int, amount: int) -> None:
        self._open[party] = amount
        heapq.heappush(self._by_size, (-amount, party))
        heapq.heappush(self._by_amount[amount], party)

    def pop_largest(self) -> tuple[int, int]:
        while True:
            negative_amount, party = heapq.heappop(self._by_size)
            if self._open.get(party) == -negative_amount:  # else settled or changed since
                del self._open[party]
                return party, -negative_amount

    def pop_exactly(self, amount: int) -> int | None:
        parties = self._by_amount.get(amount, [])
        while parties:
            party = heapq.heappop(parties)
            if self._open.get(party) == amount:
                del self._open[party]
                return party
        return None

    def amounts(self) -> list[tuple[int, int]]:
        return sorted(self._open.items())


def _exact_pairs(debtors: _Side, creditors: _Side) -> list[Transfer]:
    transfers = []
    for creditor, amount in creditors.amounts():
        debtor = debtors.pop_exactly(amount)
        if debtor is not None:
            creditors.pop_exactly(amount)  # the lowest open creditor of this amount: this one
            transfers.append(Transfer(debtor, creditor, amount))
    return transfers


def _check_positions(positions: Sequence[NetPosition]) -> None:
    parties = [position.party for position in positions]
    if len(set(parties)) != len(parties):
        twice = sorted({party for party in parties if parties.count(party) > 1})
        raise PlanError(f"Net positions name parties {twice} twice; expected one position each.")
    total = sum(position.amount_units for position in positions)
    if total:
        raise PlanError(f"Net positions sum to {total} base units; expected exactly 0.")


def _check_settled(positions: Sequence[NetPosition], transfers: Sequence[Transfer]) -> None:
    n_parties = 1 + max((position.party for position in positions), default=-1)
    reached = net_positions_of(transfers, n_parties)
    wanted = {position.party: position.amount_units for position in positions}
    for position in reached:
        if position.amount_units != wanted.get(position.party, 0):
            raise BrokenInvariant(
                f"Transfers bring party {position.party} to {position.amount_units} base units; "
                f"its net position is {wanted.get(position.party, 0)}.",
                party=position.party,
            )
