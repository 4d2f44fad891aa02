"""Ask and tell: which scores a round needs next, and answers from a file."""

from __future__ import annotations

import csv
import io
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.engines.plugins import Job
from ml.reading import VALUES_BYTES, read_json, read_text
from settlement.config.reading import RoundConfig, read_config
from settlement.errors import SettlementError
from settlement.round.measuring.external import AnswersMissing, ExternalScores, external_of
from settlement.round.measuring.measured import measure_round
from settlement.store.answers import AnswerBook, Told, told_of
from settlement.store.folder import RoundFolder
from settlement.store.score_range import ScoreOutOfRange

__all__ = [
    "NotTold",
    "UnknownJob",
    "WrongAnswer",
    "answers_in",
    "question_lines",
    "questions",
    "questions_text",
    "require_told_by_hand",
    "tell",
    "told_text",
]

KEYS = frozenset({"job", "members", "seed", "score", "model_sha256", "checkpoints"})

LONGEST_NAME = 64
"""Of whoever tells: the terms repeat it."""


class NotTold(SettlementError):
    """The round asks a function or a program; nobody else is asked."""


class UnknownJob(SettlementError):
    """An answer to a question that this round does not ask."""


class WrongAnswer(SettlementError):
    """An answer that cannot be read."""


def questions(path: Path, count: int) -> dict[str, Any]:
    """At most ``count`` of the questions that are open now, and how many are."""
    folder, config, scores = _open(path)
    jobs: tuple[Job, ...] = ()
    if not folder.has("train"):
        try:
            measure_round(config, scores, lambda stage, done, total: None)
        except AnswersMissing as missing:
            jobs = missing.jobs
    return {"open": len(jobs), "jobs": [job.as_dict() for job in jobs[:count]]}


