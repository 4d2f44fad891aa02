"""Scores of models that are trained elsewhere: by a function, a program, or whoever tells them.

Every answer is in the round's book of answers before the next question is asked, so nothing is
asked twice, whatever is killed. A program or a function runs only where this user has allowed it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.engines.plugins import Answer, Job, Plugin, ask_plugin, close_plugins
from ml.engines.spec import make_engine
from ml.reading import VALUES_BYTES, read_json
from settlement.config.external import ExternalConfig
from settlement.config.reading import RoundConfig
from settlement.config.settings import read_settings
from settlement.errors import BrokenInvariant, SettlementError, Waiting
from settlement.round.measuring.measured import Measured, Provenance
from settlement.round.measuring.measured import Told as Progress
from settlement.store.answers import AnswerBook, Checkpoint, OtherAnswers, Told, told_of, who_told
from settlement.store.documents import ValueDocument
from settlement.store.folder import RoundFolder, dump_json, sha256_of
from settlement.store.score_range import to_value

__all__ = [
    "REPORTED_FILE",
    "AnswersMissing",
    "CommandNotAllowed",
    "ExternalScores",
    "external_of",
    "reported_answers",
]

REPORTED_FILE = "reported.json"
"""Every answer that the values rest on; its hash stands in the terms."""


class AnswersMissing(Waiting):
    """Scores are still to be told; ``jobs`` are the questions."""

    def __init__(self, jobs: Sequence[Job], n_asked: int) -> None:
        self.jobs = tuple(jobs)
        first = jobs[0]
        super().__init__(
            f"{len(jobs)} of {n_asked} scores that the round needs now are not told yet, that of "
            f"{', '.join(first.members)} with seed {first.seed} among them. `fairround ask DIR` "
            f"lists them, `fairround tell DIR FILE` takes them."
        )


class CommandNotAllowed(SettlementError):
    """A round names a program that this user has not allowed; it was not started."""


class ExternalScores:
    """Recalls scores from the book of answers, and asks the round's program for the others."""

    source = "external"

    def __init__(self, config: RoundConfig, book: AnswerBook) -> None:
        self._config = config
        self._external = external_of(config)
        self.book = book
        self.seeds = self._external.seeds
        self._plugin = _plugin(config, self._external)
        self._code = _code_digests(config, self._external)
        named = [config.name, config.party_names, self._external.score_range, self.measured_by]
        self._key = json.dumps([*named, self._code])
        self._require_own_answers()

    @property
    def measured_by(self) -> str:
        """Who is asked, in words; the terms repeat them, or say who told by hand."""
        if self._external.command is not None:
            return f"command: {shlex.join(self._external.command)}"
        if self._external.evaluate is not None:
            return f"function: {self._external.evaluate}"
        return "told by hand"

    def job(self, coalition: int, seed: int) -> Job:
        """The question for one coalition and seed; its number says which round asks it."""
        content = f"{self._key}\n{coalition:x}\n{seed}".encode()
        number = f"{coalition:x}-{seed}-{hashlib.sha256(content).hexdigest()[:16]}"
        names = self._config.party_names
        members = tuple(name for k, name in enumerate(names) if coalition >> k & 1)
        return Job(number, coalition, members, seed)

    @property
    def party_names(self) -> tuple[str, ...]:
        """Of the round, in its order."""
        return self._config.party_names

    def find(self, number: str) -> Job | None:
        """The question of that number, if this round asks it."""
        try:
            coalition, seed = int(number.split("-")[0], 16), int(number.split("-")[1])
        except (ValueError, IndexError):
            return None
        if not 0 < coalition < 2 ** len(self._config.parties) or seed not in self.seeds:
            return None
        job = self.job(coalition, seed)
        return job if job.id == number else None

    def measure(self, coalitions: Sequence[int], told: Progress) -> NDArray[np.float64]:
        """Values in [0, 1] of the scores of these coalitions.

        Raises
        ------
        AnswersMissing
            Where no program is named that could be asked.
        PluginError, ScoreOutOfRange
            If it gives no answer, or an impossible one; those before are in the book.
        """
        jobs = [self.job(coalition, seed) for coalition in coalitions for seed in self.seeds]
        open_ = [job for job in jobs if self.book.get(job.id) is None]
        done = len(jobs) - len(open_)
        told(done, len(jobs))
        if open_ and self._plugin is None:
            # What most depends on comes first: everybody together, then each party alone.
            open_.sort(key=lambda job: len(job.members) not in (1, len(self._config.parties)))
            raise AnswersMissing(open_, len(jobs))
        if self._plugin is not None and open_:
            engine = make_engine(self._config.engine)
            running = engine.run(ask_plugin, self._plugin, open_)
            try:
                for done, answer in enumerate(running, done + 1):  # noqa: B020
                    self._keep(answer)
                    told(done, len(jobs))
            finally:
                if close := getattr(running, "close", None):
                    close()
                close_plugins(self._plugin)
        return self._values(jobs).reshape(len(coalitions), len(self.seeds)).T

    def provenance(self, measured: Measured) -> Provenance:
        """Who measured with which code; every answer, with the hash of the file of answers."""
        answers = [
            told
            for coalition in measured.asked()
            for seed in self.seeds
            if (told := self.book.get(self.job(coalition, seed).id))
        ]
        reported = dump_json([told.model_dump(mode="json") for told in answers])
        basis = self.asked() | {"reported_sha256": hashlib.sha256(reported).hexdigest()}
        if self._external.told_by_hand:
            basis["measured_by"] = who_told(answers)
        return Provenance(None, basis, self._external.score_range, {REPORTED_FILE: reported})

    def asked(self) -> dict[str, Any]:
        """Who is asked, with which code, for scores in which range."""
        return {
            "measured_by": self.measured_by,
            "code_sha256": self._code,
            "score_range": list(self._external.score_range),
        }

    def check_score(self, job: Job, score: float) -> float:
        """The value of a score.

        Raises
        ------
        ScoreOutOfRange
        """
        what = f"{', '.join(job.members)} with seed {job.seed}"
        return to_value(score, self._external.score_range, what)

    def _keep(self, answer: Answer) -> None:
        for score, _ in ((answer.score, None), *answer.checkpoints):
            self.check_score(answer.job, score)
        rungs = [Checkpoint(score=s, model_sha256=sha256) for s, sha256 in answer.checkpoints]
        self.book.tell(
            [
                Told(
                    job=answer.job.id,
                    members=list(answer.job.members),
                    seed=answer.job.seed,
                    score=answer.score,
                    model_sha256=answer.model_sha256,
                    checkpoints=rungs,
                    by=self.measured_by,
                )
            ]
        )

    def _values(self, jobs: Iterable[Job]) -> NDArray[np.float64]:
        values = []
        for job in jobs:
            told = self.book.get(job.id)
            if told is None:
                raise BrokenInvariant(f"Job {job.id} was asked and has no answer.")
            values.append(self.check_score(job, told.score))
        return np.array(values, dtype=np.float64)

    def _require_own_answers(self) -> None:
        """Answers to other questions are not taken for answers to these, nor lost."""
        for number in self.book.jobs:
            if self.find(number) is None:
                raise OtherAnswers(
                    f"{self.book.path} holds answers to other questions (job {number}): name, "
                    f"parties, score_range, program or code of the round changed since. Bring that "
                    f"back, or move the file away to ask again."
                )


