"""Seeded splits: training from test, validation from holdout, and among parties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.source import DataError, Source
from ml.datasets.spec import DataSpec, PartyData

__all__ = ["add_label_noise", "party_rows", "rows_with_labels", "stratified_split"]

Rows = NDArray[np.int64]


def stratified_split(
    targets: NDArray[Any], second_share: float, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Rows of a first and a second part, label by label in the given share; both sorted.

    Targets of a regression (floating point) are split without strata. Within a label the second
    part gets ``round(share * count)`` rows, but never the last row of a label.
    """
    if not len(targets):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if np.issubdtype(targets.dtype, np.floating):
        strata = [np.arange(len(targets))]
    else:
        strata = [np.flatnonzero(targets == label) for label in np.unique(targets)]
    first: list[Rows] = []
    second: list[Rows] = []
    for rows in strata:
        shuffled = generator.permutation(rows)
        taken = min(round(second_share * len(rows)), len(rows) - 1)
        second.append(shuffled[:taken])
        first.append(shuffled[taken:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def rows_with_labels(
    targets: NDArray[Any], labels: tuple[int, ...], classes: tuple[str, ...] = ()
) -> Rows:
    """Rows whose target is one of the labels, sorted.

    If the data name their classes, a label is the name of a class, else its number.

    Raises
    ------
    DataError
        If a label is no class of the data.
    """
    if not classes:
        return np.flatnonzero(np.isin(targets, labels))
    strangers = [label for label in labels if str(label) not in classes]
    if strangers:
        raise DataError(
            f"Labels {', '.join(map(str, strangers))} are outside the data, which has "
            f"{', '.join(classes)}."
        )
    return np.flatnonzero(np.isin(targets, [classes.index(str(label)) for label in labels]))


def party_rows(
    spec: DataSpec, source: Source, targets: NDArray[Any], ids: tuple[str, ...]
) -> tuple[Rows, ...]:
    """Training rows of every party, sorted, before label noise.

    Each kind of draw has its own random stream, so changing one does not change the others.
    """
    nothing = np.zeros(0, np.int64)
    # Buyers take no part in any draw: the others hold what they would hold without them.
    own = [party for party in spec.parties if party.replicate is None and not party.is_buyer]
    stream = np.random.default_rng([spec.seed, 2])
    if spec.split == "labels":
        held = [rows_with_labels(targets, party.labels, source.classes) for party in own]
    elif spec.split == "ids":
        held = [_rows_by_id(party, ids, len(targets)) for party in own]
    elif spec.split == "source":
        held = [source.party_rows[party.name] for party in own]
    elif spec.split == "dirichlet":
        held = _dirichlet(targets, len(own), spec.alpha, stream)
    else:
        shares = [1 / len(own) if party.share is None else party.share for party in own]
        held = _shares(targets, shares, stream)
    by_name = {party.name: rows for party, rows in zip(own, held, strict=True)}
    by_name |= {party.name: nothing for party in spec.parties if party.is_buyer}
    in_order = iter(held)
    found = []
    for index, party in enumerate(spec.parties):
        if party.is_buyer:
            rows = nothing
        else:
            rows = next(in_order) if party.replicate is None else by_name[party.replicate]
        if party.size is not None and len(rows):
            count = round(party.size * len(rows)) if party.size <= 1 else int(party.size)
            if not 0 < count <= len(rows):
                raise DataError(
                    f'Party {index} ("{party.name}") has {len(rows)} samples; size {party.size:g} '
                    f"asks for {count}."
                )
            rows = np.random.default_rng([spec.seed, 3, index]).choice(rows, count, replace=False)
        found.append(np.sort(rows))
    return tuple(found)


def _shares(targets: NDArray[Any], shares: list[float], stream: np.random.Generator) -> list[Rows]:
    """Disjoint random parts of the given shares of all rows."""
    order = stream.permutation(len(targets))
    ends = np.rint(np.cumsum(shares) * len(targets)).astype(np.int64)
    return [order[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def _dirichlet(
    targets: NDArray[Any], n_parties: int, alpha: float, stream: np.random.Generator
) -> list[Rows]:
    """Disjoint parts: of every label each party gets a share drawn from Dirichlet(alpha)."""
    parts: list[list[Rows]] = [[] for _ in range(n_parties)]
    for label in np.unique(targets):
        rows = stream.permutation(np.flatnonzero(targets == label))
        cuts = np.cumsum(stream.dirichlet(np.full(n_parties, alpha)))[:-1]
        ends = np.rint(cuts * len(rows)).astype(np.int64)
        for part, piece in zip(parts, np.split(rows, ends), strict=True):
            part.append(piece)
    return [np.concatenate(part) for part in parts]


def listed_ids(party: PartyData) -> list[str]:
    """The ids in a party's file.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return Path(party.ids or "").read_text(encoding="utf-8").split()
    except (OSError, ValueError) as trouble:
        raise DataError(
            f"{party.ids} cannot be read: {trouble}; expected ids as text."
        ) from trouble


def _rows_by_id(party: PartyData, ids: tuple[str, ...], n_rows: int) -> Rows:
    """Rows that a file names, one id a line; without ids of the data they are row numbers."""
    lines = listed_ids(party)
    numbers = {name: row for row, name in enumerate(ids)} if ids else {}
    known = numbers or {str(row): row for row in range(n_rows)}
    strangers = [line for line in lines if line not in known]
    if strangers:
        raise DataError(
            f'Party "{party.name}" lists {len(strangers)} ids that are no training sample, '
            f'first "{strangers[0]}"; the data has {len(known)} ids.'
        )
    return np.array(sorted({known[line] for line in lines}), np.int64)


def add_label_noise(
    spec: DataSpec, targets: NDArray[Any], held: tuple[Rows, ...], n_classes: int
) -> tuple[Rows, NDArray[Any], tuple[Rows, ...]]:
    """Wrong labels for the parties that have noise.

    A noisy sample becomes a new row, because another party may hold the same sample with its true
    label. A label changes to any other label with equal probability; targets of a regression are
    exchanged among the noisy samples. Returns the rows to append, their targets, and each party's
    rows.
    """
    copies: list[Rows] = []
    wrong: list[NDArray[Any]] = []
    parts = []
    n_rows = len(targets)
    for index, (party, rows) in enumerate(zip(spec.parties, held, strict=True)):
        count = round(party.label_noise * len(rows))
        if not count:
            parts.append(rows)
            continue
        stream = np.random.default_rng([spec.seed, 4, index])
        noisy = stream.choice(rows, count, replace=False)
        if n_classes:
            shift = stream.integers(1, n_classes, count)
            wrong.append(((targets[noisy] + shift) % n_classes).astype(targets.dtype))
        else:
            wrong.append(stream.permutation(targets[noisy]))
        copies.append(noisy)
        fresh = np.arange(n_rows, n_rows + count)
        n_rows += count
        parts.append(np.concatenate([np.setdiff1d(rows, noisy), fresh]))
    if not copies:
        return np.zeros(0, np.int64), targets[:0], held
    return np.concatenate(copies), np.concatenate(wrong), tuple(parts)
