from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from settlement.escrow.artifacts import artifact, compiled_text
from settlement.escrow.deployment import escrow_address
from settlement.escrow.gas_limits import TRANSACTION
from settlement.posting.format import (
    FACTOR_ONE,
    MAX_EXCHANGE_RATE,
    NO_CAP,
    SLACK,
    VALUE_SCALE,
    flow_scale,
)

CONTRACTS = files("contracts")
ROOT = Path(__file__).resolve().parents[2]
MODULES = ("assets", "consent", "fairness", "ledger", "refusals", "rounds", "signatures")
SIZE_LIMIT = 24_576
LINTER = os.environ.get("FAIRROUND_ERC7730") or shutil.which("erc7730")
"""The standard's own linter (ERC-7730), which wants a Python and an environment of its own."""


def source(name):
    return (CONTRACTS / f"{name}.vy").read_text()


def test_the_committed_abi_is_that_of_the_sources():
    committed = json.loads((CONTRACTS / "abi" / "Escrow.json").read_text())
    assert committed == json.loads(json.dumps(artifact().abi))


def test_the_shipped_code_is_what_the_sources_compile_to():
    """After a change of a contract: scripts/upkeep/compile_contracts.py."""
    assert (CONTRACTS / "compiled" / "Escrow.json").read_text() == compiled_text()


def test_the_interface_names_every_function_of_the_abi():
    declared = re.findall(r"^def (\w+)\(", (CONTRACTS / "interfaces/IEscrow.vyi").read_text(), re.M)
    functions = [item["name"] for item in artifact().abi if item["type"] == "function"]
    assert sorted(declared) == sorted(functions)


def test_there_is_no_owner_no_pause_and_no_upgrade():
    names = {item.get("name", "") for item in artifact().abi}
    assert not [n for n in names if re.search("owner|pause|upgrade|admin|set_|kill", n)]
    assert not [item for item in artifact().abi if item["type"] == "constructor"]


def test_the_contract_fits_the_size_limit(shared_arena):
    size = len(shared_arena.chain.code(shared_arena.client.address))
    assert 20_000 < size <= SIZE_LIMIT


def test_nothing_that_is_deployed_imports_from_outside():
    """snekmate is AGPL: it is what the tests hold `signatures` against, and no more."""
    allowed = {*MODULES, "from ethereum.ercs import IERC20"}
    for name in ("Escrow", *MODULES):
        for line in re.findall(r"^(?:import|from) .*$", source(name), re.M):
            assert line.removeprefix("import ") in allowed, f"{name}: {line}"


def test_every_refusal_is_a_sentence_of_the_escrow():
    for name in ("Escrow", *MODULES):
        text = source(name)
        assert not re.findall(r"^ +assert ", text, re.M), name
        for statement in re.findall(r"refusals\._refuse\((.*)\)", text):
            assert re.fullmatch(r'"escrow: [a-z0-9 ]+"', statement), statement


def test_every_event_has_the_round_as_its_first_topic():
    for item in artifact().abi:
        if item["type"] == "event":
            assert item["inputs"][0]["name"] == "round_id"
            assert item["inputs"][0]["indexed"]


def test_scales_are_the_same_on_both_sides():
    text = source("fairness")
    numbers = dict(re.findall(r"^(\w+): constant\(uint256\) = (.*)$", text, re.M))
    assert eval(numbers["VALUE_SCALE"]) == VALUE_SCALE
    assert eval(numbers["ONE"]) == FACTOR_ONE
    assert eval(numbers["NO_CAP"]) == NO_CAP
    assert eval(numbers["SLACK"]) == SLACK
    rate = re.search(r"MAX_EXCHANGE_RATE: constant\(uint256\) = (.*)", source("Escrow"))[1]
    assert eval(rate) == MAX_EXCHANGE_RATE
    (scales,) = re.findall(r"FLOW_SCALES.* = \[(.*)\]", text)
    assert [int(s) for s in scales.split(",")][2:] == [flow_scale(n) for n in range(2, 9)]
    assert TRANSACTION == 2**24


def described(name):
    text = (CONTRACTS / "wallets" / f"{name}-Escrow.json").read_text()
    found = json.loads(text)
    (place,) = next(iter(found["context"].values()))["deployments"]
    assert place["address"] == escrow_address()
    return found["display"]["formats"]


def test_what_wallets_show_is_what_the_script_writes():
    script = ROOT / "scripts" / "upkeep" / "describe_for_wallets.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)


@pytest.mark.skipif(LINTER is None, reason="no erc7730; see scripts/upkeep/describe_for_wallets.py")
def test_what_wallets_show_is_of_the_standards_form(tmp_path):
    """Its own models read both files; of each a copy with an unknown format of a field fails."""

    def lint(folder):
        command = [str(LINTER), "lint", "--v2", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    done = lint(CONTRACTS / "wallets")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (CONTRACTS / "wallets").glob("*.json"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace('"format": "raw"', '"format": "rough"', 1))
        assert lint(tmp_path / path.name).returncode == 1


def test_wallets_show_every_argument_of_a_call_under_its_name():
    abi = {
        entry["name"]: [(item["type"], item["name"]) for item in entry["inputs"]]
        for entry in artifact().abi
        if entry["type"] == "function"
    }
    formats = described("calldata")
    assert {signature.split("(")[0] for signature in formats} >= {"deposit", "withdraw", "close"}
    for signature, shown in formats.items():
        name, arguments = signature.removesuffix(")").split("(")
        assert [tuple(item.split(" ")) for item in arguments.split(",")] == abi[name]
        paths = [field["path"] for field in shown["fields"] if field["path"] != "@.value"]
        assert paths == [argument for _, argument in abi[name]]
        assert len(shown["intent"]) <= 30
        assert all(len(field["label"]) <= 20 for field in shown["fields"])


def test_wallets_show_every_field_that_the_contract_hashes():
    """The contract's own type strings are the keys: a name that differs fits no signature."""
    formats = described("eip712")
    assert sorted(formats) == sorted(re.findall(r'"(\w*Settlement\([^"]*)"', source("consent")))
    for encoded, shown in formats.items():
        fields = [item.split(" ")[1] for item in re.findall(r"\w+(?:\[\])? \w+", encoded)]
        seen = {part for field in shown["fields"] for part in field["path"].split(".[].")}
        assert seen == set(fields)
