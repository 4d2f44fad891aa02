"""A round from configuration to report: the stages in order, each carried out once."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

from settlement.chain.journal import JOURNAL_NAME, read_journal
from settlement.chain.keys import AskPassword
from settlement.config.reading import read_config
from settlement.naming import parties_named
from settlement.report import REPORT_HTML, REPORT_JSON, REPORT_TEXT
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
        OpenedRound,
        ValueDocument,
        AllocationDocument,
        RewardDocument,
        SettlementDocument,
    )
} | {"report": REPORT_JSON}


class Round:
    """One round in its folder.

    Every stage is complete or absent, so a round that was killed at any moment goes on with
    the first stage that is absent. What a half-done stage had sent to the chain stands in the
    chain's journal and is not sent again; what it had trained stands in the cache.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress = lambda stage, done, total: None,
        ask_password: AskPassword | None = None,
    ) -> None:
        self.folder = RoundFolder(folder)
        self.folder.require_config()
        config = read_config(self.folder.config_path)
        self._context = RoundContext(self.folder, config, progress, ask_password)

    def run(self) -> None:
        """Carry out all stages that are not done yet."""
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
        with self.folder.lock():
            return self._carry_out(stage)

    def _carry_out(self, stage: str) -> bool:
        if self.folder.has(stage):
            self.folder.stage(stage)  # still what was sealed
            # What these two did stands in the journal.
            if stage == "open":
                read_journal(self.folder.chain_path / JOURNAL_NAME)
            elif stage == "settle":
                SettlementDocument.read(self.folder).settled_journal(self.folder)
            return False
        # Imported late: a round with given values never loads torch.
        module = importlib.import_module(f"settlement.round.stages.{stage}")
        with parties_named(self._context.config.party_names):
            module.carry_out(self._context)
        return True

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
