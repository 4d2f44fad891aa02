"""One file to a party and back: what it needs of a round, and nothing else.

A package is a zip archive of files as they stand in a round's folder. No reward but the receiver's
own, no raw data, no key and no journal is ever in one. Unpacking takes known names only, whole
stages whose seals hold, and never replaces a file by another.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ml.files import write_atomically
from ml.reading import read_json
from settlement.config.terms import AgreedTerms
from settlement.errors import SettlementError
from settlement.store.documents import RewardDocument
from settlement.store.folder import CONFIG, PARTIES, STAGES, RoundFolder, dump_json

__all__ = ["OPERATOR_PACKAGE", "PackageRefused", "collect", "pack", "received_reward"]

SHARED_STAGES = STAGES[: STAGES.index("reward")]
"""Whole stages that everybody may see; models, and what rests on them, come after."""

RECEIVED = "received"
SIGNATURES = "signatures"
REWARD_FILE = "reward.json"
OPERATOR_PACKAGE = "operator"
MOST_FILES = 10_000
MAX_PACKAGE_BYTES = 4 * 2**30
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""In every archive: the same files make the same package, to the last byte."""


class PackageRefused(SettlementError):
    """A package that is damaged, holds what no package holds, or is of another round."""


def pack(folder: RoundFolder, target: Path, receiver: str | None) -> list[str]:
    """Write a package; the names that it holds.

    Parameters
    ----------
    receiver
        A party's name: the shared stages, and its own reward once there is one. `operator`: the
        signatures that this folder holds. None: the shared stages, for anybody.

    Raises
    ------
    PackageRefused
        If there is no such party, or a file is there already.
    TamperedFile
        If a file of the round is a link: the package would hold a file of whoever packs it.
    """
    folder.refuse_links()
    chosen = list(_chosen(folder, receiver))
    if not chosen:
        raise PackageRefused(f"{folder.path} holds nothing for {receiver or 'anybody'} yet.")
    try:
        with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, content in chosen:
                archive.writestr(zipfile.ZipInfo(name, FIXED_TIME), content, zipfile.ZIP_DEFLATED)
    except FileExistsError:
        raise PackageRefused(f"{target} is there already; choose another name.") from None
    return [name for name, _ in chosen]


def _chosen(folder: RoundFolder, receiver: str | None) -> Iterator[tuple[str, bytes]]:
    if receiver == OPERATOR_PACKAGE:
        for path in sorted((folder.path / SIGNATURES).glob("*.json")):
            yield f"{SIGNATURES}/{path.name}", path.read_bytes()
        return
    party = None if receiver is None else _party(folder, receiver)
    for path in folder.config_paths:
        yield path.name, path.read_bytes()
    for stage in SHARED_STAGES:
        if folder.has(stage):
            root = folder.stage(stage)
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                yield f"{stage}/{path.relative_to(root).as_posix()}", path.read_bytes()
    if party is not None and folder.has("reward"):
        yield from _own_reward(folder, party)


def _party(folder: RoundFolder, name: str) -> int:
    names = AgreedTerms.read(folder).party_names
    if name not in names:
        raise PackageRefused(
            f"No party {name!r} in {folder.path}; expected one of: {', '.join(names)}, or "
            f"{OPERATOR_PACKAGE}."
        )
    return names.index(name)


def _own_reward(folder: RoundFolder, party: int) -> Iterator[tuple[str, bytes]]:
    root = folder.stage("reward")
    document = read_json(root / RewardDocument.FILE)
    for entry in document["rewards"]:
        if entry["party"] == party:
            yield f"{RECEIVED}/{REWARD_FILE}", dump_json(entry)
            for name in (entry["file"], str(Path(entry["file"]).with_suffix(".json"))):
                yield f"{RECEIVED}/{name}", (root / name).read_bytes()


def received_reward(folder: RoundFolder, party: int) -> Path | None:
    """File of the model that a package brought for a party; None if none did.

    Raises
    ------
    PackageRefused
        If the file is not the one that the package named.
    """
    from settlement.store.folder import sha256_of

    root = folder.path / RECEIVED
    if not (root / REWARD_FILE).is_file():
        return None
    entry = read_json(root / REWARD_FILE)
    if entry["party"] != party:
        return None
    path = root / PurePosixPath(entry["file"]).name
    if sha256_of(path) != entry["sha256"]:
        raise PackageRefused(
            f"{RECEIVED}/{path.name} is not the file that was sent; collect it again."
        )
    return path


