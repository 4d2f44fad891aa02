"""How samples are shared out: by labels, shares, Dirichlet, ids; copies, sizes and noise."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.source import DataError
from ml.errors import SpecError


def digits(parties, base=None, **data):
    return load(data_spec({"source": "digits"} | data, parties, base=base))


def test_shares_are_disjoint_and_of_their_size():
    found = digits([{"share": 0.5}, {"share": 0.25}, {"share": 0.1}])
    sizes = np.array([len(rows) for rows in found.party_indices]) / len(found.train)
    np.testing.assert_allclose(sizes, [0.5, 0.25, 0.1], atol=0.001)
    assert len(found.coalition_indices(7)) == sum(map(len, found.party_indices))


def test_dirichlet_shares_every_sample_and_small_alpha_parts_the_labels():
    parties = [{} for _ in range(4)]

    def spread(alpha):
        found = digits(parties, split="dirichlet", alpha=alpha)
        assert sorted(np.concatenate(found.party_indices)) == list(range(len(found.train)))
        counts = [np.bincount(found.train.targets[r], minlength=10) for r in found.party_indices]
        return np.std(np.array(counts) / np.sum(counts, axis=0))

    assert spread(0.2) > 2 * spread(50)


def test_ids_name_the_rows(tmp_path):
    (tmp_path / "a.txt").write_text("3\n1\n1\n")
    (tmp_path / "b.txt").write_text("1\n500\n")
    parties = [{"ids": "a.txt"}, {"ids": "b.txt"}]
    found = digits(parties, tmp_path)
    assert [rows.tolist() for rows in found.party_indices] == [[1, 3], [1, 500]]
    (tmp_path / "b.txt").write_text("1\n99999\n")
    with pytest.raises(DataError, match='1 ids that are no training sample, first "99999"'):
        digits(parties, tmp_path)
    with pytest.raises(SpecError, match=r"party\[1\]\.ids"):
        digits([{"ids": "a.txt"}, {"ids": "none.txt"}], tmp_path)


def test_a_replicated_party_holds_the_same_samples():
    parties = [{"name": "one", "labels": [0, 1]}, {"name": "two", "labels": [2]}]
    found = digits([*parties, {"name": "copy", "replicate": "one"}])
    assert np.array_equal(found.party_indices[0], found.party_indices[2])
    with pytest.raises(SpecError, match="no party with samples of its own"):
        digits([*parties, {"name": "copy", "replicate": "three"}])
    with pytest.raises(SpecError, match="does not go with a replicated party"):
        digits([*parties, {"name": "copy", "replicate": "one", "labels": [1]}])


def test_size_takes_a_share_or_a_number_of_the_samples():
    parties = [{"labels": [0, 1]}, {"labels": [0, 1], "size": 0.5}, {"labels": [0, 1], "size": 9}]
    whole, half, nine = digits(parties).party_indices
    assert (len(half), len(nine)) == (round(len(whole) / 2), 9)
    assert set(half) < set(whole)
    with pytest.raises(DataError, match="size 5000 asks for 5000"):
        digits([{"labels": [0]}, {"labels": [1], "size": 5000}])


def test_label_noise_changes_the_labels_of_one_party_alone():
    clean = digits([{"labels": [0, 1]}, {"labels": [0, 1]}])
    noisy = digits([{"labels": [0, 1]}, {"labels": [0, 1], "label_noise": 0.25}])
    n = len(clean.party_indices[0])
    assert np.array_equal(noisy.party_indices[0], clean.party_indices[0])
    labels = noisy.train.targets[noisy.party_indices[1]]
    images = noisy.train.features[noisy.party_indices[1]]
    assert len(labels) == n
    truth = {bytes(f): t for f, t in zip(clean.train.features, clean.train.targets, strict=True)}
    wrong = sum(truth[bytes(f)] != t for f, t in zip(images, labels, strict=True))
    assert wrong == round(0.25 * n)
    assert np.array_equal(noisy.train.targets[: len(clean.train)], clean.train.targets)


@pytest.mark.parametrize(
    ("parties", "place"),
    [
        ([{"share": 0.6}, {"share": 0.6}], "party: shares sum to 1.2"),
        ([{"share": 0.6}, {}], "party: some parties have a share"),
        ([{"share": -0.1}, {"share": 0.1}], r"party\[0\]\.share"),
        ([{"labels": [0]}, {"labels": [1], "share": 0.5}], r"party\[1\]\.share"),
        ([{"labels": [0]}, {"labels": [1], "label_noise": 2}], r"party\[1\]\.label_noise"),
        ([{"labels": [0]}, {"labels": [1], "size": -1}], r"party\[1\]\.size"),
    ],
)
def test_wrong_shares_are_faults_with_places(parties, place):
    with pytest.raises(SpecError, match=place):
        digits(parties)


def test_a_party_without_samples_is_refused():
    with pytest.raises(DataError, match=r"Party 1 \(\"1\"\) holds no training sample"):
        digits([{"share": 0.5}, {"share": 0.0001}])


def test_regression_needs_figures_and_no_labels():
    with pytest.raises(SpecError, match=r"data\.task"):
        digits([{"share": 0.5}, {"share": 0.5}], task="regression")
