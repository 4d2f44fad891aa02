"""Round folders as the simulator makes and reads them; the one place that knows the stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from settlement.config.reading import read_config
from settlement.config.terms import AgreedTerms
from settlement.errors import BrokenInvariant, SettlementError
from settlement.round.access import ChainAccess
from settlement.round.round import Round
from settlement.simulation.tables.scenario import RoundRules
from settlement.store.documents import AllocationDocument, SettlementDocument, ValueDocument
from settlement.store.folder import RoundFolder

__all__ = ["FinishedRound", "NotFinished", "carry_out", "finished_round", "verify"]


class NotFinished(SettlementError):
    """A folder without a round that is far enough, or whose values are not a table."""


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """What a finished round was played with."""

    parties: tuple[str, ...]
    values: np.ndarray  # float64 (2**n,)
    deposits_units: tuple[int, ...]
    private_rates: tuple[float, ...]  # in exchange rates; 1 where a party names no rate
    caps: tuple[float | None, ...]
    rules: RoundRules


def _no_settings() -> object:
    raise BrokenInvariant("A simulated chain asks for the user's settings; it needs none.")


def _access() -> ChainAccess:
    return ChainAccess(_no_settings)  # type: ignore[arg-type]


def carry_out(folder: Path, *, settle: bool) -> list[int]:
    """Carry a simulated round out, to its end or up to its opening; its net positions."""
    round_ = Round(folder, _access())
    if not settle:
        for stage in ("train", "open"):
            round_.carry_out(stage)
        return []
    round_.run()
    return list(SettlementDocument.read(RoundFolder(folder)).net_positions_units)


def verify(folder: Path) -> list[str]:
    """What an audit finds wrong with a round; nothing if all agrees."""
    from settlement.audit.audit import audit_round

    findings = audit_round(folder, _access())
    return [f"{found.check}: {found.trouble}" for found in findings if found.trouble]


def finished_round(folder: Path) -> FinishedRound:
    """Table, locked deposits and way of settling of a round in a folder.

    Raises
    ------
    NotFinished
        If it is not allocated yet, or its flows are estimated.
    """
    store = RoundFolder(folder)
    store.require_config()
    for stage in ("train", "open", "allocate"):
        if not store.has(stage):
            raise NotFinished(
                f"{folder} has no stage {stage!r} yet; expected a finished round. Run it first: "
                f"fairround run {folder}"
            )
    values = ValueDocument.read(store)
    if not values.is_table:
        raise NotFinished(
            f"{folder} has flows that were given, or estimated from a sample of coalitions; "
            "expected a table of all."
        )
    terms = AgreedTerms.read(store)
    return FinishedRound(
        parties=tuple(values.parties),
        values=np.array(values.values),
        deposits_units=tuple(AllocationDocument.read(store).deposits_units),
        private_rates=tuple(
            1.0 if party.rate is None else float(party.rate) / terms.exchange_rate
            for party in read_config(store.config_path).parties
        ),
        caps=terms.caps,
        rules=RoundRules(
            settlement=terms.settlement,
            exchange_rate=terms.exchange_rate,
            unit_scale=terms.unit_scale,
        ),
    )
