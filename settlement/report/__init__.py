"""Readable results, made from stored files alone."""

from settlement.report.summary import (
    REPORT_HTML,
    REPORT_JSON,
    REPORT_TEXT,
    StoredRound,
    summarise,
    summary_tables,
    summary_text,
)

__all__ = [
    "REPORT_HTML",
    "REPORT_JSON",
    "REPORT_TEXT",
    "StoredRound",
    "summarise",
    "summary_tables",
    "summary_text",
]
