"""What is the user's own comes from the user alone: flags, environment, file, in this order."""

import os
import shutil
from importlib.resources import files

import pytest

from settlement.config.reading import read_config
from settlement.config.settings import (
    Settings,
    SettingsError,
    environment_name,
    read_settings,
    user_folder,
)

OPERATOR = f"0x{'1' * 40}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user without settings, in an empty working folder."""
    for name in os.environ:
        if name.startswith("FAIRROUND_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own" / "fairround"


@pytest.fixture
def write(home):
    def write_text(text):
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(text)

    return write_text


def test_without_any_settings_the_defaults_hold(home):
    settings = read_settings()
    assert settings == Settings(keystore=str(home / "keys"))
    assert settings.endpoint is None


def test_a_flag_goes_before_the_environment_and_that_before_the_file(write, monkeypatch):
    write('endpoint = "http://file"\nmax_fee_gwei = 7\nconfirmations = 3\n')
    assert read_settings().endpoint == "http://file"
    monkeypatch.setenv("FAIRROUND_ENDPOINT", "http://environment")
    monkeypatch.setenv("FAIRROUND_MAX_FEE_GWEI", "8")
    found = read_settings(endpoint="http://flag", max_fee_gwei=None)
    assert (found.endpoint, found.max_fee_gwei, found.confirmations) == ("http://flag", 8, 3)


def test_the_file_lies_in_the_users_folder_wherever_that_is(home, monkeypatch, tmp_path):
    assert user_folder() == home
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".config" / "fairround"


def test_a_relative_keystore_starts_where_it_is_named(write, home, tmp_path, monkeypatch):
    write('keystore = "mine"\n')
    assert read_settings().keystore == str(home / "mine")
    monkeypatch.setenv("FAIRROUND_KEYSTORE", "here")
    assert read_settings().keystore == str(tmp_path / "here")
    assert read_settings(keystore="~/k").keystore == os.path.expanduser("~/k")


def test_all_faults_are_listed_at_once_each_with_its_source(write, monkeypatch):
    write('endpoint = "carrier pigeon"\n\nmax_fee = 3\nconfirmations = 0\n')
    monkeypatch.setenv("FAIRROUND_PRIORITY_FEE_GWEI", "many")
    monkeypatch.setenv("FAIRROUND_ALLOWED_MODULES", "good.one,../bad")
    with pytest.raises(SettingsError) as caught:
        read_settings(keystore=5, max_fee_gwei=0)
    lines = str(caught.value).splitlines()
    for expected in (
        "config.toml:1: endpoint: found carrier pigeon; expected an address",
        'config.toml:3: max_fee: unknown key; did you mean "max_fee_gwei"?',
        "config.toml:4: confirmations: found 0; expected at least 1",
        "FAIRROUND_PRIORITY_FEE_GWEI: found many; expected a whole number",
        "FAIRROUND_ALLOWED_MODULES: ",
        "--keystore: found 5; expected a text",
        "--max-fee-gwei: found 0; expected at least 1",
    ):
        assert any(line.startswith(expected) for line in lines), (expected, lines)
    assert len(lines) == 7


def test_a_tip_above_the_most_that_gas_may_cost_is_refused(write):
    write("priority_fee_gwei = 200\n")
    with pytest.raises(SettingsError, match="expected at most max_fee_gwei, 100"):
        read_settings()
    assert read_settings(max_fee_gwei=300).priority_fee_gwei == 200


def test_every_setting_has_a_variable_and_is_described():
    assert environment_name("max_fee_gwei") == "FAIRROUND_MAX_FEE_GWEI"
    assert all(field.description for field in Settings.model_fields.values())


def real_round(folder):
    folder.mkdir()
    text = files("settlement.config.templates").joinpath("three-parties.toml").read_text()
    text = text.replace('provider = "in-process"', f'chain_id = 5\noperator = "{OPERATOR}"')
    for name in "abc":
        text = text.replace(f'name = "{name}"', f'name = "{name}"\naddress = "{OPERATOR}"')
    (folder / "round.toml").write_text(text)
    return folder


def test_a_real_round_asks_the_users_own_node_at_the_users_own_price(tmp_path, write, home):
    config = read_config(real_round(tmp_path / "round") / "round.toml")
    with pytest.raises(SettingsError, match="no endpoint is set: give --endpoint"):
        config.chain_spec()
    write('endpoint = "http://mine"\nmax_fee_gwei = 3\nconfirmations = 2\n')
    spec = config.chain_spec()
    assert (spec.provider, spec.chain_id) == ("http://mine", 5)
    assert (spec.max_fee_wei, spec.confirmations) == (3 * 10**9, 2)
    assert spec.keystore == home / "keys"
    assert spec.addresses["operator"] == OPERATOR


@pytest.mark.parametrize(
    "line",
    [
        'provider = "http://operators.example"',
        'endpoint = "http://operators.example"',
        "max_fee_gwei = 1_000_000",
        "priority_fee_gwei = 1_000_000",
        'keystore = "keys"',
        'allowed_modules = ["os"]',
    ],
)
def test_a_rounds_folder_sets_nothing_of_the_users(tmp_path, line):
    """An operator's file made a deposit cost 95 ether, and sent it through the operator's node."""
    folder = real_round(tmp_path / "round")
    path = folder / "round.toml"
    path.write_text(path.read_text().replace("[chain]", f"[chain]\n{line}"))
    with pytest.raises(Exception, match=line.split(" ")[0]):
        read_config(path)


def test_settings_beside_a_round_are_not_read(tmp_path, monkeypatch):
    folder = real_round(tmp_path / "round")
    (folder / "config.toml").write_text('endpoint = "http://operators.example"\n')
    shutil.copytree(folder, tmp_path / "fairround")
    monkeypatch.chdir(folder)
    assert read_settings().endpoint is None


def test_a_simulated_round_needs_no_settings(tmp_path, write):
    write('endpoint = "broken\n')
    path = tmp_path / "round.toml"
    text = files("settlement.config.templates").joinpath("three-parties.toml").read_text()
    path.write_text(text)
    assert read_config(path).chain_spec().provider == "in-process"
