"""Files that somebody else wrote, changed at random: a named error, never a traceback or a hang."""

import json
import random
import re
import shutil
from importlib.resources import files

import pytest

from settlement.calculator.values_file import read_values
from settlement.chain.journal import read_journal
from settlement.config.reading import read_config
from settlement.config.settings import read_settings
from settlement.errors import SettlementError
from settlement.store.flows_file import read_flows
from settlement.store.folder import STAGES, RoundFolder, _digest, sha256_of
from tests.hostile import changed, refused, scrambled

TOML = ('""', '"x"', "[]", "{}", "-1", "0", "1e400", "nan", "true", "[[1]]", str(2**64), "[{}]")
KEYS = (
    *("labels", "ids", "share", "network", "hidden", "seeds", "source", "given", "chain_id"),
    *("flows", "parties"),
)


@pytest.mark.parametrize("name", ["three-parties", "digits", "estimate"])
def test_changed_configurations_are_refused_by_name(tmp_path, name):
    chance = random.Random(name)
    text = files("settlement.config.templates").joinpath(f"{name}.toml").read_text()
    path, n_refused = tmp_path / "round.toml", 0
    for _ in range(150):
        lines = text.splitlines()
        at = chance.randrange(len(lines))
        line = f"{chance.choice(KEYS)} = {chance.choice(TOML)}"
        if "=" in lines[at] and chance.random() < 0.6:
            lines[at] = f"{lines[at].partition('=')[0]}= {chance.choice(TOML)}"
        else:
            lines.insert(at, line)
        path.write_text("\n".join(lines))
        n_refused += refused(read_config, path)
        path.write_bytes(scrambled(text, chance))
        n_refused += refused(read_config, path)
    assert n_refused > 200


def test_changed_settings_are_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "fairround" / "config.toml"
    path.parent.mkdir()
    chance = random.Random(5)
    text = 'endpoint = "http://h"\nmax_fee_gwei = 3\nallowed_modules = ["a.b"]\nkeystore = "k"\n'
    for _ in range(150):
        path.write_bytes(scrambled(text, chance))
        refused(read_settings)
        key = chance.choice(["endpoint", "max_fee_gwei", "allowed_modules", "keystore", "other"])
        path.write_text(f"{key} = {chance.choice(TOML)}\n")
        refused(read_settings)


def test_changed_files_of_values_are_refused_by_name(tmp_path):
    chance = random.Random(1)
    document = {"parties": ["a", "b"], "values": [0, 0.25, 0.5, 1]}
    path, n_refused = tmp_path / "values.json", 0
    for _ in range(150):
        path.write_text(json.dumps(changed(document, chance)))
        n_refused += refused(read_values, path)
        path.write_bytes(scrambled(json.dumps(document), chance))
        n_refused += refused(read_values, path)
    assert n_refused > 150
    path.write_text('{"parties": ["a", "b"], "values": [0, 0, 0, 0], "values": [0, 1, 1, 1]}')
    with pytest.raises(SettlementError, match="the key 'values' is there twice"):
        read_values(path)


