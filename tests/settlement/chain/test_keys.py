from __future__ import annotations

import json
import stat

import pytest
from eth_account import Account

from settlement.chain.errors import KeystoreError, UnknownAccount
from settlement.chain.keys import KeyRing, write_keystore

KEY = bytes([7] * 32)
ADDRESS = Account.from_key(KEY).address
OTHER = Account.from_key(bytes([8] * 32)).address
NAMES = ("operator", "party/0")


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    for variable in ("FAIRROUND_PASSWORD", "FAIRROUND_PASSWORD_PARTY_0", "FAIRROUND_KEY_PARTY_0"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def keystore(tmp_path):
    write_keystore(tmp_path, "party/0", KEY, "right", iterations=2)
    return tmp_path


def test_keystore_opens_with_its_password(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD_PARTY_0", "right")
    monkeypatch.setenv("FAIRROUND_PASSWORD", "wrong")  # the name's own goes first
    account = KeyRing(NAMES, keystore).account("party/0")
    assert account.address == ADDRESS
    assert account.key == KEY


def test_keystore_with_the_wrong_password_is_refused_by_name(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "wrong")
    with pytest.raises(KeystoreError, match=r"party-0\.json: the password is wrong; nothing was"):
        KeyRing(NAMES, keystore).account("party/0")


def test_keystore_asks_for_a_password_that_the_environment_has_not(keystore):
    asked = []

    def ask(name: str) -> str:
        asked.append(name)
        return "right"

    ring = KeyRing(NAMES, keystore, ask_password=ask)
    assert ring.account("party/0").address == ADDRESS
    assert ring.account("party/0").address == ADDRESS
    assert asked == ["party/0"]  # once
    with pytest.raises(KeystoreError, match="set FAIRROUND_PASSWORD_PARTY_0 or FAIRROUND_PASSWORD"):
        KeyRing(NAMES, keystore).account("party/0")


def test_address_is_known_without_the_password(keystore):
    assert KeyRing(NAMES, keystore).address("party/0") == ADDRESS
    assert KeyRing(NAMES, None, {"operator": OTHER.lower()}).address("operator") == OTHER


def test_keystore_never_replaces_a_file_and_is_for_its_owner_alone(keystore):
    path = keystore / "party-0.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY.hex() not in path.read_text()
    with pytest.raises(KeystoreError, match="exists already"):
        write_keystore(keystore, "party/0", KEY, "other", iterations=2)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"crypto": 5, "version": 3}', "\x00"])
def test_file_that_is_no_keystore_is_refused(keystore, monkeypatch, content):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    (keystore / "party-0.json").write_text(content)
    with pytest.raises(KeystoreError, match=r"party-0\.json: "):
        KeyRing(NAMES, keystore).account("party/0")


def test_keystore_that_lies_about_its_address_is_refused(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    path = keystore / "party-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"address": OTHER[2:]}))
    with pytest.raises(KeystoreError, match=f"holds the key of {ADDRESS}"):
        KeyRing(NAMES, keystore).account("party/0")


def test_key_of_another_address_than_the_config_names_is_refused(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    with pytest.raises(KeystoreError, match=f"belongs to {ADDRESS}; expected {OTHER}"):
        KeyRing(NAMES, keystore, {"party/0": OTHER}).account("party/0")


def test_key_may_stand_in_the_environment(monkeypatch):
    monkeypatch.setenv("FAIRROUND_KEY_PARTY_0", "0x" + KEY.hex())
    assert KeyRing(NAMES).account("party/0").address == ADDRESS
    monkeypatch.setenv("FAIRROUND_KEY_PARTY_0", "0x1234")
    with pytest.raises(KeystoreError, match="expected 32 bytes in hex") as refusal:
        KeyRing(NAMES).account("party/0")
    assert "1234" not in str(refusal.value)


def test_account_without_a_key_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(UnknownAccount, match=r"no file .*operator\.json, and FAIRROUND_KEY_OP"):
        KeyRing(NAMES, tmp_path).account("operator")
    with pytest.raises(UnknownAccount, match="no keystore folder is set"):
        KeyRing(NAMES).account("outsider")


def test_names_with_one_file_name_are_refused():
    with pytest.raises(KeystoreError, match="same file name; rename one"):
        KeyRing(("party/0", "party-0"))
