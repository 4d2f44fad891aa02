import io
import json
import shutil
import zipfile

import pytest

from settlement.party.packages import PackageRefused, collect, pack, received_reward
from settlement.store.folder import RoundFolder, TamperedFile, dump_json, sha256_of
from tests.settlement.config.test_terms import TERMS


@pytest.fixture
def settled(tmp_path):
    """A round's folder with every stage, two parties' rewards, a journal and signatures."""
    root = tmp_path / "operator"
    root.mkdir()
    (root / "round.toml").write_text("[round]\n")
    folder = RoundFolder(root)
    before = []
    for stage, files in (
        ("train", {"values.json": b"{}", "game.json": b"{}"}),
        ("open", {"terms.json": dump_json(TERMS), "round.json": b"{}"}),
        ("allocate", {"allocation.json": b"{}"}),
        ("settle", {"settlement.json": b"{}"}),
        (
            "reward",
            {
                f"{k}-{n}.{end}": f"{n} {end}".encode()
                for k, n in enumerate("ab")
                for end in ("safetensors", "json")
            },
        ),
        ("report", {"report.txt": b"done"}),
    ):
        with folder.write_stage(stage, inputs=before) as path:
            for name, content in files.items():
                (path / name).write_bytes(content)
            if stage == "reward":
                entries = [
                    {
                        "party": k,
                        "file": f"{k}-{n}.safetensors",
                        "sha256": sha256_of(path / f"{k}-{n}.safetensors"),
                    }
                    for k, n in enumerate("ab")
                ]
                (path / "rewards.json").write_bytes(dump_json({"rewards": entries}))
        before.append(stage)
    (root / "chain").mkdir()
    (root / "chain" / "journal.jsonl").write_text("secret\n")
    (root / "signatures").mkdir()
    (root / "signatures" / "0.json").write_text("{}")
    return folder


def test_a_party_gets_what_it_needs_and_nobody_elses_reward(settled, tmp_path):
    names = pack(settled, tmp_path / "b.zip", "b")
    assert set(names) == {
        "round.toml",
        *(f"{stage}/seal.json" for stage in ("train", "open", "allocate", "settle")),
        "train/values.json",
        "train/game.json",
        "open/terms.json",
        "open/round.json",
        "allocate/allocation.json",
        "settle/settlement.json",
        "received/reward.json",
        "received/1-b.safetensors",
        "received/1-b.json",
    }
    content = (tmp_path / "b.zip").read_bytes()
    assert b"secret" not in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not any(b"a safetensors" in archive.read(name) for name in names)


def test_a_public_package_holds_no_reward_at_all(settled, tmp_path):
    names = pack(settled, tmp_path / "public.zip", None)
    assert not [name for name in names if "safetensors" in name or name.startswith("re")]


def test_a_package_is_the_same_to_the_last_byte_whenever_it_is_written(settled, tmp_path):
    pack(settled, tmp_path / "one.zip", "a")
    pack(settled, tmp_path / "two.zip", "a")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_package_unpacks_into_a_round_whose_seals_hold(settled, tmp_path):
    names = pack(settled, tmp_path / "a.zip", "a")
    party = RoundFolder(tmp_path / "party")
    assert set(collect(party, tmp_path / "a.zip")) == set(names)
    party.require_config()
    for stage in ("train", "open", "allocate", "settle"):
        party.stage(stage)
    assert received_reward(party, 0).read_bytes() == b"a safetensors"
    assert received_reward(party, 1) is None
    assert collect(party, tmp_path / "a.zip") == []
    assert not [path for path in party.path.iterdir() if path.name.startswith(".")]


def test_stages_that_come_later_join_those_that_are_there(settled, tmp_path):
    early = RoundFolder(tmp_path / "early")
    early.path.mkdir()
    for name in ("round.toml",):
        (early.path / name).write_bytes((settled.path / name).read_bytes())
    for stage in ("train", "open"):
        (early.path / stage).mkdir()
        for path in (settled.path / stage).iterdir():
            (early.path / stage / path.name).write_bytes(path.read_bytes())
    pack(settled, tmp_path / "a.zip", "a")
    assert "settle/settlement.json" in collect(early, tmp_path / "a.zip")
    early.stage("settle")


def test_signatures_go_back_to_the_operator(settled, tmp_path):
    assert pack(settled, tmp_path / "back.zip", "operator") == ["signatures/0.json"]
    operator = RoundFolder(tmp_path / "other")
    collect(operator, tmp_path / "back.zip")
    assert (operator.path / "signatures" / "0.json").read_text() == "{}"


def archive_of(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/passwd",
        "train/../../outside",
        "train/./values.json",
        "train\\..\\..\\outside",
        "chain/journal.jsonl",
        "reward/0-a.safetensors",
        ".lock",
        "train/.hidden",
        "signatures",
        "received/a\x1b[2J",
        "other/file",
    ],
)
def test_a_name_that_no_package_holds_is_refused_and_nothing_is_unpacked(tmp_path, name):
    package = archive_of(tmp_path / "evil.zip", [("round.toml", b""), (name, b"evil")])
    folder = RoundFolder(tmp_path / "party")
    with pytest.raises(PackageRefused):
        collect(folder, package)
    assert list(folder.path.rglob("*")) == []
    assert not (tmp_path / "outside").exists()


