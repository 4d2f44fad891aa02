from __future__ import annotations

import json
import os
import stat

import pytest
from eth_account import Account

from settlement.chain.errors import KeystoreError, UnknownAccount
from settlement.chain.keys import KeyRing, list_keys, write_keystore

KEY = bytes([7] * 32)
ADDRESS = Account.from_key(KEY).address
OTHER = Account.from_key(bytes([8] * 32)).address
ADDRESSES = {"operator": OTHER, "party/0": ADDRESS.lower()}


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    for variable in os.environ:
        if variable.startswith(("FAIRROUND_PASSWORD", "FAIRROUND_KEY")):
            monkeypatch.delenv(variable)


@pytest.fixture
def keystore(tmp_path):
    write_keystore(tmp_path, "clinic-a", KEY, "right", iterations=2)
    return tmp_path


def test_a_key_is_found_by_the_address_of_its_account(keystore, monkeypatch):
    """Whatever the file is called, and beside files of other keys."""
    write_keystore(keystore, "another", bytes([9] * 32), "right", iterations=2)
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    account = KeyRing(ADDRESSES, keystore).account("party/0")
    assert (account.address, account.key) == (ADDRESS, KEY)
    with pytest.raises(UnknownAccount, match=f"No key of {OTHER}"):
        KeyRing(ADDRESSES, keystore).account("operator")


def test_the_keys_own_password_goes_before_the_common_one(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD_CLINIC_A", "right")
    monkeypatch.setenv("FAIRROUND_PASSWORD", "wrong")
    assert KeyRing(ADDRESSES, keystore).account("party/0").address == ADDRESS


def test_keystore_with_the_wrong_password_is_refused_by_name(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "wrong")
    with pytest.raises(KeystoreError, match=r"clinic-a\.json: the password is wrong; nothing was"):
        KeyRing(ADDRESSES, keystore).account("party/0")


def test_keystore_asks_for_a_password_that_the_environment_has_not(keystore):
    asked = []

    def ask(name: str) -> str:
        asked.append(name)
        return "right"

    ring = KeyRing(ADDRESSES, keystore, ask)
    assert ring.account("party/0").address == ADDRESS
    assert ring.account("party/0").address == ADDRESS
    assert asked == [f"key clinic-a ({ADDRESS})"]  # once
    with pytest.raises(KeystoreError, match="set FAIRROUND_PASSWORD_CLINIC_A or FAIRROUND_PASS"):
        KeyRing(ADDRESSES, keystore).account("party/0")


def test_address_is_known_without_a_key():
    assert KeyRing(ADDRESSES).address("party/0") == ADDRESS


def test_keystore_never_replaces_a_file_and_is_for_its_owner_alone(keystore):
    path = keystore / "clinic-a.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY.hex() not in path.read_text()
    with pytest.raises(KeystoreError, match="exists already"):
        write_keystore(keystore, "clinic-a", KEY, "other", iterations=2)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "new\nline"])
def test_a_key_has_a_plain_name(tmp_path, name):
    with pytest.raises(KeystoreError, match="is no name of a key"):
        write_keystore(tmp_path / "keys", name, KEY, "right", iterations=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"address": 5}', "\x00", "[" * 100_000])
def test_what_is_no_key_file_is_not_taken_for_one(keystore, content):
    (keystore / "junk.json").write_text(content)
    assert [(file.name, file.address) for file in list_keys(keystore)] == [("clinic-a", ADDRESS)]


@pytest.mark.parametrize("change", [{"crypto": 5}, {"crypto": {}}, {"version": 9}])
def test_a_damaged_key_file_is_refused_by_name(keystore, monkeypatch, change):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    path = keystore / "clinic-a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(KeystoreError, match=r"clinic-a\.json: "):
        KeyRing(ADDRESSES, keystore).account("party/0")


def test_keystore_that_lies_about_its_address_is_refused(keystore, monkeypatch):
    monkeypatch.setenv("FAIRROUND_PASSWORD", "right")
    path = keystore / "clinic-a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"address": OTHER[2:]}))
    with pytest.raises(KeystoreError, match=f"holds the key of {ADDRESS}"):
        KeyRing(ADDRESSES, keystore).account("operator")


@pytest.mark.parametrize("variable", ["FAIRROUND_KEY", "FAIRROUND_KEY_PARTY_0"])
def test_key_may_stand_in_the_environment(monkeypatch, variable):
    monkeypatch.setenv(variable, "0x" + KEY.hex())
    assert KeyRing(ADDRESSES).account("party/0").address == ADDRESS
    monkeypatch.setenv(variable, "0x1234")
    with pytest.raises(KeystoreError, match="expected 32 bytes in hex") as refusal:
        KeyRing(ADDRESSES).account("party/0")
    assert "1234" not in str(refusal.value)


def test_account_without_a_key_says_where_it_was_looked_for(keystore):
    with pytest.raises(UnknownAccount, match=rf"holds clinic-a \({ADDRESS}\), and no variable"):
        KeyRing(ADDRESSES, keystore).account("operator")
    with pytest.raises(UnknownAccount, match='No account "outsider" in the round'):
        KeyRing(ADDRESSES).account("outsider")
