"""A round from configuration to report: the stages in order, each carried out once."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

from ml.reading import VALUES_BYTES, UnreadableFile, read_text, read_toml
from settlement.chain.journal import JOURNAL_NAME, read_journal
from settlement.config.settings import read_settings
from settlement.errors import SettlementError
from settlement.naming import parties_named
from settlement.report import REPORT_HTML, REPORT_JSON, REPORT_TEXT
from settlement.round.access import ChainAccess
from settlement.round.context import Progress, RoundContext
from settlement.round.words import printable
from settlement.store.documents import (
    AllocationDocument,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)
from settlement.store.folder import STAGES, RoundFolder

__all__ = ["PandasMissing", "Round", "page_of", "round_status"]

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


CONFIGURED = ("train", "open", "reward", "report")
"""Stages that read the configuration; `allocate` and `settle` follow from public files."""


class PandasMissing(SettlementError):
    """A table for pandas is wanted, which is not installed."""


class Round:
    """One round in its folder.

    Every stage is complete or absent, so a round that was killed at any moment goes on with
    the first stage that is absent. What a half-done stage had sent to the chain stands in the
    chain's journal and is not sent again; what it had trained stands in the cache.

    Parameters
    ----------
    folder
        With a ``round.toml``, as ``fairround init`` writes it.
    access
        The way to the chain; None: as the user's own settings say.
    progress
        Called with a stage, the steps done and all of them.
    sender
        Address of the account that pays for gas; None: the operator's.
    """

    def __init__(
        self,
        folder: Path | str,
        access: ChainAccess | None = None,
        progress: Progress = lambda stage, done, total: None,
        sender: str | None = None,
    ) -> None:
        self.folder = RoundFolder(Path(folder))
        self.folder.require_config()
        self._context = RoundContext(
            self.folder, access or ChainAccess(read_settings), progress, sender
        )

    def __repr__(self) -> str:
        """The folder, and how far the round in it is."""
        done = [stage for stage in STAGES if self.folder.has(stage)]
        return f"Round({str(self.folder.path)!r}, {done[-1] if done else 'new'})"

    def run(self) -> None:
        """Carry out all stages that are not done yet."""
        self._check_config(*STAGES)
        with self._lock(*STAGES):
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
        with self._lock(stage):
            return self._carry_out(stage)

    def _lock(self, *stages: str) -> contextlib.AbstractContextManager[None]:
        """The folder's lock; none if all is done, so that a folder nobody may write can be read."""
        if all(self.folder.has(stage) for stage in stages):
            return contextlib.nullcontext()
        return self.folder.lock()

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

    def to_frame(self) -> Any:
        """What each party brought, paid and received, as a pandas table with a row a party.

        Raises
        ------
        StageMissing
            If the round has no report yet.
        PandasMissing
            If pandas is not installed.
        """
        parties = self.result("report")["parties"]
        try:
            import pandas
        except ModuleNotFoundError:
            raise PandasMissing("A table for pandas needs it: pip install pandas.") from None
        return pandas.DataFrame(parties).set_index("name")

    def summary(self) -> str:
        """The report as readable text."""
        return _summary_of(self.folder)


def _summary_of(store: RoundFolder) -> str:
    """The report's text; of a folder that may be anybody's, so nothing in it steers a terminal."""
    text = read_text(store.stage("report") / REPORT_TEXT, VALUES_BYTES)
    return "\n".join(printable(line) for line in text.split("\n"))


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
        read = read_toml(store.config_path, limit_bytes=VALUES_BYTES)[1]["round"]["name"]
        name = printable(str(read))  # of a file that may be anybody's
    except (UnreadableFile, KeyError, TypeError):
        name = "(unreadable round.toml)"
    summary = None
    if store.has("report"):
        summary = _summary_of(store)
    stages = {stage: store.has(stage) for stage in STAGES}
    return {"folder": str(folder), "name": name, "stages": stages, "summary": summary}
