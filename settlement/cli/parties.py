"""Verbs that one party runs for itself: quote, deposit, close, sign, revoke, withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from settlement.cli.own import act, agree, as_call, own_settings, unasked
from settlement.cli.printing import (
    as_form,
    as_json,
    print_form,
    print_json,
    round_folder,
    rows_as_table,
)

if TYPE_CHECKING:
    from settlement.round.access import ChainAccess

__all__ = ["close", "deposit", "quote", "revoke", "sign", "withdraw"]

party_name = click.option("--party", "name", required=True, metavar="NAME", help="Who you are.")
payout_address = click.option(
    "--payout",
    metavar="ADDRESS",
    help="Where anybody may have you paid out afterwards; your own account if not given. "
    '"nowhere": you withdraw by yourself.',
)


@click.command()
@round_folder
@party_name
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="BUDGET",
    help='In units of value (0.2), in base units ("300000 units"), or "unlimited". Several: a '
    "table of them.",
)
@own_settings
@as_form
def quote(
    folder: Path, name: str, budgets: tuple[str, ...], access: ChainAccess, form: str
) -> None:
    """Show what a budget would buy and bring you, before you lock anything.

    The game is agreed before any money, so it only depends on what the others have locked so far.

    Example: fairround quote ROUND --party clinic-a --budget 0.1 --budget 0.2
    """
    from dataclasses import asdict

    from settlement.party.desk import party_desk
    from settlement.party.quote import quotes, quotes_text

    with party_desk(folder, name, access) as desk:
        found = quotes(desk, budgets)
        rows = [asdict(quote) for quote in found]
        text = quotes_text(found, desk.asset)
        print_form(form, rows, lambda _: text, lambda: rows_as_table("quotes", rows))


@click.command()
@round_folder
@party_name
@click.option(
    "--budget",
    metavar="BUDGET",
    help='In units of value (0.2), in base units ("300000 units"), or "unlimited": the most that '
    "you can owe in this game. Only you know it: it is never taken from the round's file.",
    required=True,
)
@click.option("--more", is_flag=True, help="You may deposit again; else this says you are done.")
@payout_address
@as_call
@own_settings
@unasked
@as_json
def deposit(
    folder: Path,
    name: str,
    budget: str,
    more: bool,
    payout: str | None,
    call: bool,
    access: ChainAccess,
    yes: bool,
    json_: bool,
) -> None:
    """Check the game in DIR and lock your budget: that is your consent to it.

    Needs the round's public files (round.toml, train/, open/), your key and your node. Keeps a copy
    of what you agreed to, from which you can settle and withdraw by yourself.

    Example: fairround deposit ROUND --party clinic-a --budget 0.2
    """
    from settlement.config.schema import parse_budget
    from settlement.party.desk import party_desk
    from settlement.party.funding import deposit as deposit_action

    wanted = parse_budget(budget)
    with party_desk(folder, name, access) as desk:
        to = _payout(payout, desk.address)
        act(
            desk,
            lambda desk: deposit_action(desk, wanted, to, last=not more),
            call=call,
            yes=yes,
            json_=json_,
        )


@click.command()
@round_folder
@party_name
@payout_address
@as_call
@own_settings
@unasked
@as_json
def close(
    folder: Path,
    name: str,
    payout: str | None,
    call: bool,
    access: ChainAccess,
    yes: bool,
    json_: bool,
) -> None:
    """Say that you will deposit no more, or nothing at all; that is final.

    When every party has said so, the round can be settled before its funding deadline.

    Example: fairround close ROUND --party clinic-a
    """
    from settlement.party.desk import party_desk
    from settlement.party.funding import close as close_action

    with party_desk(folder, name, access) as desk:
        to = _payout(payout, desk.address)
        act(desk, lambda desk: close_action(desk, to), call=call, yes=yes, json_=json_)


@click.command()
@round_folder
@party_name
@click.option(
    "--typed-data",
    is_flag=True,
    help="Print what is to be signed (EIP-712, JSON) for a wallet, instead of signing.",
)
@click.option("--signature", metavar="HEX", help="A wallet's signature of that, instead of yours.")
@own_settings
@unasked
@as_json
def sign(
    folder: Path,
    name: str,
    typed_data: bool,
    signature: str | None,
    access: ChainAccess,
    yes: bool,
    json_: bool,
) -> None:
    """Read the plan in words and sign it, in a round that is settled by signatures.

    The plan is worked out from the game that you agreed to and the deposits on the chain.

    Example: fairround sign ROUND --party clinic-a
    """
    from settlement.party.desk import party_desk
    from settlement.party.settling import sign as sign_action
    from settlement.party.settling import typed_data_to_sign

    with party_desk(folder, name, access) as desk:
        if typed_data:
            print_json(typed_data_to_sign(desk))
        else:
            agree(sign_action(desk, signature), yes, json_)


@click.command()
@round_folder
@party_name
@as_call
@own_settings
@unasked
@as_json
def revoke(
    folder: Path, name: str, call: bool, access: ChainAccess, yes: bool, json_: bool
) -> None:
    """Take back your signature of a plan that is not settled yet.

    Example: fairround revoke ROUND --party clinic-a
    """
    from settlement.party.desk import party_desk
    from settlement.party.settling import revoke as revoke_action

    with party_desk(folder, name, access) as desk:
        act(desk, revoke_action, call=call, yes=yes, json_=json_)


@click.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--party", "name", metavar="NAME", help="Who you are; with DIR.")
@click.option("--escrow", metavar="ADDRESS", help="Without DIR: the contract.")
@click.option("--round", "round_id", type=click.IntRange(min=1), help="Without DIR: its number.")
@click.option("--account", metavar="ADDRESS", help="Without DIR: yours, if you have several.")
@click.option("--to", "recipient", metavar="ADDRESS", help="Else your own account.")
@as_call
@own_settings
@unasked
@as_json
def withdraw(
    folder: Path | None,
    name: str | None,
    escrow: str | None,
    round_id: int | None,
    account: str | None,
    recipient: str | None,
    call: bool,
    access: ChainAccess,
    yes: bool,
    json_: bool,
) -> None:
    """Take your whole claim out of the escrow; nobody else is needed for it.

    After a settlement that is the deposit and what you paid or received. If the round expired or
    missed its quorum, it is the deposit. No folder is needed either: contract and number do.

    Example: fairround withdraw ROUND --party clinic-a

    Example: fairround withdraw --escrow 0x5FbDB2315678afecb367f032d93F642f64180aa3 --round 7
    """
    from settlement.party import leaving
    from settlement.party.desk import party_desk

    to = None if recipient is None else leaving.checked_address(recipient)
    if folder is not None and name is not None and escrow is None and round_id is None:
        with party_desk(folder, name, access) as desk:
            act(
                desk,
                lambda desk: leaving.withdraw(desk, to),
                call=call,
                yes=yes,
                json_=json_,
            )
    elif folder is None and name is None and escrow is not None and round_id is not None:
        contract = leaving.checked_address(escrow)
        own = None if account is None else leaving.checked_address(account)
        with leaving.desk_without_folder(access, contract, round_id, own) as bare:
            agree(bare.withdraw(to), yes, json_)
    else:
        raise click.UsageError("Give DIR and --party, or --escrow and --round without a folder.")


def _payout(wanted: str | None, own: str) -> str | None:
    """Where the party lets itself be paid out; its own account unless it says otherwise."""
    from settlement.party.leaving import checked_address

    if wanted is None:
        return own
    return None if wanted == "nowhere" else checked_address(wanted)
