"""Whole rounds on a real node, by the command line: the same figures, the same safety."""

import json
import re

import pytest

from settlement.chain.delivery import log_of
from settlement.chain.journal import JOURNAL_NAME, read_journal
from settlement.chain.keys import write_keystore
from settlement.escrow.artifacts import artifact
from settlement.escrow.interface import Interface
from tests.integration.test_round import kill_when
from tests.settlement.chain.anvil import (
    ADDRESSES,
    CHAIN_ID,
    KEY_VARIABLES,
    KEYS,
)
from tests.settlement.chain.faulty_proxy import faulty_proxy

DEPOSITS_UNITS = [200_000, 500_000, 600_000]


@pytest.fixture
def on_node(fairround, tmp_path):
    """Writes a three-party round for an endpoint; all keys are in the environment."""
    fairround.environment |= KEY_VARIABLES

    def write(address, **settings):
        folder = tmp_path / "round"
        fairround("init", folder, "--template", "three-parties")
        config = folder / "round.toml"
        fairround.environment["FAIRROUND_ENDPOINT"] = address
        operator = json.dumps(ADDRESSES["operator"])
        lines = {"chain_id": CHAIN_ID, "operator": operator} | settings
        chain = "\n".join(f"{key} = {value}" for key, value in lines.items())
        text, changes = re.subn(r'provider = "in-process".*', chain, config.read_text())
        assert changes == 1
        for party, name in enumerate("abc"):
            account = f'address = "{ADDRESSES[f"party/{party}"]}"'
            text = text.replace(f'name = "{name}"', f'name = "{name}"\n{account}')
        config.write_text(text)
        return folder

    return write


def figures(result):
    names = ("deposit_units", "adjustment_factor", "payoff", "net_position_units")
    return [[party[name] for name in names] for party in result["parties"]]


def labels(folder, kind):
    path = folder / "chain" / JOURNAL_NAME
    entries = read_journal(path).entries if path.exists() else ()
    return [entry["label"] for entry in entries if entry.kind == kind]


def settlements_on(node, folder):
    """How many settlements of a round the escrow has logged."""
    opened = json.loads((folder / "open" / "round.json").read_text())
    interface = Interface(artifact().abi)
    topics = [None, f"0x{opened['round_id']:064x}"]
    asked = {"address": opened["escrow"], "fromBlock": "0x0", "topics": topics}
    logs = node.ask("eth_getLogs", asked)
    decoded = [interface.decode_log(log_of(log)) for log in logs]
    return sum(1 for event in decoded if event is not None and event[0] == "Settled")


def test_round_on_a_node_has_the_figures_of_the_round_in_process(
    fairround, on_node, node, tmp_path
):
    fairround("init", tmp_path / "here", "--template", "three-parties")
    here = json.loads(fairround("run", tmp_path / "here", "--json"))
    folder = on_node(node.address)
    there = json.loads(fairround("run", folder, "--json"))
    assert figures(there) == figures(here)
    assert [party[0] for party in figures(there)] == DEPOSITS_UNITS
    assert there["left_units"] == 0
    assert "ok    settlement" in fairround("verify", folder)
    assert settlements_on(node, folder) == 1


def test_round_on_a_node_killed_again_and_again_settles_once(fairround, on_node, node):
    folder = on_node(node.address)
    killed = 0
    for kind, count in (("send", 2), ("receipt", 4), ("send", 6), ("send", 7)):
        process = fairround.start("run", folder)
        killed += kill_when(process, lambda: _counted(folder, kind) >= count)  # noqa: B023
    assert killed >= 1
    fairround("run", folder)
    assert settlements_on(node, folder) == 1
    assert len(set(labels(folder, "receipt"))) == len(labels(folder, "receipt"))
    fairround("verify", folder)


def _counted(folder, kind):
    """Lines of a kind, read while another process writes them."""
    path = folder / "chain" / JOURNAL_NAME
    return path.read_bytes().count(b'"kind":"%s"' % kind.encode()) if path.exists() else 0


def test_round_on_a_node_that_loses_three_replies_in_ten_settles_once(fairround, on_node, node):
    with faulty_proxy(node.address, lost=0.3, seed=11) as proxy:
        folder = on_node(proxy.address)
        result = json.loads(fairround("run", folder, "--json"))
        assert proxy.lost_replies > 0
    assert [party[0] for party in figures(result)] == DEPOSITS_UNITS
    assert settlements_on(node, folder) == 1


@pytest.mark.parametrize("depth", [1, 6])
def test_round_whose_blocks_were_reorganised_goes_on(fairround, on_node, node, depth):
    node.mine(8)
    folder = on_node(node.address)
    for stage in ("train", "open"):
        fairround(stage, folder)
    opened = labels(folder, "receipt")
    node.reorganise(depth)
    fairround("run", folder)
    assert settlements_on(node, folder) == 1
    assert labels(folder, "reorganised") == opened[-depth:]
    fairround("verify", folder)


def test_keys_come_from_encrypted_files_and_a_wrong_password_sends_nothing(
    fairround, on_node, node, tmp_path
):
    for variable in KEY_VARIABLES:
        fairround.environment.pop(variable)
    folder = on_node(node.address)
    keystore = tmp_path / "config" / "fairround" / "keys"
    for number, key in enumerate(KEYS.values()):
        write_keystore(keystore, f"key-{number}", bytes.fromhex(key), "right", iterations=2)
    before = node.head()
    fairround.environment["FAIRROUND_PASSWORD"] = "wrong"
    assert "the password is wrong; nothing was signed" in fairround("run", folder, code=1).replace(
        "\n", " "
    )
    assert node.head() == before
    fairround.environment["FAIRROUND_PASSWORD"] = "right"
    fairround("run", folder)
    assert settlements_on(node, folder) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chain_id": 1}, "serves chain 31337; the round is for chain 1"),
        ({"provider": '"http://127.0.0.1:8545"'}, "expected 'in-process'"),
        ({"confirmations": 1}, "confirmations: unknown key"),
    ],
)
def test_wrong_chain_is_refused_before_anything_is_sent(fairround, on_node, node, settings, words):
    folder = on_node(node.address, **settings)
    before = node.head()
    assert words in fairround("run", folder, code=1).replace("\n", " ")
    assert node.head() == before
    assert not (folder / "open").exists()
