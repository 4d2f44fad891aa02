"""The flags by which a user lets a round load code of its own, or start a program."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["allow_command", "allow_module"]

Verb = TypeVar("Verb", bound=Callable[..., Any])

_flag = click.option(
    "--allow-module",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Let the round load code of this module (networks, scores); else none but ours.",
)


def allow_module(verb: Verb) -> Verb:
    """Give a verb of a round the flag ``--allow-module``, and what the user's settings allow.

    Such a module is looked for in the round's folder too. No round's file allows any.
    """

    @functools.wraps(verb)
    def with_code(*arguments: Any, allowed: tuple[str, ...], **options: Any) -> Any:
        from settlement.config.settings import read_settings

        names = read_settings(allowed_modules=list(allowed) or None).allowed_modules
        if names:
            from ml.training import allow_modules

            folder: Path | None = options.get("folder")
            allow_modules(*names, folder=folder)
        return verb(*arguments, **options)

    found: Verb = _flag(with_code)  # type: ignore[assignment]
    return found


def allow_command(verb: Verb) -> Verb:
    """Give a verb that measures coalitions the flag ``--allow-command``.

    A round's file names a program; only the user of this process starts it.
    """

    @functools.wraps(verb)
    def with_commands(*arguments: Any, commands: tuple[str, ...], **options: Any) -> Any:
        if commands:
            from settlement.config.settings import environment_name, read_settings

            allowed = read_settings(allowed_commands=list(commands)).allowed_commands
            os.environ[environment_name("allowed_commands")] = "\n".join(allowed)
        return verb(*arguments, **options)

    found: Verb = click.option(
        "--allow-command",
        "commands",
        multiple=True,
        metavar="COMMAND",
        help="Let the round start this program to measure coalitions, written as in a shell.",
    )(with_commands)  # type: ignore[assignment]
    return found
