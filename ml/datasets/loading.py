"""From a checked description to the data itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets.collaboration import Collaboration, Samples
from ml.datasets.labels import as_targets
from ml.datasets.preparation import Preparation
from ml.datasets.readers.folders import folder_source
from ml.datasets.readers.hub import huggingface
from ml.datasets.readers.mnist import mnist
from ml.datasets.readers.official import cifar10, fashion_mnist
from ml.datasets.readers.tables import read_table
from ml.datasets.readers.text import imdb
from ml.datasets.source import DataError, Source
from ml.datasets.spec import DataSpec
from ml.datasets.splits import add_label_noise, listed_ids, party_rows, stratified_split

__all__ = ["load"]


def digits() -> Source:
    """The 1,797 digits of 8 x 8 pixels that ship with scikit-learn, as bytes."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Pixels count from 0 to 16; spread them over the bytes so that one rule scales all images.
    images = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    return Source(images, bunch.target.astype(np.int64), n_classes=10)


def table_file(spec: DataSpec) -> Source:
    """One csv or parquet file with all samples."""
    path = Path(spec.path)
    if path.suffix != f".{spec.source}":
        raise DataError(f"{path} is no .{spec.source} file; expected one for this source.")
    table = read_table(path, spec.target, spec.id)
    twice = [name for name, count in Counter(table.ids).items() if count > 1]
    if twice:
        raise DataError(
            f'{path} has {len(twice)} ids more than once, first "{twice[0]}"; expected one row an '
            "id."
        )
    targets, _, classes = as_targets(table.targets, None, spec.task)
    return Source(
        table.features,
        targets,
        len(classes),
        classes=classes,
        ids=table.ids,
        columns=table.columns,
    )


def folder(spec: DataSpec) -> Source:
    """A folder with a subfolder for each party that has samples of its own."""
    for index in spec.buyers:
        _require_nothing(Path(spec.path) / "parties", spec.parties[index].name)
    names = [p.name for p in spec.parties if p.replicate is None and not p.is_buyer]
    return folder_source(Path(spec.path), names, spec.task, spec.target, spec.id)


def _require_nothing(parties: Path, name: str) -> None:
    """A buyer's folder is not there, or empty: nobody's samples are left out in silence."""
    place = parties / name
    found = sorted(place.iterdir()) if place.is_dir() else [place] * place.exists()
    if found:
        raise DataError(
            f'Party "{name}" is a buyer, who brings no data, but {place} holds {len(found)} files, '
            f'first "{found[0].name}". Take them away, or "buyer" out of the configuration.'
        )


READERS: dict[str, Callable[[DataSpec], Source]] = {
    "mnist": lambda spec: mnist(),
    "digits": lambda spec: digits(),
    "imdb": lambda spec: imdb(spec.vocabulary_size, spec.max_words),
    "fashion-mnist": lambda spec: fashion_mnist(Path(spec.path)),
    "cifar10": lambda spec: cifar10(Path(spec.path)),
    "folder": folder,
    "csv": table_file,
    "parquet": table_file,
    "huggingface": huggingface,
}


def load(spec: DataSpec) -> Collaboration:
    """Load the data that a specification describes and split it among the parties.

    Raises
    ------
    DataError
        If the source cannot be read or does not hold what the parties are said to hold.
    """
    source = READERS[spec.source](spec)
    train, ids, validation, holdout = _three_sets(spec, source)
    held = party_rows(spec, source, train.targets, ids)
    for index, rows in enumerate(held):
        if not len(rows) and index not in spec.buyers:
            raise DataError(
                f'Party {index} ("{spec.parties[index].name}") holds no training sample; expected '
                "at least 1. Give it some, leave it out, or say buyer = true if it only buys."
            )
    if not len(validation):
        raise DataError("Validation has no sample; expected at least 1.")
    copied, wrong, held = add_label_noise(spec, train.targets, held, source.n_classes)
    features = train.features
    if len(copied):
        features = np.concatenate([features, features[copied]])
    targets = np.concatenate([train.targets, wrong])
    classes = source.classes or tuple(map(str, range(source.n_classes)))
    # Scales follow from the samples that parties hold, not from other rows of the source.
    used = np.unique(np.concatenate(held))
    preparation = Preparation.of(
        features[used], targets[used], classes, source.vocabulary, source.columns
    )

    def prepared(features: NDArray[Any], targets: NDArray[Any]) -> Samples:
        return Samples(preparation.features(features), preparation.targets(targets))

    return Collaboration(
        party_names=tuple(party.name for party in spec.parties),
        train=prepared(features, targets),
        validation=prepared(validation.features, validation.targets),
        holdout=prepared(holdout.features, holdout.targets),
        party_indices=held,
        n_classes=source.n_classes,
        preparation=preparation,
        overlap=spec.overlap,
    )


def _listed_and_not(
    spec: DataSpec, ids: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that some party lists, to train on, and all others, to test."""
    listed = {name for party in spec.parties if party.ids for name in listed_ids(party)}
    is_listed = np.array([name in listed for name in ids])
    if is_listed.all():
        raise DataError(
            f"The parties list all {len(ids)} samples, so none is left to test on. Leave some out "
            "of every list: they validate, and are the holdout."
        )
    return np.flatnonzero(is_listed), np.flatnonzero(~is_listed)


def _three_sets(
    spec: DataSpec, source: Source
) -> tuple[Samples, tuple[str, ...], Samples, Samples]:
    """Training samples and their ids, validation and holdout, each draw with its own stream."""
    test_stream, holdout_stream = (
        np.random.default_rng([spec.seed, purpose]) for purpose in range(2)
    )
    ids = source.ids
    if source.test_features is None or source.test_targets is None:
        if spec.split == "ids" and ids:
            train_rows, test_rows = _listed_and_not(spec, ids)
        else:
            train_rows, test_rows = stratified_split(source.targets, spec.test_share, test_stream)
        train = Samples(source.features[train_rows], source.targets[train_rows])
        test = Samples(source.features[test_rows], source.targets[test_rows])
        if ids:
            ids = tuple(ids[row] for row in train_rows)
    else:
        train = Samples(source.features, source.targets)
        test = Samples(source.test_features, source.test_targets)
    if source.n_validation is None:
        kept, held_out = stratified_split(test.targets, spec.holdout_share, holdout_stream)
    else:
        kept, held_out = np.split(np.arange(len(test)), [source.n_validation])
    return (
        train,
        ids,
        Samples(test.features[kept], test.targets[kept]),
        Samples(test.features[held_out], test.targets[held_out]),
    )
