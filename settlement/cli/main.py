"""The command `fairround`. Heavy packages load inside the verbs that need them."""

from __future__ import annotations

import difflib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from ml.errors import FairroundError
from settlement.cli.calculators import calculate, estimate, sweep
from settlement.cli.data import ask, check, data, tell
from settlement.cli.keys import keys
from settlement.cli.machine import completion, config, doctor
from settlement.cli.models import cache, predict
from settlement.cli.packages import collect, pack
from settlement.cli.parties import close, deposit, quote, revoke, sign, withdraw
from settlement.cli.printing import add_volume
from settlement.cli.reading import list_rounds, show, status, verify
from settlement.cli.simulation import attack, replay, simulate
from settlement.cli.verbs import allocate, init, open_, plot, report, reward, run, settle, train
from settlement.errors import Waiting

__all__ = ["fairround", "main"]

EXTRA_OF = {"torch": "train", "sklearn": "train", "safetensors": "train"}
"""Packages that `pip install fairround` does not bring, and the extra that brings each. What needs
others says so itself."""


class InOrder(click.Group):
    """Lists the verbs in the order of a round instead of the alphabet's."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names in the order in which they were added."""
        return list(self.commands)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is meant; a mistyped one is answered with the nearest."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            if near := difflib.get_close_matches(arguments[0], self.commands, 1):
                told = f"{error.message} Did you mean `{near[0]}`?"
                raise click.UsageError(told, context) from None
            raise


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fairround")
def fairround() -> None:
    """Collaboration rounds that pay every party its Shapley-fair share, settled in an escrow.

    A round is one folder. `init` writes its configuration and `run` carries it out: train, open,
    allocate, settle, reward, report. Each stage is a verb of its own too, reads the last stage's
    files, and does nothing the second time.
    """


for verb in (
    init,
    check,
    data,
    run,
    train,
    ask,
    tell,
    open_,
    allocate,
    settle,
    reward,
    report,
    status,
    show,
    plot,
    verify,
    list_rounds,
    quote,
    deposit,
    close,
    sign,
    revoke,
    withdraw,
    pack,
    collect,
    predict,
    calculate,
    sweep,
    estimate,
    cache,
    simulate,
    replay,
    attack,
    keys,
    config,
    doctor,
    completion,
):
    fairround.add_command(verb)
add_volume(fairround)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 0 done, 1 a named error, 2 wrong usage, 3 waiting for others.

    A command that is ended by a signal keeps what it has done and exits as shells do: 128 and the
    signal's number.
    """
    _prepare_streams()
    terminated: list[int] = []
    try:
        with _interrupted_by_sigterm(terminated):
            code = fairround.main(arguments, prog_name="fairround", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to go on", err=True)
        sys.exit(128 + (signal.SIGTERM if terminated else signal.SIGINT))
    except Waiting as error:
        _tell("waiting", error)
        sys.exit(3)
    except FairroundError as error:
        _tell("error", error)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        command = f"pip install 'fairround[{EXTRA_OF[package]}]'"
        click.echo(f"error: This needs {package}, which is not installed: {command}", err=True)
        sys.exit(1)
    except OSError as error:  # no permission, a full disk: trouble of the machine, no bug
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {place}{error.strerror or error}", err=True)
        sys.exit(1)
    else:
        sys.exit(code)  # a verb that only reports trouble, such as `verify`, gives its own


@contextmanager
def _interrupted_by_sigterm(received: list[int]) -> Iterator[None]:
    """Make SIGTERM end a command as Ctrl-C does, with everything that this cleans up.

    The signal is added to ``received``.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever asks again does not want to wait
        received.append(number)
        raise KeyboardInterrupt

    # A caller that handles it or ignores it goes on to do so; only a main thread may choose.
    chosen = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if chosen and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    else:
        yield


def _tell(what: str, error: Exception) -> None:
    """Print an error; files of others are quoted in it, and none may steer the terminal."""
    for line in str(error).splitlines():
        shown = "".join(sign if sign.isprintable() else "?" for sign in line)
        click.echo(f"{what}: {shown}", err=True)


def _prepare_streams() -> None:
    """Open what the caller closed, so that no file of a round gets the number of a stream."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no error
            stream.reconfigure(errors="backslashreplace")
