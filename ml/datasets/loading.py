"""From a checked description to the data itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.datasets.collaboration import Collaboration, Samples
from ml.datasets.mnist import mnist
from ml.datasets.source import DataError, Source
from ml.datasets.spec import DataSpec
from ml.datasets.splits import rows_with_labels, stratified_split

__all__ = ["load"]


def digits() -> Source:
    """The 1,797 digits of 8 x 8 pixels that ship with scikit-learn, as bytes."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Pixels count from 0 to 16; spread them over the bytes so that one rule scales all images.
    images = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    return Source(images, bunch.target.astype(np.int64), n_classes=10)


READERS: dict[str, Callable[[DataSpec], Source]] = {
    "mnist": lambda spec: mnist(),
    "digits": lambda spec: digits(),
}


def load(spec: DataSpec) -> Collaboration:
    """Load the data that a specification describes and split it among the parties.

    Raises
    ------
    DataError
        If the source cannot be read or does not hold what the parties are said to hold.
    """
    source = READERS[spec.source](spec)
    # One stream for each draw: a change of one share leaves the other draw as it was.
    test_stream, holdout_stream = (
        np.random.default_rng([spec.seed, purpose]) for purpose in range(2)
    )
    if source.test_features is None or source.test_targets is None:
        train_rows, test_rows = stratified_split(source.targets, spec.test_share, test_stream)
        train = Samples(source.features[train_rows], source.targets[train_rows])
        test = Samples(source.features[test_rows], source.targets[test_rows])
    else:
        train = Samples(source.features, source.targets)
        test = Samples(source.test_features, source.test_targets)
    kept, held_out = stratified_split(test.targets, spec.holdout_share, holdout_stream)
    party_indices = tuple(rows_with_labels(train.targets, party.labels) for party in spec.parties)
    for index, rows in enumerate(party_indices):
        if not len(rows):
            raise DataError(
                f'Party {index} ("{spec.parties[index].name}") holds no training sample; '
                f"expected at least 1. Give it labels that {spec.source} has."
            )
    return Collaboration(
        party_names=tuple(party.name for party in spec.parties),
        train=train,
        validation=Samples(test.features[kept], test.targets[kept]),
        holdout=Samples(test.features[held_out], test.targets[held_out]),
        party_indices=party_indices,
        n_classes=source.n_classes,
        overlap=spec.overlap,
        vocabulary_size=source.vocabulary_size,
    )
