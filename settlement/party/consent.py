"""What a party checks before it deposits, and the copy that it keeps of what it agreed to.

A deposit is the consent to the game: after it, anybody may settle by what was agreed. So the files
are checked first, and copied to a place of the party's own, from which it can settle and leave when
whoever handed them out is gone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from settlement.audit.findings import AuditError
from settlement.audit.game import check_agreed_game
from settlement.config.terms import AgreedTerms
from settlement.errors import SettlementError
from settlement.round.agreement import agreement_of
from settlement.store.folder import RoundFolder

__all__ = ["PUBLIC_STAGES", "check_consent", "keep_copy", "kept_copies"]

PUBLIC_STAGES = ("train", "open")
"""What every party needs to deposit, to settle and to leave; nothing in them is secret."""


def check_consent(folder: RoundFolder, terms: AgreedTerms) -> None:
    """Check what a deposit agrees to, from files alone: no data, no code but ours.

    Raises
    ------
    AuditError
        If values, game and terms do not follow from each other.
    """
    try:
        check_agreed_game(folder, terms)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Files of somebody else may lack keys, or hold words for numbers.
        raise AuditError(
            f"The round's files are not of the form that this version writes: {error!r}. Nothing "
            f"was deposited."
        ) from None


def kept_copies() -> Path:
    """Folder of the user's copies: ``$XDG_DATA_HOME/fairround/rounds`` or below ``~/.local``."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "fairround" / "rounds"


def keep_copy(folder: RoundFolder, agreement: str) -> Path:
    """Copy a round's public files to where nobody else writes; where they are.

    The copy is a round's folder itself: whole stages, each under a temporary name first.
    """
    kept = kept_copies() / agreement
    try:
        kept.mkdir(parents=True, exist_ok=True)
        for path in folder.config_paths:
            shutil.copyfile(path, kept / path.name)
        for stage in PUBLIC_STAGES:
            source, partial = folder.stage(stage), kept / f".{stage}.partial"
            if (kept / stage).exists():
                continue
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
            partial.rename(kept / stage)
    except OSError as error:
        raise SettlementError(
            f"The copy that lets you settle and leave by yourself cannot be kept in {kept}: "
            f"{error.strerror}. Nothing was deposited."
        ) from None
    copy = RoundFolder(kept)
    if agreement_of(AgreedTerms.read(copy)).hex() != agreement:
        raise AuditError(
            f"{folder.path} was changed while it was copied to {kept}. Nothing was deposited; take "
            f"both away and collect the round again."
        )
    return kept
