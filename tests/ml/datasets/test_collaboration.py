"""Loaded data: splits that add up, and what a coalition trains on."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.collaboration import CollaborationError
from ml.datasets.splits import stratified_split

PARTIES = [{"labels": [0, 1]}, {"labels": [1, 2]}, {"labels": [3]}]


def collaboration(**data):
    return load(data_spec({"source": "digits"} | data, PARTIES))


def test_digits_are_split_without_loss_or_overlap():
    digits = collaboration()
    assert len(digits.train) + len(digits.validation) + len(digits.holdout) == 1797
    rows = np.concatenate(
        [part.features for part in (digits.train, digits.validation, digits.holdout)]
    )
    from sklearn.datasets import load_digits

    original = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, original))
    assert digits.train.features.dtype == np.uint8


def test_validation_and_holdout_are_stratified_by_label():
    mnist = load(data_spec({"source": "mnist"}, PARTIES))
    counts = [np.bincount(part.targets) for part in (mnist.validation, mnist.holdout)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert (counts[0] + counts[1]).sum() == 10_000


def test_no_holdout_leaves_all_to_validation():
    digits = collaboration(holdout_share=0.0)
    assert len(digits.holdout) == 0
    assert len(digits.validation) == len(collaboration().validation) + len(collaboration().holdout)


def test_a_union_has_every_sample_once_and_a_concatenation_as_often_as_held():
    union, concat = collaboration(), collaboration(overlap="concat")
    held = union.party_indices
    assert np.array_equal(union.coalition_indices(0b11), np.union1d(held[0], held[1]))
    assert np.array_equal(concat.coalition_indices(0b11), np.concatenate(held[:2]))
    assert set(union.train.targets[union.coalition_indices(0b101)]) == {0, 1, 3}


@pytest.mark.parametrize("coalition", [0, 8, -1])
def test_a_coalition_of_nobody_or_strangers_is_refused(coalition):
    with pytest.raises(CollaborationError, match="from 1 to 7"):
        collaboration().coalition_indices(coalition)


def test_the_digest_is_the_same_for_the_same_data_alone():
    digests = {
        collaboration(**data).digest
        for data in ({}, {}, {"seed": 1}, {"overlap": "concat"}, {"holdout_share": 0.4})
    }
    assert len(digests) == 4


def test_a_stratified_split_never_takes_the_last_sample_of_a_label():
    targets = np.array([0, 1, 1, 1, 1])
    first, second = stratified_split(targets, 0.9, np.random.default_rng(0))
    assert sorted([*first, *second]) == [0, 1, 2, 3, 4]
    assert set(targets[first]) == {0, 1}
