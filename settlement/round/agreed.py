"""The game that a round agreed on, as every stage computes with it.

Up to 64 parties it is posted: whole numbers that a contract can read, and money follows from those.
Beyond, it is a file of flows, whose hash the terms name; money follows from its floats and needs
everybody's signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from settlement.money.bridge import most_owed_units
from settlement.posting.format import Game, check_exchange_rate
from settlement.round.game import cost_units, grand_value, own_values, stored_game, value_flows
from settlement.store.documents import FLOWS_FILE, GameDocument
from settlement.store.flows_file import read_flows
from settlement.store.folder import RoundFolder

if TYPE_CHECKING:
    from ml.game.tables.coalitions import FloatArray

__all__ = ["AgreedGame", "agreed_game"]


@dataclass(frozen=True, eq=False)
class AgreedGame:
    """Flows, own values and v(N) in value units; ``posted`` are the same in whole numbers."""

    flows: Any
    """Dense, or CSR where most flows are zero, shape (n, n), payer by payee."""
    own_values: FloatArray
    grand_value: float
    posted: Game | None
    """None beyond 64 parties."""

    def cost_units(self, party: int, exchange_rate: int) -> int:
        """The most that a party can owe, v(N) - v(i), in base units, rounded up."""
        if self.posted is not None:
            return cost_units(self.posted, party, exchange_rate)
        return most_owed_units(self.grand_value - float(self.own_values[party]), exchange_rate)

    def check(self, exchange_rate: int) -> None:
        """Refuse a game that could not be settled at this exchange rate.

        Raises
        ------
        PostingError
        """
        if self.posted is not None:
            self.posted.check(exchange_rate)
        else:
            check_exchange_rate(exchange_rate)


def agreed_game(folder: RoundFolder) -> AgreedGame:
    """The game of a round that was trained, after checking the seal of its files.

    Raises
    ------
    FlowsFileError
        If the file of flows of a large round holds none.
    """
    document = GameDocument.read(folder)
    if not document.is_posted:
        given = read_flows(folder.stage(document.STAGE) / FLOWS_FILE).given
        return AgreedGame(given.flows, given.own_values, given.grand_value, None)
    posted = stored_game(document)
    flows = np.array(value_flows(posted))
    return AgreedGame(flows, np.array(own_values(posted)), grand_value(posted), posted)
