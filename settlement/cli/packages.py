"""Verbs that hand a round's files to a party and back: pack, collect."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.printing import as_json, print_json, round_folder

__all__ = ["collect", "pack"]


@click.command()
@round_folder
@click.option("--for", "receiver", metavar="NAME", help='A party, or "operator": signatures back.')
@click.option("--public", is_flag=True, help="For anybody, such as an auditor.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Else NAME.zip beside the round."
)
@as_json
def pack(folder: Path, receiver: str | None, public: bool, out: Path | None, json_: bool) -> None:
    """Write one file that holds just what a party needs, or the signatures for the operator.

    Terms, values and game; allocation and settlement once they are there; after that the party's
    own reward. No other party's reward, no raw data, no key, no journal.

    Example: fairround pack ROUND --for clinic-a
    """
    from settlement.party.packages import pack as write_package
    from settlement.store.folder import RoundFolder

    if public == (receiver is not None):
        raise click.UsageError("Give either --for NAME or --public.")
    store = RoundFolder(folder)
    store.require_config()
    target = out or folder.resolve().parent / f"{folder.resolve().name}-{receiver or 'public'}.zip"
    names = write_package(store, target, receiver)
    if json_:
        print_json({"package": str(target), "files": names})
    else:
        click.echo(f"wrote {target}: {len(names)} files")


@click.command()
@round_folder
@click.argument(
    "packages",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@as_json
def collect(folder: Path, packages: tuple[Path, ...], json_: bool) -> None:
    """Unpack what `pack` wrote into DIR, which is made if need be.

    Stages must agree with their seals; no file is replaced by another, and none can land outside.

    Example: fairround collect ROUND round-clinic-a.zip
    """
    from settlement.party.packages import collect as unpack
    from settlement.store.folder import RoundFolder

    fresh = {str(package): unpack(RoundFolder(folder), package) for package in packages}
    if json_:
        print_json(fresh)
        return
    for package, names in fresh.items():
        click.echo(f"{package}: {len(names)} new files")
