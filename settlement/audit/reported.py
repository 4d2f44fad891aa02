"""Scores that were told: the values follow from the file of answers that the terms name."""

from __future__ import annotations

from settlement.audit.comparing import close, same
from settlement.audit.findings import AuditError
from settlement.config.reading import read_config
from settlement.round.measuring.entitled import entitled
from settlement.round.measuring.external import REPORTED_FILE, external_of, reported_answers
from settlement.store.answers import who_told
from settlement.store.documents import AllocationDocument, RewardDocument, ValueDocument
from settlement.store.folder import RoundFolder, sha256_of
from settlement.store.score_range import to_value

__all__ = ["check_entitled", "check_reported"]


def check_reported(folder: RoundFolder) -> None:
    """Each score of the table is the one that was told, mapped from the round's range."""
    stored = ValueDocument.read(folder)
    external = external_of(read_config(folder.config_path))
    same(stored, "score_range", list(external.score_range))
    path = folder.stage(stored.STAGE) / REPORTED_FILE
    found = sha256_of(path)
    if found != (stored.basis or {}).get("reported_sha256"):
        raise AuditError(f"{stored.STAGE}/{REPORTED_FILE} has SHA-256 {found}; not that agreed on.")
    place, answers = f"{stored.STAGE}/{REPORTED_FILE}", reported_answers(folder)
    named = (stored.basis or {}).get("measured_by")
    if external.told_by_hand and named != who_told(answers):
        raise AuditError(f"{place}: {who_told(answers)}; {named!r} was agreed on.")
    values: dict[tuple[int, int], float] = {}
    for told in answers:
        coalition = sum(1 << stored.parties.index(name) for name in told.members)
        what = f"{place}: {', '.join(told.members)} with seed {told.seed}"
        values[coalition, told.seed] = to_value(told.score, external.score_range, what)
    coalitions = stored.coalitions or range(2 ** len(stored.parties))
    close(
        stored,
        "scores",
        [[values[c, seed] if c else 0.0 for c in coalitions] for seed in external.seeds],
    )


def check_entitled(folder: RoundFolder) -> None:
    """What each party may have follows from its model value and the checkpoints."""
    stored = RewardDocument.read(folder)
    again = entitled(folder, ValueDocument.read(folder), AllocationDocument.read(folder))
    same(stored, "brackets", again.brackets)
    same(stored, "rewards", [])
