"""What is the user's own on the command line: settings as flags, and being asked before a send."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from settlement.cli.own_code import allow_module
from settlement.cli.printing import ask_password, print_json

if TYPE_CHECKING:
    from settlement.party.desk import Action, PartyDesk
    from settlement.round.access import ChainAccess

__all__ = ["act", "agree", "as_call", "own_settings", "unasked"]

Verb = TypeVar("Verb", bound=Callable[..., Any])

_FLAGS = (
    click.option("--endpoint", metavar="URL", help="JSON-RPC address of your own node."),
    click.option("--keystore", metavar="DIR", help="Folder of your encrypted keys."),
    click.option("--max-fee-gwei", type=int, help="Most that a unit of gas may cost you."),
    click.option("--priority-fee-gwei", type=int, help="How much of it goes to block builders."),
    click.option("--confirmations", type=int, help="Blocks after which a transaction counts."),
)
_NAMES = ("endpoint", "keystore", "max_fee_gwei", "priority_fee_gwei", "confirmations")

unasked = click.option("--yes", is_flag=True, help="Do it without being asked.")


def own_settings(verb: Verb) -> Verb:
    """Give a verb the user's own way to a chain, as ``access``.

    A flag counts first, then the environment (``FAIRROUND_ENDPOINT`` and so on), then the user's
    ``config.toml``; nothing of it comes from a round's folder. A simulated chain reads none of it.
    """

    @functools.wraps(verb)
    def with_access(*arguments: Any, **options: Any) -> Any:
        flags = {name: options.pop(name) for name in _NAMES}
        return verb(*arguments, access=_access(flags), **options)

    wrapped: Any = allow_module(with_access)
    for option in reversed(_FLAGS):
        wrapped = option(wrapped)
    found: Verb = wrapped
    return found


def _access(flags: dict[str, Any]) -> ChainAccess:
    from settlement.config.settings import read_settings
    from settlement.round.access import ChainAccess

    return ChainAccess(lambda: read_settings(**flags), ask_password)


as_call = click.option(
    "--call", is_flag=True, help="Print the transaction for a wallet of yours, and send nothing."
)


def act(
    desk: PartyDesk,
    action_of: Callable[[PartyDesk], Action],
    *,
    call: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Carry out an action of a party's after asking, or print its transactions for a wallet."""
    if not call:
        agree(action_of(desk), yes, json_)
        return
    from settlement.party.wallets import calls_of

    words, calls = calls_of(desk, action_of)
    click.echo(words, err=True)
    print_json(calls)


def agree(action: Action, yes: bool, json_: bool) -> None:
    """Show in words what is about to happen, ask, do it, and print what came of it."""
    click.echo(action.words, err=True)
    if not yes and not click.confirm("Go on?", err=True):
        click.echo("nothing was done", err=True)
        raise click.exceptions.Exit(1)
    result, told = action.carry_out()
    if json_:
        print_json(result)
    else:
        click.echo(told)
