"""The flag by which a user lets a round load code of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["allow_module"]

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
