"""Programs of somebody's own that measure coalitions: asked over a pipe, a line of JSON at a time.

A program is started once a worker and kept. It reads a question a line,
``{"job": "5f0c...", "members": ["a", "b"], "seed": 0}``, and writes an answer a line,
``{"score": 0.91}``, with ``"model_sha256"`` if it keeps a model and ``"checkpoints"``, a list of
``{"score", "model_sha256"}`` in the order of training, if it keeps those. What it writes to its
standard error is only shown when it fails. It inherits no key, password or setting of fairround.

One question has one line: a second one would be taken for the answer to the next question, so it is
refused, and so is one that is written before the question has been read. A program that repeats the
``"job"`` in its answers cannot be misunderstood at all.

A program ends with the process that asks it, however that ends; see `leash`.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import selectors
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml.errors import MlError
from ml.reading import UnreadableFile, parse_json

__all__ = [
    "Answer",
    "Job",
    "Plugin",
    "PluginCrashed",
    "PluginError",
    "PluginHangs",
    "PluginSaysGarbage",
    "ask_plugin",
    "close_plugins",
]

LINE_BYTES = 2**20
"""Most that one answer may hold."""

LOOK_S = 1.0
"""How long to wait for an answer before looking whether the program still runs."""

LEASH = str(Path(__file__).with_name("leash.py"))

PASSED_ON = ("FAIRROUND_ALLOWED_MODULES", "FAIRROUND_MODULE_FOLDER")


class PluginError(MlError):
    """A program that measures coalitions gives no answer; what it answered before is kept."""


class PluginHangs(PluginError):
    """It did not answer in time."""


class PluginCrashed(PluginError):
    """It could not be started, or ended before it had answered."""


class PluginSaysGarbage(PluginError):
    """It wrote something that is no answer."""


@dataclass(frozen=True)
class Plugin:
    """How a program is started, how long it may think, how often it is asked again."""

    command: tuple[str, ...]
    folder: str  # where it runs
    timeout_s: float
    retries: int

    @property
    def name(self) -> str:
        """The command as one types it."""
        return shlex.join(self.command)


@dataclass(frozen=True)
class Job:
    """One question: the score of one coalition with one seed."""

    id: str
    coalition: int
    members: tuple[str, ...]
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """As programs and people read it."""
        return {"job": self.id, "members": list(self.members), "seed": self.seed}


@dataclass(frozen=True)
class Answer:
    """A score; hashes of the model, and of checkpoints of its training with their scores."""

    job: Job
    score: float
    model_sha256: str | None = None
    checkpoints: tuple[tuple[float, str], ...] = field(default=())


class _Process:
    """One program under way, and what it has written that is not yet read."""

    def __init__(self, plugin: Plugin) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self.unread = b""
        self.unwritten = b""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FAIRROUND_") or name in PASSED_ON
        }
        # Whoever holds `leash` keeps the program alive: this process, and no other.
        held, self.leash = os.pipe()
        refused, refuses = os.pipe()
        try:
            self.process = subprocess.Popen(
                (sys.executable, "-I", "-S", LEASH, str(held), str(refuses), *plugin.command),
                cwd=plugin.folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                start_new_session=True,  # its own children end with it
                pass_fds=(held, refuses),
            )
        except OSError as error:
            for descriptor in (self.leash, refused):
                os.close(descriptor)
            self.errors.close()
            raise PluginCrashed(f"{plugin.name} does not start: {error.strerror}.") from None
        finally:
            os.close(held)
            os.close(refuses)
        with open(refused, "rb") as stream:
            why = stream.read()  # ends when the program has started
        if self.process.stdin is not None:
            os.set_blocking(self.process.stdin.fileno(), False)
        if why:
            self.end()
            raise PluginCrashed(f"{plugin.name} does not start: {why.decode()}.")

    def ask(self, question: bytes, timeout_s: float) -> bytes | None:
        """The next line that it writes; None if none comes in time, empty if it ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            return b""
        self.unwritten = question
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            # A pipe holds little: writing to a program that does not read would wait for ever.
            selector.register(stdin, selectors.EVENT_WRITE)
            while b"\n" not in self.unread and len(self.unread) <= LINE_BYTES:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                # Asked before looking at the pipe, or its last words would be lost.
                ended = self.process.poll() is not None
                ready = selector.select(0 if ended else min(left_s, LOOK_S))
                if not ready and ended:  # a child of its own may keep the pipe open for ever
                    return b""
                for key, _ in ready:
                    if key.fileobj is stdin:
                        if not self._write(stdin.fileno()):
                            selector.unregister(stdin)
                        continue
                    piece = os.read(stdout.fileno(), 65536)
                    if not piece:
                        return b""
                    self.unread += piece
        line, _, self.unread = self.unread.partition(b"\n")
        return line + b"\n"

    def _write(self, descriptor: int) -> bool:
        """Write what fits of the question; whether more is to be written."""
        try:
            self.unwritten = self.unwritten[os.write(descriptor, self.unwritten) :]
        except BlockingIOError:
            pass
        except OSError:  # it has ended, or reads no more: its output tells
            return False
        return bool(self.unwritten)

    def has_read(self, question: bytes) -> bool:
        """Whether it has read anything of the question that it was asked last.

        A program may leave the end of a line for the next time, never all of it.
        """
        if self.unwritten or self.process.stdin is None:
            return False
        try:
            found = fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4))
        except OSError:  # a system that does not count what waits in a pipe
            return True
        return int(struct.unpack("i", found)[0]) < len(question)

    def left_over(self) -> bytes:
        """What it has written beyond the answers so far."""
        if (stdout := self.process.stdout) is not None and not self.unread:
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                if selector.select(0):
                    self.unread = os.read(stdout.fileno(), 65536)
        return self.unread

    def end(self) -> str:
        """End it and what it has started in its session; how it ended, with its last words.

        One that still runs has closed its output, or has not answered.
        """
        ended = "it closed its output"
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = f"exit code {self.process.wait(0.2)}"
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.leash)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        size = self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, size - 2000))
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        self.errors.close()
        return ended + (f", it said: {lines[-1]:.300}" if lines else "")


