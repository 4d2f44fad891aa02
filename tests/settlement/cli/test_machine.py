"""Keys, settings and doctor: what is the user's own, by the command line."""

import json
import stat

import pytest
from eth_account import Account

KEY = "07" * 32
ADDRESS = Account.from_key(bytes.fromhex(KEY)).address


@pytest.fixture
def own(fairround, tmp_path):
    fairround.environment["FAIRROUND_PASSWORD"] = "secret words"
    return tmp_path / "config" / "fairround"


def test_a_new_key_is_kept_for_its_owner_and_its_address_is_told(fairround, own):
    told = json.loads(fairround("keys", "new", "clinic-a", "--json"))
    path = own / "keys" / "clinic-a.json"
    assert told["file"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = Account.decrypt(json.loads(path.read_text()), "secret words")
    assert Account.from_key(key).address == told["address"]
    listed = json.loads(fairround("keys", "list", "--json"))
    assert listed == [{"name": "clinic-a", "address": told["address"]}]
    assert "exists already" in fairround("keys", "new", "clinic-a", code=1)


def test_a_key_of_another_program_is_brought_with_its_password(fairround, own, tmp_path):
    file = tmp_path / "UTC--key"
    file.write_text(json.dumps(Account.encrypt(bytes.fromhex(KEY), "secret words", iterations=2)))
    assert ADDRESS in fairround("keys", "import", "mine", file)
    assert ADDRESS in fairround("keys", "list")
    fairround.environment["FAIRROUND_PASSWORD"] = "wrong"
    assert "the password is wrong" in fairround("keys", "import", "again", file, code=1)
    file.write_text("[" * 1000)
    assert "nested deeper" in fairround("keys", "import", "again", file, code=1)


def test_a_key_is_typed_in_and_never_shown(fairround, own):
    process = fairround.start("keys", "import", "typed")
    output, errors = process.communicate(f"0x{KEY}\n", timeout=100)
    assert process.returncode == 0, errors
    assert ADDRESS in output
    assert KEY not in output + errors
    process = fairround.start("keys", "import", "bad")
    output, errors = process.communicate("0x1234\n", timeout=100)
    assert process.returncode == 1
    assert "does not hold a key" in errors
    assert "1234" not in errors


def test_settings_are_shown_with_where_they_come_from(fairround, own):
    assert "endpoint            -  (default)" in fairround("config")
    fairround("config", "--init")
    assert "(default)" in fairround("config")
    assert "is there already" in fairround("config", "--init", code=1)
    (own / "config.toml").write_text('endpoint = "https://user:pass@host:8545/v1/token"\n')
    fairround.environment["FAIRROUND_MAX_FEE_GWEI"] = "7"
    output = fairround("config")
    assert f"https://host:8545/...  ({own / 'config.toml'})" in output
    assert "max_fee_gwei        7  (FAIRROUND_MAX_FEE_GWEI)" in output
    assert not {"pass", "token"} & set(output.replace("/", " ").replace(":", " ").split())
    (own / "config.toml").write_text("max_fee = 1\n")
    assert 'did you mean "max_fee_gwei"?' in fairround("config", code=1)


def test_the_doctor_finds_what_is_wrong(fairround, own):
    found = {item["subject"]: item for item in json.loads(fairround("doctor", "--json"))}
    assert found["packages"]["verdict"] == "ok"
    assert found["node"]["verdict"] == found["keys"]["verdict"] == "note"
    fairround("keys", "new", "open")
    (own / "keys" / "open.json").chmod(0o644)
    output = fairround("doctor", "--endpoint", "http://127.0.0.1:9/secret", code=1)
    assert "WRONG keys" in output
    assert "chmod 600" in output
    assert "WRONG node" in output
    assert "secret" not in output
    (own / "config.toml").write_text("confirmations = 0\n")
    assert "WRONG settings" in fairround("doctor", code=1)