def test_a_link_in_an_archive_becomes_a_file_with_its_target_as_text(tmp_path):
    info = zipfile.ZipInfo("signatures/0.json")
    info.external_attr = 0o120777 << 16  # a symbolic link, as zip spells it
    package = archive_of(tmp_path / "link.zip", [(info, b"/etc/passwd")])
    folder = RoundFolder(tmp_path / "party")
    collect(folder, package)
    path = folder.path / "signatures" / "0.json"
    assert not path.is_symlink()
    assert path.read_bytes() == b"/etc/passwd"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path):
    package = archive_of(tmp_path / "twice.zip", [("round.toml", b"1"), ("round.toml", b"2")])
    with pytest.raises(PackageRefused, match="twice"):
        collect(RoundFolder(tmp_path / "party"), package)


def test_a_file_that_is_another_here_is_not_replaced(settled, tmp_path):
    pack(settled, tmp_path / "a.zip", "a")
    folder = RoundFolder(tmp_path / "party")
    folder.path.mkdir()
    folder.config_path.write_text("mine")
    with pytest.raises(PackageRefused, match="another than the package's"):
        collect(folder, tmp_path / "a.zip")
    assert folder.config_path.read_text() == "mine"
    assert sorted(path.name for path in folder.path.iterdir()) == ["round.toml"]


def test_a_stage_that_does_not_agree_with_its_seal_is_refused(settled, tmp_path):
    pack(settled, tmp_path / "a.zip", "a")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    forged = [(n, b"forged" if n == "train/values.json" else c) for n, c in files]
    folder = RoundFolder(tmp_path / "party")
    with pytest.raises(Exception, match=r"train/values\.json has SHA-256"):
        collect(folder, archive_of(tmp_path / "forged.zip", forged))
    assert list(folder.path.rglob("*")) == []


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_package_is_named(settled, tmp_path, cut):
    pack(settled, tmp_path / "a.zip", "a")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[:cut])
    with pytest.raises(PackageRefused, match="no package, or damaged"):
        collect(RoundFolder(tmp_path / "party"), tmp_path / "cut.zip")


def test_attack_a_link_among_the_signatures_takes_no_file_of_its_owners_along(settled, tmp_path):
    """Whoever handed out the folder would get the keystore back with the signatures."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "me.json").write_text("key")
    signatures = settled.path / "signatures"
    (signatures / "1.json").symlink_to(keys / "me.json")
    with pytest.raises(TamperedFile, match=r"signatures/1\.json is a link"):
        pack(settled, tmp_path / "one.zip", "operator")
    shutil.rmtree(signatures)
    signatures.symlink_to(keys)
    with pytest.raises(TamperedFile, match="signatures is a link"):
        pack(settled, tmp_path / "all.zip", "operator")
    assert not list(tmp_path.glob("*.zip"))


def test_attack_a_linked_list_of_parties_takes_no_file_along(settled, tmp_path):
    """No seal names it in a round whose parties stand in the configuration."""
    (tmp_path / "key.json").write_text("key")
    (settled.path / "parties.csv").symlink_to(tmp_path / "key.json")
    with pytest.raises(TamperedFile, match=r"parties\.csv is a link"):
        pack(settled, tmp_path / "public.zip", None)
    assert not list(tmp_path.glob("*.zip"))


def test_attack_a_package_lands_in_no_folder_that_a_link_leads_to(settled, tmp_path):
    pack(settled, tmp_path / "a.zip", "a")
    keys = tmp_path / "keys"
    keys.mkdir()
    party = RoundFolder(tmp_path / "party")
    party.path.mkdir()
    (party.path / "received").symlink_to(keys)
    with pytest.raises(TamperedFile, match="received is a link"):
        collect(party, tmp_path / "a.zip")
    assert list(keys.iterdir()) == []


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_whose_bytes_cannot_be_unpacked_is_named(tmp_path, kind):
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("signatures/0.json", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    for k in range(60, 80):
        content[k] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(PackageRefused, match=r"broken\.zip"):
        collect(RoundFolder(tmp_path / "party"), path)


def test_a_file_below_a_file_is_refused(tmp_path):
    files = [("signatures/0", b""), ("signatures/0/deep/1.json", b"")]
    with pytest.raises(PackageRefused, match=r"signatures/0/deep twice, or below a file"):
        collect(RoundFolder(tmp_path / "party"), archive_of(tmp_path / "deep.zip", files))


def test_a_received_model_that_was_changed_is_not_handed_out(settled, tmp_path):
    pack(settled, tmp_path / "a.zip", "a")
    folder = RoundFolder(tmp_path / "party")
    collect(folder, tmp_path / "a.zip")
    (folder.path / "received" / "0-a.safetensors").write_bytes(b"worse")
    with pytest.raises(PackageRefused, match="not the file that was sent"):
        received_reward(folder, 0)


def test_a_party_that_is_none_is_named(settled, tmp_path):
    with pytest.raises(PackageRefused, match="No party 'x'"):
        pack(settled, tmp_path / "x.zip", "x")
    assert json.loads(dump_json(TERMS))["parties"][0]["name"] == "a"
