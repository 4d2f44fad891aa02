"""Documents of stages have their types; a seal made anew hides no other."""

import pytest

from settlement.store.documents import ValueDocument
from settlement.store.folder import RoundFolder, TamperedFile, dump_json

GOOD = ValueDocument(
    parties=["a", "b"],
    values=[0, 0.25, 0.5, 1],
    source="given",
    coalitions=None,
    scores=[[0, 0.25, 0.5, 1]],
    seeds=[],
    device=None,
    basis=None,
    monotone="refuse",
    monotone_violations=None,
    best_coalitions=None,
)


@pytest.fixture
def read(tmp_path):
    folder = RoundFolder(tmp_path)
    folder.config_path.write_text("")

    def written_and_read(content):
        with folder.write_stage("train", inputs=[]) as stage:
            (stage / ValueDocument.FILE).write_bytes(dump_json(content))
        return ValueDocument.read(folder)

    return written_and_read


def test_a_document_reads_back_as_it_was_written(read):
    assert read(GOOD.as_json()) == GOOD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": "0.5"}, "values: Input should be a valid"),
        ({"values": [0, "0.25", 0.5, 1]}, "values.1: Input should be a valid number"),
        ({"parties": [1, 2]}, "parties.0: Input should be a valid string"),
        ({"scores": None}, "scores: Input should be a valid"),
        ({"seeds": [1.5]}, "seeds.0: Input should be a valid integer"),
        ({"wish": 1}, "wish: "),
        ({"source": None}, "source: Input should be a valid string"),
    ],
)
def test_fields_of_another_type_are_refused_by_name(read, change, words):
    with pytest.raises(TamperedFile, match=f"train/values.json: {words}"):
        read(GOOD.as_json() | change)


@pytest.mark.parametrize("content", [[], 5, "x", None])
def test_what_is_no_object_is_refused(read, content):
    with pytest.raises(TamperedFile, match=r"train/values.json: "):
        read(content)


def test_a_missing_field_is_named(read):
    content = GOOD.as_json()
    del content["scores"]
    with pytest.raises(TamperedFile, match="scores: Field required"):
        read(content)
