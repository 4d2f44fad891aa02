"""report: the summary as text and as JSON, and the page."""

from __future__ import annotations

from settlement.config.reading import read_config
from settlement.posting.check import prove
from settlement.report import (
    REPORT_HTML,
    REPORT_JSON,
    REPORT_TEXT,
    StoredRound,
    summarise,
    summary_text,
)
from settlement.report.page import page, page_data
from settlement.round.agreed import agreed_game
from settlement.round.context import RoundContext
from settlement.store.folder import SEAL, STAGES, RoundFolder, dump_json, sha256_of

__all__ = ["carry_out", "report_files"]


def carry_out(context: RoundContext) -> None:
    """Write the summary as text and as JSON, and the page."""
    with context.folder.write_stage("report", inputs=STAGES[:-1]) as folder:
        for name, content in report_files(context.folder).items():
            (folder / name).write_bytes(content)


def report_files(folder: RoundFolder) -> dict[str, bytes]:
    """Name and content of the report's files, the same whenever they are made again."""
    stored = StoredRound.read(folder)
    game = agreed_game(folder).posted
    rates = [party.rate for party in read_config(folder.config_path).parties]
    summary = summarise(stored, [None if rate is None else float(rate) for rate in rates])
    data = page_data(
        stored,
        seals={stage: sha256_of(folder.stage(stage) / SEAL) for stage in STAGES[:-1]},
        proof=None
        if game is None
        else prove(game, stored.allocation.deposits_units, stored.terms.exchange_rate),
    )
    return {
        REPORT_JSON: dump_json(summary),
        REPORT_TEXT: summary_text(summary).encode(),
        REPORT_HTML: page(data).encode(),
    }
