from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from settlement.escrow.artifacts import artifact
from settlement.posting.format import Fault, flow_scale

CONTRACTS = files("contracts")
SIZE_LIMIT = 24_576


@pytest.mark.parametrize("name", ["Escrow", "Judge"])
def test_the_committed_abi_is_that_of_the_sources(name):
    committed = json.loads((CONTRACTS / "abi" / f"{name}.json").read_text())
    assert committed == json.loads(json.dumps(artifact(name).abi))


def test_the_interface_names_every_function_of_the_abi():
    declared = re.findall(r"^def (\w+)\(", (CONTRACTS / "interfaces/IEscrow.vyi").read_text(), re.M)
    functions = [item["name"] for item in artifact().abi if item["type"] == "function"]
    assert sorted(declared) == sorted(functions)


def test_there_is_no_owner_no_pause_and_no_upgrade():
    names = {item.get("name", "") for item in artifact().abi}
    assert not [n for n in names if re.search("owner|pause|upgrade|admin|set_|kill", n)]


def test_the_contract_fits_the_size_limit(shared_arena):
    size = len(shared_arena.chain.code(shared_arena.client.address))
    assert 20_000 < size <= SIZE_LIMIT


def test_every_refusal_is_a_sentence_of_the_escrow():
    for name in ("Escrow", "Judge", "assets", "fairness", "ledger"):
        source = (CONTRACTS / f"{name}.vy").read_text()
        for statement in re.findall(r"^ +(?:assert|raise) .*?$(?:\n +\).*$)?", source, re.M):
            if "assert (" not in statement:
                assert '"escrow: ' in statement or statement.rstrip().endswith("("), statement


def test_fault_numbers_and_scales_are_the_same_on_both_sides():
    source = (CONTRACTS / "fairness.vy").read_text()
    numbers = dict(re.findall(r"^((?:NO|WRONG)_\w+): constant\(uint256\) = (\d+)$", source, re.M))
    assert {name: int(number) for name, number in numbers.items() if name != "NO_CAP"} == {
        "NO_FAULT" if fault is Fault.NONE else fault.name: int(fault) for fault in Fault
    }
    (scales,) = re.findall(r"FLOW_SCALES.* = \[(.*)\]", source)
    assert [int(s) for s in scales.split(",")][2:] == [flow_scale(n) for n in range(2, 9)]
