import json

import pytest

from settlement.store import folder as store
from settlement.store.folder import (
    OtherLayout,
    RoundBusy,
    RoundFolder,
    StageMissing,
    TamperedFile,
    dump_json,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "round.toml").write_text("[round]\n")
    folder = RoundFolder(tmp_path)
    with folder.write_stage("open", inputs=[]) as path:
        (path / "terms.json").write_bytes(dump_json({"n": 3}))
    with folder.write_stage("train", inputs=["open"]) as path:
        (path / "values.json").write_bytes(dump_json({"values": [0.0, 0.25]}))
    return folder


def test_a_written_stage_reads_back(folder):
    assert folder.read_json("train", "values.json") == {"values": [0.0, 0.25]}


def write_half_a_stage(folder):
    with folder.write_stage("allocate", inputs=["train"]) as path:
        (path / "allocation.json").write_text("{}")
        raise InterruptedError


def test_a_stage_that_fails_half_way_is_not_there(folder):
    with pytest.raises(InterruptedError):
        write_half_a_stage(folder)
    assert not folder.has("allocate")
    with pytest.raises(StageMissing, match="fairround allocate"):
        folder.stage("allocate")


def every_file(folder):
    return sorted(
        p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*") if p.is_file()
    )


def test_every_changed_byte_of_every_file_is_noticed_and_named(folder):
    for name in every_file(folder):
        path = folder.path / name
        intact = path.read_bytes()
        for position in range(len(intact)):
            changed = bytearray(intact)
            changed[position] ^= 1
            path.write_bytes(changed)
            with pytest.raises(TamperedFile, match=name):
                folder.stage("train")
        path.write_bytes(intact)
    folder.stage("train")


def test_a_lost_file_is_named(folder):
    (folder.path / "open" / "terms.json").unlink()
    with pytest.raises(TamperedFile, match=r"open/terms\.json is missing"):
        folder.stage("train")


def test_an_added_file_is_named(folder):
    (folder.path / "train" / "more.json").write_text("{}")
    with pytest.raises(TamperedFile, match=r"train/more\.json is not in the stage's seal"):
        folder.stage("train")


def test_a_locked_round_refuses_a_second_holder(folder):
    with folder.lock(), pytest.raises(RoundBusy), RoundFolder(folder.path).lock():
        pass


def test_numbers_that_json_does_not_have_are_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json({"budget": float("inf")})


def test_floats_read_back_exactly():
    assert json.loads(dump_json([0.1 + 0.2])) == [0.1 + 0.2]


def test_a_stage_that_lost_its_seal_is_not_written_over(folder):
    (folder.path / "train" / "seal.json").unlink()
    with (
        pytest.raises(TamperedFile, match=r"train/ holds values\.json but no seal\.json"),
        folder.write_stage("train", inputs=["open"]),
    ):
        pass
    assert (folder.path / "train" / "values.json").exists()


def seal_again(path, change):
    """What a forger does, or another version: a seal of other content that agrees with itself."""
    seal = json.loads(path.read_text())
    del seal["seal"]
    change(seal)
    path.write_bytes(dump_json(seal | {"seal": store._digest(seal)}))


@pytest.mark.parametrize("layout", [None, 1, 2, 4])
def test_a_folder_of_another_layout_is_refused_by_name(folder, layout):
    def change(seal):
        del seal["layout"]
        if layout:
            seal["layout"] = layout

    seal_again(folder.path / "train" / "seal.json", change)
    named = rf"round of layout {layout or 1} \(train/seal\.json\); this version reads layout 3"
    with pytest.raises(OtherLayout, match=named):
        folder.require_config()
    with pytest.raises(OtherLayout):
        folder.stage("train")


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "a/../../outside.json"])
@pytest.mark.parametrize("list_", ["files", "inputs"])
def test_a_seal_that_names_a_file_outside_the_round_is_refused(folder, name, list_):
    seal_again(folder.path / "train" / "seal.json", lambda seal: seal[list_].update({name: "0"}))
    with pytest.raises(TamperedFile, match=r"train/seal\.json does not agree"):
        folder.stage("train")
