"""Scores that people told, measured a second time by whoever doubts them.

Nobody here can ask people again. So the coalitions are drawn here, somebody measures them wherever
the data are, and the answers are compared with those that the terms name. Who measures must not be
who told first: whoever lied once can tell the same again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from settlement.audit.drawing import (
    RetrainingError,
    always_again,
    chances_in_words,
    draw_again,
    others_of,
)
from settlement.audit.findings import TOLERANCE_SCORE, Finding
from settlement.config.reading import read_config
from settlement.round.measuring.asking import answers_in, question_lines, require_told_by_hand
from settlement.round.measuring.external import REPORTED_FILE, ExternalScores, reported_answers
from settlement.store.answers import AnswerBook
from settlement.store.documents import ValueDocument
from settlement.store.folder import RoundFolder

__all__ = ["compare_told", "questions_again", "questions_again_text"]


def questions_again(path: Path, n_coalitions: int, seed: int | None = None) -> dict[str, Any]:
    """Questions of a told round that somebody else is to answer, drawn anew each time.

    Raises
    ------
    NotTold
        If a function or program measured; that can be asked again here.
    RetrainingError
        If the values are not all told yet, or fewer coalitions were measured.
    """
    folder, scores = _open(path)
    drawn = draw_again(ValueDocument.read(folder), n_coalitions, seed)
    jobs = [scores.job(coalition, number) for coalition in drawn for number in scores.seeds]
    return {"again": len(jobs), "jobs": [job.as_dict() for job in jobs]}


def questions_again_text(found: Mapping[str, Any]) -> str:
    """The questions, a line each: job, seed, members."""
    lines = question_lines(found["jobs"])
    told = f"{len(lines)} questions again; compare answers with `fairround verify DIR --again FILE`"
    return "\n".join([*lines, told]) + "\n"


def compare_told(path: Path, file: Path, tolerance: float = TOLERANCE_SCORE) -> Finding:
    """Compare the answers of a file with those that the round rests on.

    Parameters
    ----------
    file
        Of the form that `fairround tell` takes.
    tolerance
        How far two scores of one question may be apart, as a share of the range of scores.

    Raises
    ------
    UnknownJob, WrongAnswer, ScoreOutOfRange
        If the file holds something else.
    RetrainingError
        If it holds no answer, or one to what was not measured for the round.
    """
    folder, scores = _open(path)
    stored = ValueDocument.read(folder)
    first = {told.job: told for told in reported_answers(folder)}
    again = answers_in(file, scores, "whoever measured again")
    if not again:
        raise RetrainingError(
            f"{file} holds no answers; expected those to `fairround ask --again`."
        )
    coalitions: set[int] = set()
    furthest, wrong = 0.0, []
    for told in again:
        job = scores.find(told.job)
        if job is None or job.id not in first:
            raise RetrainingError(
                f"{file}: {', '.join(told.members)} with seed {told.seed} was not measured for "
                f"this round. Take the questions from `fairround ask DIR --again K`."
            )
        coalitions.add(job.coalition)
        known = first[job.id]
        difference = abs(scores.check_score(job, told.score) - scores.check_score(job, known.score))
        furthest = max(furthest, difference)
        if not difference <= tolerance:
            wrong.append(
                f"{', '.join(job.members)} with seed {job.seed} scores {told.score:g}, not "
                f"{known.score:g} as {known.by} told"
            )
    return Finding(
        _what(stored, coalitions, furthest),
        f"{stored.STAGE}/{REPORTED_FILE}: {'; '.join(wrong)}" if wrong else None,
    )


def _what(stored: ValueDocument, coalitions: set[int], furthest: float) -> str:
    """What was compared, and what that shows."""
    always, others = always_again(stored), others_of(stored)
    n_others, n_drawn = len(others), len(coalitions.intersection(others))
    return (
        f"{len(coalitions)} of {len(always) + n_others} coalitions told again "
        f"({len(coalitions) - n_drawn} of the {len(always)} that are all parties together or one "
        f"alone, {n_drawn} of the {n_others} others), scores within {furthest:.4f} of the range "
        f"(chance to find a forged one of the others, had they been drawn here, if "
        f"{chances_in_words(n_others, n_drawn)})"
    )


def _open(path: Path) -> tuple[RoundFolder, ExternalScores]:
    """The round and its questions, with no answer recalled."""
    folder = RoundFolder(path)
    folder.require_config()
    config = read_config(folder.config_path)
    require_told_by_hand(config)
    if not folder.has("train"):
        raise RetrainingError(f"{path} has not all its values yet; `fairround run` says which.")
    with tempfile.TemporaryDirectory() as empty:
        return folder, ExternalScores(config, AnswerBook(Path(empty)))