_running: dict[Plugin, _Process] = {}
"""The programs of this worker process."""


def ask_plugin(plugin: Plugin, job: Job) -> Iterator[Answer]:
    """Ask for one score; after a failure a new process is asked, as often as ``retries`` says.

    Raises
    ------
    PluginHangs, PluginCrashed, PluginSaysGarbage
        With what the last try came to.
    """
    for tries_left in range(plugin.retries, -1, -1):
        try:
            yield _ask_once(plugin, job)
            return
        except PluginError:
            close_plugins(plugin)
            if not tries_left:
                raise


def close_plugins(*plugins: Plugin) -> None:
    """End the programs of this process: these, or all."""
    for plugin in plugins or tuple(_running):
        if plugin in _running:
            _running.pop(plugin).end()


atexit.register(close_plugins)


def _ask_once(plugin: Plugin, job: Job) -> Answer:
    if plugin not in _running:
        _running[plugin] = _Process(plugin)
    process = _running[plugin]
    told = f"{plugin.name}, asked for {', '.join(job.members)} with seed {job.seed}, "
    _refuse_more(process, f"{plugin.name} had already answered, and ")
    question = json.dumps(job.as_dict()).encode() + b"\n"
    line = process.ask(question, plugin.timeout_s)
    unread = not process.has_read(question)  # looked at now, or it might be read meanwhile
    if line is None:
        raise PluginHangs(
            f"{told}did not answer within {plugin.timeout_s:g} s. Give it more time (timeout_s) "
            f"or mend it; what it answered before is kept."
        )
    if not line:
        found = _running.pop(plugin).end()
        raise PluginCrashed(f"{told}ended: {found}. What it answered before is kept.")
    try:
        answer = _answer(job, parse_json(line, "the answer"))
    except (UnreadableFile, UnicodeDecodeError, ValueError) as error:
        raise PluginSaysGarbage(
            f'{told}wrote {line.strip()!r:.80}; expected a line such as {{"score": 0.5}}: {error}'
        ) from None
    if unread:
        raise PluginSaysGarbage(
            f"{told}wrote {line.strip()!r:.80} before it had read the question; expected that it "
            f"reads a line from standard input, then writes one. Whatever else there is to say "
            f"belongs to standard error."
        )
    _refuse_more(process, f"{told}answered, and ")
    return answer


def _refuse_more(process: _Process, told: str) -> None:
    """No line may wait before a question: it would be taken for the answer."""
    if more := process.left_over():
        raise PluginSaysGarbage(
            f"{told}wrote {more.strip()!r:.80}; expected one line a question. Write whatever else "
            f"there is to say to standard error."
        )


def _answer(job: Job, content: Any) -> Answer:
    if not isinstance(content, Mapping):
        raise ValueError("it is no object.")
    if unknown := content.keys() - {"job", "score", "model_sha256", "checkpoints"}:
        raise ValueError(f"unknown key {min(unknown)!r}.")
    if content.get("job", job.id) != job.id:
        raise ValueError(f"it answers job {content['job']!r:.40}, asked was {job.id!r}.")
    checkpoints = content.get("checkpoints") or ()
    if not isinstance(checkpoints, (list, tuple)):
        raise ValueError("checkpoints are no list.")
    rungs = tuple((_score(rung), _sha256(rung.get("model_sha256"))) for rung in checkpoints)
    sha256 = content.get("model_sha256")
    return Answer(job, _score(content), None if sha256 is None else _sha256(sha256), rungs)


def _score(content: Any) -> float:
    score = content.get("score") if isinstance(content, Mapping) else None
    trouble = ValueError(f"score is {score!r:.40}, no finite number.")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise trouble
    # Compared, not converted: a whole number may be larger than any float.
    if not abs(score) <= sys.float_info.max:
        raise trouble
    return float(score)


def _sha256(text: Any) -> str:
    if not isinstance(text, str) or len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"model_sha256 is {text!r:.40}, not 64 hexadecimal digits.")
    return text
