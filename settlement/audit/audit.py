"""Recompute a finished round from its value table and the chain's logs alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ml.errors import MlError
from settlement.audit.figures import FIGURE_CHECKS
from settlement.audit.findings import Finding
from settlement.errors import SettlementError
from settlement.store.documents import ValueDocument
from settlement.store.folder import STAGES, RoundFolder

__all__ = ["audit_round", "not_measured"]


def audit_round(path: Path) -> tuple[Finding, ...]:
    """Check a finished round: files, terms, allocation, money, rewards and report.

    Nothing is trusted that can be recomputed: the journal is executed again, deposits,
    transfers and withdrawals are read from the contract's logs, the table is covered and
    allocated again, and the report is written again. Only reads.
    """
    folder = RoundFolder(path)
    folder.require_config()
    for stage in STAGES:
        if not folder.has(stage):
            folder.stage(stage)  # says which verb is still to be run
    findings = [
        _finding(f"files of {stage}", partial(folder.check_seal, stage)) for stage in STAGES
    ]
    if any(finding.trouble for finding in findings):
        return tuple(findings)  # figures of changed files prove nothing
    findings += [_finding(name, partial(check, folder)) for name, check in FIGURE_CHECKS]
    return tuple(findings)


def not_measured(path: Path) -> str | None:
    """What an audit of a finished round leaves out; None where the values were given."""
    if ValueDocument.read(RoundFolder(path)).source == "given":
        return None
    return (
        "the data and what was measured on them, the scores of coalitions and of model rewards; "
        "--retrain K measures again"
    )


def _finding(name: str, check: Callable[[], Any]) -> Finding:
    try:
        check()
    except (SettlementError, MlError, OSError) as error:
        return Finding(name, str(error))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Whoever seals a file again may leave keys out, or write words for numbers.
        return Finding(name, f"figures are not of the form that they were written in: {error!r}")
    return Finding(name, None)
