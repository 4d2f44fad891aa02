"""report: the readable summary of a settled round, and its page."""

from __future__ import annotations

from settlement.config.reading import RoundConfig
from settlement.report import (
    REPORT_HTML,
    REPORT_JSON,
    REPORT_TEXT,
    StoredRound,
    summarise,
    summary_text,
)
from settlement.report.page import page, page_data
from settlement.round.context import RoundContext
from settlement.round.plan import plan_of
from settlement.store.folder import SEAL, RoundFolder, dump_json, sha256_of

__all__ = ["carry_out", "report_files"]

STAGES = ("open", "train", "allocate", "reward", "settle")


def carry_out(context: RoundContext) -> None:
    """Write the summary as text and as JSON, and the page."""
    with context.folder.write_stage("report", inputs=STAGES) as folder:
        for name, content in report_files(context.folder, context.config).items():
            (folder / name).write_bytes(content)


def report_files(folder: RoundFolder, config: RoundConfig) -> dict[str, bytes]:
    """Name and content of the report's files, the same whenever they are made again."""
    stored = StoredRound.read(folder)
    summary = summarise(stored)
    data = page_data(
        stored,
        seals={stage: sha256_of(folder.stage(stage) / SEAL) for stage in STAGES},
        wanted=config.caps,
        journal=stored.settlement.settled_journal(folder),
        posting=plan_of(folder, config).posting,
    )
    return {
        REPORT_JSON: dump_json(summary),
        REPORT_TEXT: summary_text(summary).encode(),
        REPORT_HTML: page(data).encode(),
    }