def reported_answers(folder: RoundFolder) -> list[Told]:
    """Every answer that the scores of a round rest on, in the order of its file.

    Raises
    ------
    OtherAnswers
        If the file holds something else.
    """
    place = f"{ValueDocument.STAGE}/{REPORTED_FILE}"
    rows = read_json(folder.stage(ValueDocument.STAGE) / REPORTED_FILE, VALUES_BYTES)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise OtherAnswers(f"{place} is no list of answers.")
    return [told_of(f"{place}, answer {number}", **row) for number, row in enumerate(rows, 1)]


def external_of(config: RoundConfig) -> ExternalConfig:
    """How scores are measured elsewhere, of a round in which they are."""
    if config.external is None:
        raise SettlementError(
            f"{config.folder} has no table [external]: its scores are not measured elsewhere, so "
            f"there is nothing to ask or tell."
        )
    return config.external


def _plugin(config: RoundConfig, external: ExternalConfig) -> Plugin | None:
    """The program to ask, if this user has allowed it."""
    settings = read_settings()
    if external.command is not None:
        typed = shlex.join(external.command)
        if typed not in settings.allowed_commands:
            raise CommandNotAllowed(
                f"The round starts the program {typed!r}, which you have not allowed; nothing of "
                f"it was run. If you trust it, give --allow-command {shlex.quote(typed)}."
            )
        command = external.command
    elif external.evaluate is not None:
        from ml.engines.own_code import allow_modules, function_of_own

        allow_modules(*settings.allowed_modules, folder=config.folder)
        function_of_own(external.evaluate, "Function")  # refused here, if it is not allowed
        command = (sys.executable, "-m", "ml.engines.answering", external.evaluate)
    else:
        return None
    folder = str(config.folder.resolve())
    return Plugin(command, folder, external.timeout_s, external.retries)


def _code_digests(config: RoundConfig, external: ExternalConfig) -> dict[str, str]:
    """SHA-256 of the function's file, or of each file that the command names."""
    if external.evaluate is not None:
        from ml.engines.own_code import code_digest

        return {external.evaluate: code_digest(external.evaluate)}
    files = [Path(config.folder, word) for word in external.command or ()]
    return {
        word: sha256_of(file)
        for word, file in zip(external.command or (), files, strict=True)
        if file.is_file()
    }
