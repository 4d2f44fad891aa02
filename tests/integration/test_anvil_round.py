"""Whole rounds on a real node, by the command line: the same figures, the same safety."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import pytest
from eth_account import Account

from settlement.chain import open_chain
from settlement.chain.delivery import log_of
from settlement.chain.journal import JOURNAL_NAME, read_journal
from settlement.chain.keys import write_keystore
from settlement.config.reading import party_account, read_config
from settlement.escrow.artifacts import artifact
from settlement.escrow.client import EscrowClient
from settlement.escrow.interface import Interface
from settlement.round.agreement import agreed_terms, contract_terms
from settlement.store.folder import dump_json
from tests.integration.test_round import kill_when
from tests.settlement.chain.anvil import (
    CHAIN_ID,
    KEY_VARIABLES,
    KEYS,
    find_anvil,
    running_anvil,
)
from tests.settlement.chain.faulty_proxy import faulty_proxy

DEPOSITS_UNITS = [200_000, 1_000_000, 1_000_000]


@pytest.fixture(scope="module")
def anvil():
    program = find_anvil()
    if program is None:
        pytest.skip("anvil is not installed; scripts/install_anvil.py puts it into .tools")
    with running_anvil(program) as node:
        yield node


@pytest.fixture
def on_node(fairround, tmp_path):
    """Writes a three-party round for an endpoint; its keys are in the environment."""
    fairround.environment |= KEY_VARIABLES

    def write(address, **settings):
        folder = tmp_path / "round"
        fairround("init", folder, "--template", "three-parties")
        config = folder / "round.toml"
        lines = {"provider": json.dumps(address), "chain_id": CHAIN_ID} | settings
        chain = "\n".join(f"{key} = {value}" for key, value in lines.items())
        text, changes = re.subn(r'provider = "in-process".*', chain, config.read_text())
        assert changes == 1
        config.write_text(text)
        return folder

    return write


def figures(result):
    names = ("deposit_units", "adjustment_factor", "payoff", "net_position_units")
    return [[party[name] for name in names] for party in result["parties"]]


def labels(folder, kind):
    path = folder / "chain" / JOURNAL_NAME
    return [entry["label"] for entry in read_journal(path).of_kind(kind)] if path.exists() else []


def settlements_on(node, folder):
    """How many settlements the escrow of a round has logged."""
    escrow = json.loads((folder / "open" / "round.json").read_text())["escrow"]
    interface = Interface(artifact().abi)
    logs = node.ask("eth_getLogs", {"address": escrow, "fromBlock": "0x0"})
    decoded = [interface.decode_log(log_of(log)) for log in logs]
    return sum(1 for event in decoded if event is not None and event[0] == "Settled")


def test_round_on_a_node_has_the_figures_of_the_round_in_process(
    fairround, on_node, anvil, tmp_path
):
    fairround("init", tmp_path / "here", "--template", "three-parties")
    here = json.loads(fairround("run", tmp_path / "here", "--json"))
    folder = on_node(anvil.address)
    there = json.loads(fairround("run", folder, "--json"))
    assert figures(there) == figures(here)
    assert [party[0] for party in figures(there)] == DEPOSITS_UNITS
    assert there["escrow_balance_wei"] == 0
    assert "ok    chain" in fairround("verify", folder)
    assert settlements_on(anvil, folder) == 1


def test_round_on_a_node_killed_again_and_again_settles_once(fairround, on_node, anvil):
    folder = on_node(anvil.address)
    killed = 0
    for kind, count in (("send", 2), ("receipt", 4), ("send", 6), ("send", 7)):
        process = fairround.start("run", folder)
        killed += kill_when(process, lambda: _counted(folder, kind) >= count)  # noqa: B023
    assert killed >= 1
    fairround("run", folder)
    assert settlements_on(anvil, folder) == 1
    assert len(set(labels(folder, "receipt"))) == len(labels(folder, "receipt"))
    fairround("verify", folder)


def _counted(folder, kind):
    """Lines of a kind, read while another process writes them."""
    path = folder / "chain" / JOURNAL_NAME
    return path.read_bytes().count(b'"kind":"%s"' % kind.encode()) if path.exists() else 0


def test_round_on_a_node_that_loses_three_replies_in_ten_settles_once(fairround, on_node, anvil):
    with faulty_proxy(anvil.address, lost=0.3, seed=11) as proxy:
        folder = on_node(proxy.address)
        result = json.loads(fairround("run", folder, "--json"))
        assert proxy.lost_replies > 0
    assert [party[0] for party in figures(result)] == DEPOSITS_UNITS
    assert settlements_on(anvil, folder) == 1


@pytest.mark.parametrize("depth", [1, 6])
def test_round_whose_blocks_were_reorganised_goes_on(fairround, on_node, anvil, depth):
    anvil.mine(8)
    folder = on_node(anvil.address)
    fairround("open", folder)
    opened = labels(folder, "receipt")
    anvil.reorganise(depth)
    fairround("run", folder)
    assert settlements_on(anvil, folder) == 1
    assert labels(folder, "reorganised") == opened[-depth:]
    fairround("verify", folder)


def test_keys_come_from_encrypted_files_and_a_wrong_password_sends_nothing(
    fairround, on_node, anvil, tmp_path
):
    for variable in KEY_VARIABLES:
        fairround.environment.pop(variable)
    folder = on_node(anvil.address, keystore='"keys"')
    for name, key in KEYS.items():
        write_keystore(folder / "keys", name, bytes.fromhex(key), "right", iterations=2)
    before = anvil.head()
    fairround.environment["FAIRROUND_PASSWORD"] = "wrong"
    assert "the password is wrong; nothing was signed" in fairround("run", folder, code=1).replace(
        "\n", " "
    )
    assert anvil.head() == before
    fairround.environment["FAIRROUND_PASSWORD"] = "right"
    fairround("run", folder)
    assert settlements_on(anvil, folder) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chain_id": 1}, "serves chain 31337; the round is for chain 1"),
        ({"provider": '"carrier pigeon"'}, "carrier pigeon"),
        ({"confirmations": 0}, "confirmations"),
    ],
)
def test_wrong_chain_is_refused_before_anything_is_sent(fairround, on_node, anvil, settings, words):
    folder = on_node(anvil.address, **settings)
    before = anvil.head()
    assert words in fairround("run", folder, code=1).replace("\n", " ")
    assert anvil.head() == before
    assert not (folder / "open").exists()


def test_parties_deposit_sign_and_withdraw_with_their_own_keys_in_copies_of_the_folder(
    fairround, on_node, anvil, tmp_path
):
    folder = on_node(anvil.address)
    keys = {name: fairround.environment.pop(name) for name in KEY_VARIABLES if "PARTY" in name}
    config = folder / "round.toml"
    text = config.read_text()
    for party, name in enumerate("abc"):
        address = Account.from_key(KEYS[f"party/{party}"]).address
        text = text.replace(f'name = "{name}"', f'name = "{name}"\naddress = "{address}"')
    config.write_text(text)
    assert "waits for deposits of a (200000 base units), b" in fairround("open", folder, code=1)

    def alone(party, verb, *options):
        """What a party runs in its own copy of the operator's folder, with its own key only."""
        copy = tmp_path / f"{verb}-{party}"
        shutil.copytree(folder, copy)
        variable = f"FAIRROUND_KEY_PARTY_{party}"
        fairround.environment[variable] = keys[variable]
        output = fairround(verb, copy, "--party", "abc"[party], *options)
        del fairround.environment[variable]
        return copy, output

    for party in range(3):
        assert "locked" in alone(party, "deposit")[1]
    for stage in ("open", "train", "allocate", "reward"):
        fairround(stage, folder)
    assert json.loads((folder / "open" / "round.json").read_text())["deposits_units"] == (
        DEPOSITS_UNITS
    )
    assert "missing: a, b, c" in fairround("settle", folder, code=1)
    (folder / "signatures").mkdir(exist_ok=True)
    for party in range(3):
        copy, _ = alone(party, "sign", "--yes")
        shutil.copy(copy / "signatures" / f"{party}.json", folder / "signatures")
    fairround("settle", folder)
    assert "1,112,500 base units" in alone(1, "withdraw")[1]
    assert settlements_on(anvil, folder) == 1
    fairround("report", folder)
    fairround("verify", folder)


