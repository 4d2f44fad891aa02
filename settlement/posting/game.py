"""The posted game: flows and own values in whole numbers, and the hash that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from settlement.posting.format import (
    NUMBER_LIMIT,
    VALUE_SCALE,
    PostingError,
    flow_scale,
    flows_of_table,
    pack_numbers,
    posted_units,
    wanted_units,
)

__all__ = ["Game", "game_of_flows", "game_of_table"]


@dataclass(frozen=True, slots=True)
class Game:
    """Posted flows, own values, and the most that each party wants its model to be worth."""

    flows: tuple[tuple[int, ...], ...]
    own: tuple[int, ...]
    wanted: tuple[int, ...] = ()  # none at all: nobody has a cap

    @property
    def hash(self) -> bytes:
        """What terms and contract name the game by."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """As the contract reads it: flows row by row, own values, and wanted values if any."""
        numbers = (*self.flows, self.own, self.wanted)
        return b"".join(map(pack_numbers, numbers))

    @property
    def value_flows(self) -> list[list[float]]:
        """Flows in value units."""
        unit = flow_scale(len(self.own)) * VALUE_SCALE
        return [[flow / unit for flow in row] for row in self.flows]

    @property
    def own_values(self) -> list[float]:
        """Own values in value units."""
        return [own / VALUE_SCALE for own in self.own]

    def cost_units(self, party: int, exchange_rate: int) -> int:
        """The most that a party can owe, v(N) - v(i), in base units, rounded up."""
        unit = flow_scale(len(self.own)) * VALUE_SCALE
        return -(-exchange_rate * sum(self.flows[party]) // unit)


def game_of_table(values: Sequence[float], caps: Sequence[float | None]) -> Game:
    """Eq. (5) in whole numbers, of a table of up to 8 parties."""
    table = [posted_units(value, "Value") for value in values]
    flows = flows_of_table(table)
    for payer, row in enumerate(flows):
        for payee, flow in enumerate(row):
            if not 0 <= flow < NUMBER_LIMIT:
                raise PostingError(
                    f"Flow from party {payer} to party {payee} is {flow} posted units; expected "
                    "0 to 2**64 - 1. Cover the table: it is not monotone."
                )
    own = tuple(table[1 << party] for party in range(len(flows)))
    return Game(flows, own, _wanted(caps))


def _wanted(caps: Sequence[float | None]) -> tuple[int, ...]:
    return () if all(cap is None for cap in caps) else wanted_units(caps, len(caps))


def game_of_flows(
    flows: Sequence[Sequence[float]], grand_value: float, caps: Sequence[float | None]
) -> Game:
    """Flows that come from floats."""
    scale = flow_scale(len(flows))
    grand = posted_units(grand_value, "Grand value")
    rows, own = [], []
    for payer, row in enumerate(flows):
        posted = [0 if k == payer else posted_units(f, "Flow") for k, f in enumerate(row)]
        excess, largest = sum(posted) - grand, posted.index(max(posted))
        if 0 < excess <= min(2 * len(row), posted[largest]):
            posted[largest] -= excess
        own.append(grand - sum(posted))
        rows.append(tuple(scale * flow for flow in posted))
    return Game(tuple(rows), tuple(own), _wanted(caps))
