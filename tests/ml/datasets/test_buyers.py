"""Who is a buyer, by each kind of split; what is refused; nobody's samples get lost."""

import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.datasets.overview import overview
from ml.datasets.source import DataError
from ml.datasets.spec import NO_SAMPLES
from ml.errors import SpecError

ROWS = "age,target\n1,0\n2,1\n3,0\n4,1\n"


def digits(*parties, base=None, **data):
    return load(data_spec({"source": "digits"} | data, parties, base=base))


@pytest.fixture
def lists(tmp_path):
    for name, rows in (("a", "3\n1\n"), ("b", "1\n500\n"), ("none", "")):
        (tmp_path / f"{name}.txt").write_text(rows)
    return tmp_path


@pytest.mark.parametrize(
    ("holders", "buyer", "data"),
    [
        ([{"labels": [0, 1]}, {"labels": [1, 2]}], {"labels": []}, {}),
        ([{"labels": [0, 1]}, {"labels": [1, 2]}], {"buyer": True}, {}),
        ([{"share": 0.5}, {"share": 0.25}], {"share": 0}, {}),
        ([{"share": 0.5}, {"share": 0.25}], {"buyer": True}, {}),
        ([{}, {}], {"buyer": True}, {"split": "shares"}),
        ([{}, {}], {"buyer": True}, {"split": "dirichlet"}),
        ([{"ids": "a.txt"}, {"ids": "b.txt"}], {"buyer": True}, {}),
    ],
)
def test_a_buyer_holds_nothing_and_changes_nobody_elses_data(lists, holders, buyer, data):
    names = ("one", "two")
    holders = [{"name": name} | party for name, party in zip(names, holders, strict=True)]
    without = digits(*holders, base=lists, **data)
    found = digits(holders[0], {"name": "buyer"} | buyer, holders[1], base=lists, **data)
    assert len(found.party_indices[1]) == 0
    assert found.party_digests[1] == NO_SAMPLES
    assert [found.party_digests[k] for k in (0, 2)] == list(without.party_digests)
    assert len(set(found.party_digests)) == 3
    assert found.train.digest == without.train.digest
    assert found.preparation == without.preparation
    assert np.array_equal(found.coalition_indices(0b111), without.coalition_indices(0b11))
    assert found.coalition_indices(0b010).tolist() == []
    brought = overview(found).parties[1]
    assert (brought.samples, brought.shared, brought.targets) == (0, 0, {})


def test_the_digest_of_no_samples_is_that_of_an_empty_file():
    # sha256sum < /dev/null
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert empty == NO_SAMPLES


@pytest.mark.parametrize(
    ("parties", "place"),
    [
        ([{"labels": []}, {"buyer": True}], r"party: all 2 parties are buyers without data"),
        ([{"share": 0}, {"share": 0}], r"party: all 2 parties are buyers"),
        ([{"labels": []}, {"name": "x", "replicate": "0"}], r"party: all 2 parties are buyers"),
        ([{"labels": [1]}, {"labels": [2], "buyer": True}], r"party\[1\]\.labels: .*a buyer"),
        ([{"labels": [1]}, {"labels": [], "buyer": False}], r"party\[1\]\.buyer: is false"),
        ([{"labels": [1]}, {"labels": [], "size": 5}], r"party\[1\]\.size: .*a buyer"),
        ([{"labels": [1]}, {"labels": [], "label_noise": 0.1}], r"party\[1\]\.label_noise"),
        ([{"labels": [1]}, {"buyer": True, "replicate": "0"}], r"party\[1\]\.replicate"),
        ([{"share": 0.5}, {"labels": []}], r"party\[0\]\.share"),
        ([{"labels": [1]}, {}], r"party\[1\]\.labels: missing"),
        ([{"labels": [1]}, {"share": 0, "buyer": True}], r"party\[1\]\.share: .*a buyer"),
    ],
)
def test_who_is_half_a_buyer_is_a_fault(parties, place):
    with pytest.raises(SpecError, match=place):
        digits(*parties)


def test_an_empty_list_of_ids_makes_nobody_a_buyer(lists):
    """An export that failed must not cost a party its revenue."""
    with pytest.raises(DataError, match=r'Party 1 \("1"\) holds no .* buyer = true'):
        digits({"ids": "a.txt"}, {"ids": "none.txt"}, base=lists)


@pytest.fixture
def clinics(tmp_path):
    for part in ("parties/one", "parties/two", "validation"):
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "rows.csv").write_text(ROWS)
    (tmp_path / "parties" / "buyer").mkdir()
    return tmp_path


def in_folders(path, **buyer):
    parties = [{"name": "one"}, {"name": "buyer"} | buyer, {"name": "two"}]
    return load(data_spec({"source": "folder", "path": str(path)}, parties))


def test_a_buyers_folder_is_empty_or_not_there(clinics):
    assert in_folders(clinics, buyer=True).party_digests[1] == NO_SAMPLES
    (clinics / "parties" / "buyer").rmdir()
    found = in_folders(clinics, buyer=True)
    assert list(map(len, found.party_indices)) == [4, 0, 4]
    assert found.party_digests[1] == NO_SAMPLES


@pytest.mark.parametrize("hidden", ["rows.csv", ".rows.csv", "rows.csv.bak", "cat/1.png"])
def test_samples_that_a_buyer_hides_in_its_folder_are_refused(clinics, hidden):
    path = clinics / "parties" / "buyer" / hidden
    path.parent.mkdir(exist_ok=True)
    path.write_text(ROWS)
    with pytest.raises(DataError, match=r'Party "buyer" is a buyer.* holds 1 files'):
        in_folders(clinics, buyer=True)


def test_a_folder_that_is_empty_by_accident_makes_nobody_a_buyer(clinics):
    with pytest.raises(DataError, match="holds no sample"):
        in_folders(clinics)
    (clinics / "parties" / "buyer").rmdir()
    with pytest.raises(DataError, match=r"does not exist.*buyer = true"):
        in_folders(clinics)
