"""A round from configuration to report: the stages in order, each carried out once."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

from settlement.chain.journal import JOURNAL_NAME, read_journal
from settlement.naming import parties_named
from settlement.report import REPORT_HTML, REPORT_JSON, REPORT_TEXT
from settlement.round.access import ChainAccess
from settlement.round.context import Progress, RoundContext
from settlement.store.documents import (
    AllocationDocument,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.store.folder import STAGES, RoundFolder

__all__ = ["Round", "page_of", "round_status"]

RESULTS = {
    document.STAGE: document.FILE
    for document in (
        ValueDocument,
        OpenedRound,
        AllocationDocument,
        RewardDocument,
        SettlementDocument,
    )
} | {"report": REPORT_JSON}


CONFIGURED = ("train", "open", "reward")
"""Stages that read the configuration; all others follow from public files."""


class Round:
    """One round in its folder.

    Every stage is complete or absent, so a round that was killed at any moment goes on with
    the first stage that is absent. What a half-done stage had sent to the chain stands in the
    chain's journal and is not sent again; what it had trained stands in the cache.
    """

    def __init__(
        self,
        folder: Path,
        access: ChainAccess,
        progress: Progress = lambda stage, done, total: None,
        sender: str | None = None,
    ) -> None:
        self.folder = RoundFolder(folder)
        self.folder.require_config()
        self._context = RoundContext(self.folder, access, progress, sender)

    def run(self) -> None:
        """Carry out all stages that are not done yet."""
        self._check_config(*STAGES)
        with self.folder.lock():
            for stage in STAGES:
                self._carry_out(stage)

    def carry_out(self, stage: str) -> bool:
        """Carry out one stage; False if it was done before.

        Raises
        ------
        StageMissing
            If an earlier stage is still to be done.
        """
        self._check_config(stage)
        with self.folder.lock():
            return self._carry_out(stage)

    def _check_config(self, *stages: str) -> None:
        """Refuse a faulty configuration before anything is written, where it will be read."""
        if any(stage in CONFIGURED and not self.folder.has(stage) for stage in stages):
            _ = self._context.config

    def _carry_out(self, stage: str) -> bool:
        if self.folder.has(stage):
            self.folder.stage(stage)  # still what was sealed
            # What these two did stands in the journal, if they were carried out from here.
            path = self.folder.chain_path / JOURNAL_NAME
            if stage == "open" and path.exists():
                read_journal(path)
            elif stage == "settle":
                SettlementDocument.read(self.folder).settled_journal(self.folder)
            return False
        # Imported late: a round with given values never loads torch.
        module = importlib.import_module(f"settlement.round.stages.{stage}")
        with parties_named(self._names()):
            module.carry_out(self._context)
        return True

    def _names(self) -> tuple[str, ...]:
        """Of the parties: agreed, once they are; before that, as configured."""
        agreed = self.folder.has("open")
        return self._context.terms.party_names if agreed else self._context.config.party_names

    def result(self, stage: str) -> Any:
        """The JSON document that a stage wrote."""
        return self.folder.read_json(stage, RESULTS[stage])

    def summary(self) -> str:
        """The report as readable text."""
        return (self.folder.stage("report") / REPORT_TEXT).read_text("utf-8")


def page_of(folder: Path) -> Path:
    """The page of a finished round, after checking the seal of its report.

    Raises
    ------
    StageMissing
        If the round is not finished.
    """
    return RoundFolder(folder).stage("report") / REPORT_HTML


def round_status(folder: Path) -> dict[str, Any]:
    """Name and finished stages of a round, and its summary if there is one; only reads."""
    store = RoundFolder(folder)
    store.require_config()
    try:
        name = tomllib.loads(store.config_path.read_text("utf-8"))["round"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        name = "(unreadable round.toml)"
    summary = None
    if store.has("report"):
        summary = (store.stage("report") / REPORT_TEXT).read_text("utf-8")
    stages = {stage: store.has(stage) for stage in STAGES}
    return {"folder": str(folder), "name": name, "stages": stages, "summary": summary}
