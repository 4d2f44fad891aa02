"""The game that a sweep starts from: of a round, or of a file of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from ml.game import ValueTable, conditional_shapley, made_monotone
from ml.game.clearing.problem import checked_problem
from ml.game.tables.coalitions import FloatArray
from settlement.calculator.values_file import ValuesFileError, limits_of, read_values
from settlement.config.reading import read_config
from settlement.config.schema import parse_budget, units_of
from settlement.config.terms import AgreedTerms
from settlement.naming import parties_named
from settlement.posting.format import MAX_POSTED_PARTIES
from settlement.round.agreed import agreed_game
from settlement.store.documents import AllocationDocument, GameDocument
from settlement.store.folder import RoundFolder

__all__ = ["BaseGame", "game_of_file", "game_of_round"]


@dataclass(frozen=True, eq=False)
class BaseGame:
    """Flows, own values and limits of one game, in units of value; infinite: no limit."""

    parties: list[str]
    flows: FloatArray
    own_values: FloatArray
    grand_value: float
    budgets: FloatArray
    """Shape (n,), at ``exchange_rate``: their base units stay if the rate moves."""
    caps: FloatArray
    exchange_rate: int

    def party(self, name: str) -> int:
        """Number of the party with this name.

        Raises
        ------
        ValuesFileError
        """
        if name not in self.parties:
            raise ValuesFileError(f"--party {name}: expected one of: {', '.join(self.parties)}.")
        return self.parties.index(name)


def game_of_file(
    path: Path, budgets: Sequence[str], caps: Sequence[str], monotone: str, exchange_rate: int
) -> BaseGame:
    """The game of a file of values, with budgets and caps from the command line.

    Raises
    ------
    ValuesFileError
    ml.errors.MlError
        If the values are no value table, or not monotone where that is refused, or a flow is
        negative by more than rounding.
    """
    parties, values = read_values(path)
    with parties_named(parties):
        table, _ = made_monotone(ValueTable(values), monotone)
        # Rounding is measured as in `allocate`, so a sweep takes the tables that calculate takes.
        rounding = 1e-13 * float(table.values.max())
        flows = checked_problem(conditional_shapley(table.values), None, tolerance=rounding).flows
    return BaseGame(
        parties=parties,
        flows=flows,
        own_values=table.own_values,
        grand_value=table.grand_value,
        budgets=_budgets(budgets, parties, exchange_rate, deposited=False),
        caps=limits_of("cap", caps, parties),
        exchange_rate=exchange_rate,
    )


def game_of_round(path: Path, budgets: Sequence[str], caps: Sequence[str]) -> BaseGame:
    """The posted game of a round that is trained, with its deposits if they are known by now.

    Until then with the budgets of its configuration. Options replace single limits.

    Raises
    ------
    ValuesFileError
    settlement.errors.SettlementError
        If the round is not trained yet, or its files are not what was sealed.
    """
    folder = RoundFolder(path)
    folder.require_config()
    document = GameDocument.read(folder)
    if not document.is_posted:
        raise ValuesFileError(
            f"The round has {len(document.parties)} parties, whose flows stand in a file; a sweep "
            f"takes at most {MAX_POSTED_PARTIES}. Compute single ones: fairround calculate --flows."
        )
    game = agreed_game(folder)
    config = read_config(folder.config_path)
    rate = AgreedTerms.read(folder).exchange_rate if folder.has("open") else config.exchange_rate
    if folder.has("allocate"):
        units = np.array(AllocationDocument.read(folder).deposits_units, dtype=np.float64)
    else:
        configured = [party.budget_units(rate) for party in config.parties]
        units = np.array([np.inf if budget is None else budget for budget in configured])
    wanted = np.array([np.inf if cap is None else cap for cap in config.caps])
    parties = list(document.parties)
    asked = _budgets(budgets, parties, rate, deposited=True)
    capped = limits_of("cap", caps, parties)
    return BaseGame(
        parties=parties,
        flows=game.flows,
        own_values=game.own_values,
        grand_value=game.grand_value,
        budgets=np.where(_named(budgets, parties), asked, units / rate),
        caps=np.where(_named(caps, parties), capped, wanted),
        exchange_rate=rate,
    )


def _budgets(
    options: Sequence[str], parties: Sequence[str], rate: int, deposited: bool
) -> FloatArray:
    """Budgets in units of value, from ``NAME=0.2`` in units of value or ``NAME=200000 units``.

    Those of a round are deposited, so they are whole base units, rounded down; those of a file
    are taken as they are.
    """
    plain = []
    for option in options:
        name, _, text = option.rpartition("=")
        budget = parse_budget(text)
        if isinstance(budget, int) or (deposited and budget is not None):
            budget = Decimal(units_of(budget, rate)) / rate
        plain.append(f"{name}={'unlimited' if budget is None else budget}")
    return limits_of("budget", plain, parties)


def _named(options: Sequence[str], parties: Sequence[str]) -> np.ndarray:
    names = {option.rpartition("=")[0] for option in options}
    return np.array([party in names for party in parties])
