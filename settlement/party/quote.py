"""What a budget would bring a party, were the others' deposits to stay as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.config.schema import parse_budget
from settlement.party.desk import PartyDesk
from settlement.report.tables import text_table
from settlement.round.agreed import agreed_game
from settlement.round.funding import budget_in_units
from settlement.round.stages.allocate import allocation_document
from settlement.round.words import Asset
from settlement.store.documents import ValueDocument

__all__ = ["Quote", "quote", "quote_in_words", "quotes", "quotes_text"]


@dataclass(frozen=True, slots=True)
class Quote:
    """Figures of one party for one deposit, in value units but for the deposit."""

    deposit_units: int
    adjustment_factor: float
    payoff: float
    model_value: float
    own_value: float
    grand_value: float


def quote(desk: PartyDesk, units: int) -> Quote:
    """What a deposit would bring; the others' are read from the chain as they are now."""
    deposits = list(desk.escrow.ledger(desk.opened.round_id).deposits_units)
    deposits[desk.party] += units
    values, game = ValueDocument.read(desk.folder), agreed_game(desk.folder)
    allocation = allocation_document(desk.terms, values, game, deposits, with_errors=False)
    return Quote(
        deposit_units=deposits[desk.party],
        adjustment_factor=allocation.adjustment_factors[desk.party],
        payoff=allocation.payoffs[desk.party],
        model_value=allocation.model_values[desk.party],
        own_value=allocation.own_values[desk.party],
        grand_value=values.grand_value,
    )


def quotes(desk: PartyDesk, budgets: Sequence[str]) -> list[Quote]:
    """One quote a budget, as `parse_budget` reads them; three common ones if none is named."""
    game = agreed_game(desk.folder)
    rate = desk.terms.exchange_rate
    most = game.cost_units(desk.party, rate)
    if not budgets:
        return [quote(desk, units) for units in (0, most // 2, most)]
    wanted = (parse_budget(budget) for budget in budgets)
    return [quote(desk, budget_in_units(budget, game, desk.party, rate)) for budget in wanted]


def quote_in_words(desk: PartyDesk, units: int) -> str:
    """The same in one sentence."""
    found = quote(desk, units)
    paid = round(abs(found.payoff) * desk.terms.exchange_rate)
    verb = "pay" if found.payoff < 0 else "receive"
    return (
        f"With what the others have locked so far you would {verb} about "
        f"{desk.asset.in_words(paid)} and get a model worth {found.model_value:.4f} of "
        f"{found.grand_value:.4f}, by yourself {found.own_value:.4f} (lambda "
        f"{found.adjustment_factor:.4f})."
    )


def quotes_text(found: Sequence[Quote], asset: Asset) -> str:
    """Quotes as a table."""
    header = ["deposit", "lambda", "payoff", "model value"]
    rows = [
        [
            asset.in_words(quote.deposit_units),
            f"{quote.adjustment_factor:.4f}",
            f"{round(quote.payoff, 4) + 0.0:+.4f}",
            f"{quote.model_value:.4f}",
        ]
        for quote in found
    ]
    told = "with what the others have locked so far; they may lock more"
    return "\n".join([*text_table(header, rows), "", told, ""])