def question_lines(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Questions as text, a line each: job, seed, members."""
    return [f"{job['job']}  seed {job['seed']}  {'/'.join(job['members'])}" for job in jobs]


def questions_text(found: Mapping[str, Any]) -> str:
    """The questions, a line each: job, seed, members."""
    if not found["jobs"]:
        return "Nothing is to be told; `fairround run` goes on.\n"
    lines = question_lines(found["jobs"])
    return "\n".join([*lines, f"{len(lines)} of {found['open']} open questions"]) + "\n"


def tell(path: Path, file: Path, by: str) -> dict[str, Any]:
    """Take all answers of a CSV or JSON file, or none.

    Raises
    ------
    UnknownJob, WrongAnswer, ScoreOutOfRange, TwoAnswers
        Naming the first row at fault; nothing was written then.
    """
    folder = RoundFolder(path)
    folder.require_config()
    if not 0 < len(by) <= LONGEST_NAME or not by.isprintable():
        raise WrongAnswer(
            f"Who tells is {by!r:.80}; expected 1 to {LONGEST_NAME} characters that print."
        )
    with folder.lock():
        _, _, scores = _open(path)
        if folder.has("train"):
            raise NotTold(
                f"{path} has all its values already; nothing can be told any more. `fairround "
                f"verify {path} --again FILE` compares a second measurement with them."
            )
        told = answers_in(file, scores, by)
        new = scores.book.tell(told)
    return {"told": len(told), "new": new, "open": questions(path, 1)["open"]}


def answers_in(file: Path, scores: ExternalScores, by: str) -> list[Told]:
    """All answers of a CSV or JSON file, each to a question of the round.

    Raises
    ------
    UnknownJob, WrongAnswer, ScoreOutOfRange
        Naming the first row at fault; or if there is none.
    """
    found = _rows(file)
    if not found:
        raise WrongAnswer(
            f"{file} holds no answers; expected rows with members, seed and score, or job and "
            f"score."
        )
    rows = enumerate(found, 1)
    return [_told(row, f"{file}, answer {number}", scores, by) for number, row in rows]


def require_told_by_hand(config: RoundConfig) -> None:
    """Refuse a round whose scores a function or a program measures.

    Raises
    ------
    NotTold
    """
    external = external_of(config)
    if not external.told_by_hand:
        asked = external.evaluate or shlex.join(external.command or ())
        raise NotTold(f"{config.folder} asks {asked}; run `fairround run`.")


def told_text(found: Mapping[str, Any]) -> str:
    """How many answers there were, and how many questions are left."""
    again = found["told"] - found["new"]
    known = f", {again} known before" if again else ""
    return f"{found['new']} new answers{known}; {found['open']} open questions\n"


def _open(path: Path) -> tuple[RoundFolder, RoundConfig, ExternalScores]:
    folder = RoundFolder(path)
    folder.require_config()
    config = read_config(folder.config_path)
    require_told_by_hand(config)
    return folder, config, ExternalScores(config, AnswerBook(path))


def _rows(file: Path) -> list[Mapping[str, Any]]:
    """The answers of a file, as they stand there."""
    if file.suffix == ".json":
        content = read_json(file, VALUES_BYTES)
        rows = content if isinstance(content, list) else [content]
    else:
        rows = _csv_rows(file)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or (unknown := {str(key) for key in row} - KEYS):
            named = f"unknown {min(unknown)!r}" if isinstance(row, Mapping) else "no object"
            raise WrongAnswer(
                f"{file}, answer {number}: {named}; expected {', '.join(sorted(KEYS))}."
            )
    return rows


def _csv_rows(file: Path) -> list[Mapping[str, Any]]:
    """The rows of a CSV file; empty cells are left out, members are split at each slash."""
    text = io.StringIO(read_text(file, VALUES_BYTES), newline=None)
    reader = csv.DictReader(text, skipinitialspace=True, strict=True)
    try:
        columns = [*(reader.fieldnames or ())]
        rows = [{key: text for key, text in row.items() if text != ""} for row in reader]
    except csv.Error as error:
        raise WrongAnswer(f"{file}: no CSV: {error}.") from None
    for column in columns:
        if columns.count(column) > 1:
            raise WrongAnswer(f"{file}: the column {column!r:.80} is there twice.")
    for row in rows:
        if "members" in row:
            row["members"] = [name.strip() for name in str(row["members"]).split("/")]
    return [*rows]


def _told(row: Mapping[str, Any], place: str, scores: ExternalScores, by: str) -> Told:
    job = _job(row, place, scores)
    told = told_of(
        place,
        job=job.id,
        members=list(job.members),
        seed=job.seed,
        score=_number(row.get("score"), f"{place}: score"),
        model_sha256=row.get("model_sha256"),
        checkpoints=row.get("checkpoints") or [],
        by=by,
    )
    for score in (told.score, *(rung.score for rung in told.checkpoints)):
        try:
            scores.check_score(job, score)
        except ScoreOutOfRange as error:
            raise ScoreOutOfRange(f"{place}: {error}") from None
    return told


def _job(row: Mapping[str, Any], place: str, scores: ExternalScores) -> Job:
    """The question that an answer names by its number, or by members and seed."""
    if "members" in row:
        members = row["members"]
        names = scores.party_names
        if (
            not isinstance(members, list)
            or not members
            or len(set(map(str, members))) < len(members)
        ):
            raise WrongAnswer(f"{place}: members are {members!r:.80}; expected names, each once.")
        for name in members:
            if name not in names:
                raise UnknownJob(f"{place}: {name!r} is no party; expected of {', '.join(names)}.")
        seed = _seed(row, scores.seeds[0], place)
        if seed not in scores.seeds:
            expected = ", ".join(map(str, scores.seeds))
            raise UnknownJob(f"{place}: seed {seed} is none of the round's: {expected}.")
        job = scores.job(sum(1 << names.index(name) for name in members), seed)
        if row.get("job", job.id) == job.id:
            return job
    elif (found := scores.find(str(row.get("job")))) is not None and (
        found.seed == _seed(row, found.seed, place)
    ):
        return found
    raise UnknownJob(
        f"{place}: job {row.get('job')!r:.40} is no question of this round, or of other members or "
        f"another seed. Take job, members and seed from `fairround ask`."
    )


def _seed(row: Mapping[str, Any], default: int, place: str) -> int:
    """The seed that an answer names. Not by way of a float, which has no digits beyond 2**53."""
    told = row.get("seed", default)
    try:
        if isinstance(told, bool):
            raise ValueError
        number = int(told)
        is_whole = isinstance(told, str) or number == told
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise WrongAnswer(f"{place}: seed is {told!r:.40}; expected a whole number.")
    return number


def _number(value: Any, place: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise WrongAnswer(f"{place} is {value!r:.40}; expected a finite number.")
    return number
