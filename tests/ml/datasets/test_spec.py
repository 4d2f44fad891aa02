"""A description of data is checked whole, before anything is loaded."""

import subprocess
import sys

import pytest

from ml.datasets import data_spec
from ml.errors import SpecError

TWO_PARTIES = [{"labels": [0, 1]}, {"labels": [1, 2]}]


def places(mapping, parties=TWO_PARTIES):
    with pytest.raises(SpecError) as caught:
        data_spec(mapping, parties)
    return [fault.place for fault in caught.value.faults]


def test_a_good_description_keeps_what_it_was_given():
    parties = [{"name": "left", "labels": [0], "budget": 3}, {"name": "right", "labels": [1]}]
    spec = data_spec({"source": "digits", "overlap": "concat", "seed": 7}, parties)
    assert (spec.source, spec.overlap, spec.seed) == ("digits", "concat", 7)
    assert [party.name for party in spec.parties] == ["left", "right"]
    assert [party.labels for party in spec.parties] == [(0,), (1,)]


def test_all_faults_are_reported_at_once_with_their_places():
    mapping = {"source": "digits", "overlap": "both", "holdout_share": float("nan"), "colour": 1}
    parties = [{"labels": [0, 0]}, {"labels": [11]}, {"labels": []}, {}, {"labels": [True]}]
    assert places(mapping, parties) == [
        "data.overlap",
        "data.holdout_share",
        "data.colour",
        "party[0].labels",
        "party[4].labels[0]",
        "party[1].labels",
        "party[3].labels",
    ]


def test_labels_are_not_judged_by_a_source_that_is_unknown():
    assert places({"source": "mnits"}, [{"labels": [11]}, {"labels": [1]}]) == ["data.source"]


def test_a_missing_source_is_a_fault():
    assert places({}) == ["data.source"]


@pytest.mark.parametrize("n_parties", [0, 1])
def test_fewer_than_two_parties_are_a_fault(n_parties):
    assert places({"source": "digits"}, TWO_PARTIES[:n_parties]) == ["party"]


@pytest.mark.parametrize("value", [-1, 1.5, "0", True])
def test_a_seed_must_be_a_whole_number(value):
    assert places({"source": "digits", "seed": value}) == ["data.seed"]


def test_checking_imports_nothing_heavy():
    program = (
        "import sys, ml.datasets, ml.training, ml.engines;"
        "sys.exit(bool({'torch', 'scipy', 'sklearn', 'web3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
