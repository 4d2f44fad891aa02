"""Verbs that one party runs for itself: deposit, sign, challenge, withdraw."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.printing import as_json, ask_password, print_json, round_folder

__all__ = ["challenge", "deposit", "sign", "withdraw"]

party_name = click.option("--party", "name", required=True, metavar="NAME", help="Who you are.")


@click.command()
@round_folder
@party_name
@as_json
def deposit(folder: Path, name: str, json_: bool) -> None:
    """Lock your budget in a round that the operator has opened.

    DIR is a copy of the operator's folder. The terms that you agree to are worked out from its
    configuration and data again; a round with other terms is refused.
    """
    from settlement.party import PartyDesk

    units = PartyDesk.of(folder, name, ask_password).deposit()
    if json_:
        print_json({"party": name, "deposited_units": units})
    else:
        click.echo(f"{name} locked {units:,} base units")


@click.command()
@round_folder
@party_name
@click.option("--yes", is_flag=True, help="Sign without being asked.")
@as_json
def sign(folder: Path, name: str, yes: bool, json_: bool) -> None:
    """Read the plan in words and sign it.

    The settlement goes through once every party has signed.
    """
    from settlement.party import PartyDesk

    desk = PartyDesk.of(folder, name, ask_password)
    click.echo(desk.plan_in_words(), err=True)
    if not yes and not click.confirm("Sign this?", err=True):
        click.echo("not signed", err=True)
        raise click.exceptions.Exit(1)
    path = folder / desk.sign()
    if json_:
        print_json({"party": name, "signature": str(path)})
    else:
        click.echo(f"signed: {path}")


@click.command()
@round_folder
@party_name
@click.option("--to", "recipient", metavar="ADDRESS", help="Else the party's own account.")
@as_json
def withdraw(folder: Path, name: str, recipient: str | None, json_: bool) -> None:
    """Take your whole claim out of the escrow.

    After a settlement that is the deposit plus the net position; after the settlement deadline
    without one, the deposit. Nobody else is needed for it.
    """
    from settlement.party import PartyDesk

    units = PartyDesk.of(folder, name, ask_password).withdraw(recipient)
    if json_:
        print_json({"party": name, "withdrawn_units": units})
    else:
        click.echo(
            f"{name} took out {units:,} base units" if units else f"{name} has no claim left"
        )


@click.command()
@round_folder
@party_name
@as_json
def challenge(folder: Path, name: str, json_: bool) -> None:
    """Check the operator's posted allocation, and disprove it on the chain if it is wrong.

    The check is free. A challenge is only sent when it wins: it voids the round, gives everybody
    its deposit back, and pays you the operator's bond.
    """
    from settlement.party import PartyDesk

    fault = PartyDesk.of(folder, name, ask_password).challenge()
    if json_:
        print_json({"party": name, "fault": fault.name if fault else None})
    elif fault:
        click.echo(f"disproved: {fault.name}; the round is void, withdraw your deposit")
    else:
        click.echo("nothing to disprove: every posted figure follows from the ones before it")