def collect(folder: RoundFolder, package: Path) -> list[str]:
    """Unpack a package into a round's folder, made if need be; the names of what is new.

    Raises
    ------
    PackageRefused
        If the package is damaged or holds a name that no package holds, one of its stages does not
        agree with its seal, or a file here is another than the package's.
    TamperedFile
        If a file here is a link, through which the package's would land elsewhere.
    """
    folder.refuse_links()
    folder.path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.path, prefix=".collect.") as scratch:
        names = _extract(package, Path(scratch))
        fresh = [name for name in names if not _same_here(folder, Path(scratch), name)]
        if stages := {name.split("/")[0] for name in fresh} & set(STAGES):
            _check_stages(folder, Path(scratch), stages)
        for name in fresh:
            if name.split("/")[0] not in stages:
                write_atomically(folder.path / name, (Path(scratch) / name).read_bytes())
        for stage in STAGES:
            if stage in stages:
                (Path(scratch) / stage).rename(folder.path / stage)
    return fresh


def _extract(package: Path, scratch: Path) -> list[str]:
    try:
        with zipfile.ZipFile(package) as archive:
            items = archive.infolist()
            total = sum(item.file_size for item in items)
            if len(items) > MOST_FILES or total > MAX_PACKAGE_BYTES:
                raise PackageRefused(
                    f"{package} holds {len(items)} files of {total} bytes; expected at most "
                    f"{MOST_FILES} of {MAX_PACKAGE_BYTES}."
                )
            for item in items:
                _check_name(package, item.filename)
                if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise PackageRefused(f"{package} packs {item.filename} otherwise than `pack`.")
                path = scratch / item.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(item) as source, path.open("xb") as target:
                    shutil.copyfileobj(source, target)
            return [item.filename for item in items]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise PackageRefused(f"{package} is no package, or damaged: {error}.") from None
    except (FileExistsError, NotADirectoryError) as error:
        name = Path(error.filename).relative_to(scratch)
        raise PackageRefused(f"{package} holds {name} twice, or below a file.") from None


def _check_name(package: Path, name: str) -> None:
    """Only names that `pack` writes: none can reach outside the folder or become a link."""
    path = PurePosixPath(name)
    known = name in (CONFIG, PARTIES) or (
        path.parts[:1]
        and path.parts[0]
        in (
            *SHARED_STAGES,
            RECEIVED,
            SIGNATURES,
        )
    )
    odd = path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name
    hidden = any(part.startswith(".") or not part.isprintable() for part in path.parts)
    if not known or odd or hidden or (len(path.parts) < 2 and name not in (CONFIG, PARTIES)):
        raise PackageRefused(
            f"{package} holds {name!r}, which no package holds; nothing was unpacked."
        )


def _same_here(folder: RoundFolder, scratch: Path, name: str) -> bool:
    here = folder.path / name
    if not here.exists():
        return False
    if name.startswith(f"{SIGNATURES}/"):
        return False  # a party may sign again; whether it counts is checked when it is used
    if here.is_file() and here.read_bytes() == (scratch / name).read_bytes():
        return True
    raise PackageRefused(
        f"{here} is there already and another than the package's. It is of another round, or one "
        f"of the two was changed; nothing was unpacked."
    )


def _check_stages(folder: RoundFolder, scratch: Path, stages: set[str]) -> None:
    """New stages agree with their seals and with what is here, seen in the folder to come."""
    whole = RoundFolder(scratch)
    for name in (CONFIG, PARTIES, *STAGES):
        if not (scratch / name).exists() and (folder.path / name).exists():
            (scratch / name).symlink_to((folder.path / name).resolve())
    try:
        for stage in stages:
            whole.stage(stage)
    finally:
        for name in (CONFIG, PARTIES, *STAGES):
            if (scratch / name).is_symlink():
                (scratch / name).unlink()
