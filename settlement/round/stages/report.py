"""report: the readable summary of a settled round."""

from __future__ import annotations

from settlement.report import REPORT_JSON, REPORT_TEXT, StoredRound, summarise, summary_text
from settlement.round.context import RoundContext
from settlement.store.folder import STAGES, dump_json

__all__ = ["carry_out"]


def carry_out(context: RoundContext) -> None:
    """Write the summary as text and as JSON."""
    with context.folder.write_stage("report", inputs=STAGES[:-1]) as folder:
        summary = summarise(StoredRound.read(context.folder))
        (folder / REPORT_JSON).write_bytes(dump_json(summary))
        (folder / REPORT_TEXT).write_text(summary_text(summary), encoding="utf-8")