def test_changed_files_of_flows_and_of_parties_are_refused_by_name(tmp_path):
    chance = random.Random(6)
    flows = [[0, 0.35, 0.45], [0.15, 0, 0.35], [0.25, 0.35, 0]]
    document = {"flows": flows, "own_values": [0.2, 0.5, 0.4], "grand_value": 1.0}
    table = "party,own_value,grand_value,a,b\na,0.25,1,0,0.75\nb,0.5,1,0.5,0\n"
    parties = "name,budget,cap,address\na,0.5,,\nb,unlimited,0.9,\n"
    (tmp_path / "round.toml").write_text(
        '[round]\nname = "x"\nparties = "parties.csv"\n[values]\nflows = "flows.npz"\n'
    )
    n_refused = 0
    for _ in range(150):
        path = tmp_path / "flows.json"
        path.write_text(json.dumps(changed(document, chance)))
        n_refused += refused(read_flows, path)
        path.write_bytes(scrambled(json.dumps(document), chance))
        n_refused += refused(read_flows, path)
        path = tmp_path / "flows.csv"
        path.write_bytes(scrambled(table, chance))
        n_refused += refused(read_flows, path)
        (tmp_path / "parties.csv").write_bytes(scrambled(parties, chance))
        n_refused += refused(read_config, tmp_path / "round.toml")
    assert n_refused > 300


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished round of three parties."""
    from settlement.round.access import ChainAccess
    from settlement.round.round import Round

    folder = tmp_path_factory.mktemp("rounds") / "round"
    folder.mkdir()
    text = files("settlement.config.templates").joinpath("three-parties.toml").read_text()
    (folder / "round.toml").write_text(text)
    Round(folder, ChainAccess(read_settings)).run()
    return folder


def test_changed_seals_and_documents_are_refused_by_name(finished, tmp_path):
    """Also where the seal is made anew for what was changed, as an operator can."""
    from settlement.audit.audit import audit_round
    from settlement.round.access import ChainAccess
    from settlement.round.round import round_status

    chance = random.Random(3)
    found = [path for stage in STAGES for path in finished.glob(f"{stage}/*.json")]
    names = [path.relative_to(finished) for path in found]
    for _ in range(60):
        copy = tmp_path / "copy"
        shutil.copytree(finished, copy)
        path = copy / chance.choice(names)
        if chance.random() < 0.5:
            path.write_bytes(scrambled(path.read_text(), chance))
        else:
            path.write_text(json.dumps(changed(json.loads(path.read_text()), chance)))
        seal = path.with_name("seal.json")
        if path != seal and chance.random() < 0.7:
            body = json.loads(seal.read_text())
            del body["seal"]
            body["files"][path.name] = sha256_of(path)
            seal.write_text(json.dumps(body | {"seal": _digest(body)}))
        refused(round_status, copy)
        findings = audit_round(copy, ChainAccess(read_settings))
        assert any(finding.trouble for finding in findings), path
        refused(RoundFolder(copy).stage, path.parent.name)
        shutil.rmtree(copy)


def test_changed_journals_are_refused_by_name(finished, tmp_path):
    chance = random.Random(4)
    lines = (finished / "chain" / "journal.jsonl").read_text().splitlines(keepends=True)
    path, n_refused = tmp_path / "journal.jsonl", 0
    for _ in range(150):
        at = chance.randrange(len(lines))
        parts = [line.encode() for line in lines]
        parts[at] = scrambled(lines[at].rstrip("\n"), chance) + b"\n"
        path.write_bytes(b"".join(parts))
        n_refused += refused(read_journal, path)
    assert n_refused > 140


def test_deep_json_in_a_seal_hides_no_other_round(finished, fairround, tmp_path):
    """It ended `list` for all rounds, with a segmentation fault once py-evm was loaded."""
    for name in ("good", "bad"):
        shutil.copytree(finished, tmp_path / "all" / name)
    (tmp_path / "all" / "bad" / "train" / "seal.json").write_text("[" * 1_000 + "]" * 1_000)
    (tmp_path / "all" / "bad" / "chain" / "journal.jsonl").write_text('{"a":' * 100_000 + "\n")
    output = fairround("list", tmp_path / "all")
    assert re.search(r"all/good\s+report", output)
    assert "Traceback" not in fairround("verify", tmp_path / "all" / "bad", code=1)


@pytest.mark.parametrize("name", [".lock", "chain/journal.jsonl", "chain", "signatures"])
def test_attack_a_link_in_a_folder_leads_to_no_file_of_whoever_reads_it(
    finished, fairround, tmp_path, name
):
    """`quote` emptied the file behind a linked lock, and a key without a last newline."""
    copy, keys = tmp_path / "copy", tmp_path / "keys"
    shutil.copytree(finished, copy)
    keys.mkdir()
    key = keys / "journal.jsonl"
    key.write_text('{"crypto": "my only key"}')
    linked = copy / name
    if linked.is_dir():
        shutil.rmtree(linked)
    linked.unlink(missing_ok=True)
    linked.symlink_to(key if linked.suffix or name == ".lock" else keys)
    refused = fairround("quote", copy, "--party", "a", code=1)
    assert f"{name} is a link" in refused.replace("\n", " ")
    assert key.read_text() == '{"crypto": "my only key"}'
    assert list(keys.iterdir()) == [key]


@pytest.mark.parametrize("name", [".lock", "chain/journal.jsonl"])
def test_attack_a_link_that_comes_after_the_look_at_the_folder_is_not_followed(
    finished, tmp_path, name
):
    from settlement.chain.journal import Journal

    copy, key = tmp_path / "copy", tmp_path / "key"
    shutil.copytree(finished, copy)
    key.write_text("my only key")
    (copy / name).unlink()
    (copy / name).symlink_to(key)
    opens = {".lock": RoundFolder(copy).lock().__enter__}
    opens["chain/journal.jsonl"] = lambda: Journal(copy / "chain")
    with pytest.raises(OSError, match="symbolic links"):
        opens[name]()
    assert key.read_text() == "my only key"


def test_attack_a_report_that_somebody_made_up_does_not_steer_the_terminal(
    finished, fairround, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "report" / "report.txt").write_text("paid \x1b[2J\x1b]0;all\x07 well\nline\n")
    seal = copy / "report" / "seal.json"
    body = json.loads(seal.read_text())
    del body["seal"]
    body["files"]["report.txt"] = sha256_of(copy / "report" / "report.txt")
    seal.write_text(json.dumps(body | {"seal": _digest(body)}))
    shown = fairround("show", copy)
    assert shown.endswith("paid [2J]0;all well\nline\n")


def test_attack_a_folder_that_changes_while_it_is_copied_gets_no_deposit(
    finished, tmp_path, monkeypatch
):
    """A party that kept the files of another round could neither settle nor leave by itself."""
    from settlement.audit.findings import AuditError
    from settlement.party.consent import keep_copy
    from settlement.store.documents import OpenedRound

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = RoundFolder(finished)
    kept = keep_copy(folder, OpenedRound.read(folder).agreement)
    assert (kept / "train" / "game.json").is_file()
    with pytest.raises(AuditError, match=r"was changed while it was copied"):
        keep_copy(folder, "12" * 32)