def test_party_refuses_a_round_that_its_operator_opened_otherwise_under_the_agreed_hash(
    fairround, on_node, anvil, monkeypatch
):
    """The contract compares the hash alone: a thousandfold unit would take a thousandfold."""
    folder = on_node(anvil.address)
    config = read_config(folder / "round.toml")
    for variable, key in KEY_VARIABLES.items():
        monkeypatch.setenv(variable, key)
    with open_chain(folder / "chain", config.chain_spec()) as chain:
        operator = chain.account("operator")
        escrow = EscrowClient.deploy(chain, operator)
        addresses = [chain.address(party_account(party)) for party in range(len(config.parties))]
        agreed = agreed_terms(config, operator.address, addresses, chain.started_at, None)
        terms_hash = hashlib.sha256(dump_json(agreed)).digest()
        terms = contract_terms(config, chain.started_at, terms_hash)
        escrow.open_round(operator, replace(terms, unit_scale=1_000 * terms.unit_scale), addresses)
    refusal = fairround("deposit", folder, "--party", "a", code=1).replace("\n", " ")
    assert f"unit_scale is {1_000 * terms.unit_scale}; expected {terms.unit_scale}" in refusal
    with open_chain(folder / "chain", config.chain_spec(), read_only=True) as chain:
        assert chain.labels() == ("deploy/judge", "deploy", f"open/{terms_hash.hex()[:16]}")
