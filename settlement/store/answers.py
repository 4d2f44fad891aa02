"""The scores that were told for a round: one line of JSON each, in ``answers.jsonl``.

A line is on the disk before the next question is asked; where several programs are asked at once,
as soon as it comes, and what was under way is asked again. A process that is killed while it writes
leaves a last line without its end, which is dropped: that answer is asked for again. Nothing is
ever changed in the file, and no job has two answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ml.reading import VALUES_BYTES, UnreadableFile, parse_json
from ml.schema import Table
from settlement.errors import SettlementError

__all__ = [
    "ANSWERS_FILE",
    "AnswerBook",
    "Checkpoint",
    "OtherAnswers",
    "Told",
    "TwoAnswers",
    "told_of",
    "who_told",
]

ANSWERS_FILE = "answers.jsonl"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TwoAnswers(SettlementError):
    """A second, different answer for a job that has one."""


class OtherAnswers(SettlementError):
    """The file of answers cannot be read, or belongs to other questions."""


class Checkpoint(Table):
    """A model on the way of the training: its score and hash."""

    score: float
    model_sha256: Sha256


class Told(Table):
    """One answer: which job, what was measured, by whom."""

    job: str
    members: list[str]
    seed: int
    score: float
    model_sha256: Sha256 | None = None
    checkpoints: list[Checkpoint] = Field(default_factory=list)
    by: str

    @property
    def said(self) -> tuple[object, ...]:
        """What was measured: two answers that differ in it cannot both be true."""
        return self.score, self.model_sha256, tuple(self.checkpoints)


def told_of(place: str, /, **fields: Any) -> Told:
    """An answer out of parts that somebody else wrote.

    Raises
    ------
    OtherAnswers
        Naming its ``place`` and the first part at fault.
    """
    try:
        return Told.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        first = error.errors()[0]
        part = ".".join(map(str, first["loc"]))
        raise OtherAnswers(f"{place}: {part}: {first['msg']}.") from None


def who_told(answers: Iterable[Told]) -> str:
    """Everybody whose answers these are, in words."""
    return f"told by {', '.join(sorted({told.by for told in answers}))}"


class AnswerBook:
    """The answers of one round, in its folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ANSWERS_FILE
        self._by_job: dict[str, Told] = {}
        self._length = 0
        if self.path.exists():
            self._read()

    def get(self, job: str) -> Told | None:
        """The answer for a job."""
        return self._by_job.get(job)

    @property
    def jobs(self) -> list[str]:
        """All jobs that have an answer, in the order in which they were told."""
        return list(self._by_job)

    def tell(self, answers: Iterable[Told]) -> int:
        """Write new answers down, all or none; how many were new.

        Raises
        ------
        TwoAnswers
            Before anything is written.
        """
        new: dict[str, Told] = {}
        for told in answers:
            known = self._by_job.get(told.job) or new.get(told.job)
            if known is None:
                new[told.job] = told
            elif known.said != told.said:
                raise TwoAnswers(
                    f"Job {told.job} ({', '.join(told.members)}; seed {told.seed}) has the answer "
                    f"{_words(known)}, told by {known.by}; now {told.by} says {_words(told)}. The "
                    f"first one stays."
                )
        if new:
            self._append(new.values())
            self._by_job |= new
        return len(new)

    def _append(self, answers: Iterable[Told]) -> None:
        lines = "".join(told.model_dump_json() + "\n" for told in answers).encode()
        try:
            with self.path.open("ab") as stream:
                stream.truncate(self._length)  # the half of a line that a killed process left
                stream.write(lines)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:  # such as a full disk: what was there stays
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self._length += len(lines)

    def _read(self) -> None:
        raw = self.path.read_bytes()
        if len(raw) > VALUES_BYTES:
            raise OtherAnswers(f"{self.path} holds more than {VALUES_BYTES:,} bytes.")
        self._length = raw.rfind(b"\n") + 1
        for number, line in enumerate(raw[: self._length].splitlines(), 1):
            try:
                told = Told.model_validate_json(json.dumps(parse_json(line, f"line {number}")))
            except (ValidationError, UnreadableFile, ValueError):
                raise OtherAnswers(
                    f"{self.path}, line {number}: {line!r:.80} is no answer. Restore the file."
                ) from None
            if told.job in self._by_job:
                raise OtherAnswers(f"{self.path}, line {number}: job {told.job} is there twice.")
            self._by_job[told.job] = told


def _words(told: Told) -> str:
    model = f" with model {told.model_sha256[:16]}..." if told.model_sha256 else ""
    rungs = f" and {len(told.checkpoints)} checkpoints" if told.checkpoints else ""
    return f"{told.score!r}{model}{rungs}"
