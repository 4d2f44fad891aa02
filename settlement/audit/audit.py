"""Recompute a round, as far as it is, from its value table and the chain's logs alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ml.errors import FairroundError
from settlement.audit.figures import (
    check_allocation,
    check_configuration,
    check_journal,
    check_report,
    check_rewards,
    check_terms,
)
from settlement.audit.findings import Finding
from settlement.audit.game import check_game, check_values
from settlement.audit.money import check_deposits, check_opened, check_settlement
from settlement.audit.reported import check_entitled, check_reported
from settlement.config.reading import read_config
from settlement.round.access import ChainAccess
from settlement.store.documents import FLOWS, SettlementDocument, ValueDocument
from settlement.store.folder import STAGES, RoundFolder

__all__ = ["audit_round", "left_out"]


def audit_round(path: Path, access: ChainAccess) -> tuple[Finding, ...]:
    """Check a round: files, values, game, terms, deposits, allocation, money, models, report.

    Nothing is trusted that can be recomputed: deposits, transfers and withdrawals are read from
    the contract's logs, the table is covered and the game computed again, factors and net
    positions follow from both, and the report is written again. A simulated chain is executed
    again from its journal. Stages that are still to come are left out. Only reads.
    """
    folder = RoundFolder(path)
    folder.require_config()
    done = [stage for stage in STAGES if folder.has(stage)]
    if not done:
        folder.stage(STAGES[0])  # says which verb is to be run
    findings = [_finding(f"files of {stage}", partial(folder.check_seal, stage)) for stage in done]
    if any(finding.trouble for finding in findings):
        return tuple(findings)  # figures of changed files prove nothing
    for stage in done:
        findings += [_finding(name, check) for name, check in _checks(folder, stage, access)]
    return tuple(findings)


def _checks(
    folder: RoundFolder, stage: str, access: ChainAccess
) -> list[tuple[str, Callable[[], None]]]:
    """What can be checked once a stage is there."""
    external = ValueDocument.read(folder).source == "external"
    if stage == "train":
        return [
            ("configuration", partial(check_configuration, folder)),
            ("value table", partial(check_values, folder)),
            ("game", partial(_check_game, folder)),
            *([("scores as told", partial(check_reported, folder))] if external else []),
        ]
    if stage == "open":
        return [
            ("terms", partial(check_terms, folder)),
            ("round on the chain", partial(check_opened, folder, access)),
        ]
    if stage == "allocate":
        return [
            ("deposits", partial(check_deposits, folder, access)),
            ("allocation", partial(check_allocation, folder)),
        ]
    if stage == "settle":
        return [
            ("journal", partial(check_journal, folder)),
            ("settlement", partial(check_settlement, folder, access)),
        ]
    if stage == "reward" and external:
        return [("what each party is entitled to", partial(check_entitled, folder))]
    if stage == "reward":
        return [("model rewards", partial(check_rewards, folder))]
    return [("report", partial(check_report, folder))]


def _check_game(folder: RoundFolder) -> None:
    config = read_config(folder.config_path)
    check_game(folder, config.caps, config.sampling)


def left_out(path: Path, *, measured_again: bool = False) -> tuple[str, ...]:
    """What an audit leaves out, and why; without training it takes scores as they stand."""
    folder = RoundFolder(path)
    told = []
    if missing := [stage for stage in STAGES if not folder.has(stage)]:
        told.append(f"what is still to come: {', '.join(missing)}")
    if folder.has("settle") and SettlementDocument.read(folder).settled_journal(folder) is None:
        told.append("the journal of who sent what: it stays with the sender")
    values = ValueDocument.read(folder)
    if values.source == FLOWS:
        named = read_config(folder.config_path).flows_path
        if named is not None and not named.exists():
            told.append(f"the file {named.name} that the configuration names: it is not here")
    if values.source == "external" and not measured_again:
        told.append(
            "whether the scores that were told are true; --retrain K asks the round's function or "
            "program again, --again FILE compares a second measurement with what people told"
        )
    elif values.source not in ("given", FLOWS) and not measured_again:
        told.append(
            "the data and what was measured on them, the scores of coalitions and of model "
            "rewards; --retrain K measures again"
        )
    return tuple(told)


def _finding(name: str, check: Callable[[], Any]) -> Finding:
    try:
        check()
    except (FairroundError, OSError) as error:
        return Finding(name, str(error))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Whoever seals a file again may leave keys out, or write words for numbers.
        return Finding(name, f"figures are not of the form that they were written in: {error!r}")
    return Finding(name, None)
