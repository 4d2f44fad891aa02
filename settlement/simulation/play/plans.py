"""What the parties of a round agree to, and the settlement that follows from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from settlement.escrow.events import ETHER, RoundTerms
from settlement.money.bridge import net_positions
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition
from settlement.posting.check import prove
from settlement.posting.format import (
    MAX_EXACT_PARTIES,
    MAX_POSTED_PARTIES,
    NO_CAP,
    VALUE_SCALE,
    Game,
    flow_scale,
    game_of_flows,
    game_of_values,
)
from settlement.simulation.behaviours.behaviour import Draft, Figures
from settlement.simulation.play.rewards import Cleared
from settlement.simulation.tables.scenario import RoundRules

__all__ = ["PlayedGame"]


@dataclass(frozen=True, slots=True)
class PlayedGame:
    """The game that the terms of a round name, and the terms."""

    figures: Figures
    rules: RoundRules
    posted: Game | None  # in whole numbers; None for more parties than are posted
    terms: RoundTerms

    @classmethod
    def of(
        cls,
        figures: Figures,
        rules: RoundRules,
        start: int,
        *,
        asset: str = ETHER,
        caps: Sequence[float | None] = (),
    ) -> PlayedGame:
        """Terms of a round that is opened at ``start``; a cap an account, if there are any."""
        posted = _posted(figures) if figures.n_parties <= MAX_POSTED_PARTIES else None
        if posted is not None and any(cap is not None for cap in caps):
            posted = replace(posted, wanted=tuple(map(_posted_cap, caps)))
        game_hash = hashlib.sha256(figures.flows.tobytes()).digest()
        terms = RoundTerms(
            terms_hash=hashlib.sha256(repr(rules).encode()).digest(),
            game_hash=game_hash if posted is None else posted.hash,
            asset=asset,
            unit_scale=rules.unit_scale,
            quorum_units=rules.quorum_units,
            exchange_rate=rules.exchange_rate,
            funding_deadline=start + rules.funding_s,
            settlement_deadline=start + rules.funding_s + rules.settlement_s,
            n_parties=figures.n_parties,
            by_proof=rules.settlement == "proof",
        )
        return cls(figures, rules, posted, terms)

    def draft(self, deposits_units: Sequence[int], cleared: Cleared) -> Draft:
        """The settlement that follows from the game and the locked deposits.

        From whole numbers alone, whichever way it is settled; from floats over the bridge where
        there are more parties than can be posted.
        """
        rate = self.rules.exchange_rate
        if self.posted is None:
            return Draft(
                net_transfers(net_positions(cleared.payoffs.tolist(), deposits_units, rate))
            )
        proof = prove(self.posted, deposits_units, rate)
        nets = [NetPosition(k, units) for k, units in enumerate(proof.net_amounts)]
        if not self.terms.by_proof:
            return Draft(net_transfers(nets))
        return Draft(net_transfers(nets), self.posted, proof.factors)


def _posted_cap(cap: float | None) -> int:
    return NO_CAP if cap is None else round(cap * VALUE_SCALE)


def _posted(figures: Figures) -> Game:
    if figures.n_parties > MAX_EXACT_PARTIES:
        return game_of_flows(figures.flows.tolist(), figures.grand_value)
    if figures.table is not None:
        return game_of_values(figures.table.tolist())
    return _game_of_few(figures)


def _game_of_few(figures: Figures) -> Game:
    """Up to eight parties without a table, such as an invented game: every flow is rounded.

    What rounding leaves of eq. (4) goes to the largest flow of the row.
    """
    scale = flow_scale(figures.n_parties)
    grand = round(figures.grand_value * VALUE_SCALE)
    own = [min(grand, max(0, round(float(value) * VALUE_SCALE))) for value in figures.own_values]
    rows = []
    for k, flows in enumerate(figures.flows.tolist()):
        row = [0 if j == k else max(0, round(f * VALUE_SCALE * scale)) for j, f in enumerate(flows)]
        largest = max((j for j in range(len(row)) if j != k), key=lambda j: (row[j], -j))
        row[largest] += scale * (grand - own[k]) - sum(row)
        rows.append(tuple(row))
    return Game(tuple(rows), tuple(own))
