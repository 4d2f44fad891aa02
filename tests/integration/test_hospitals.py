"""The script that plays real parties; it counts commands, files and money itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from settlement.escrow.artifacts import artifact
from tests.settlement.chain.anvil import find_anvil

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "settlement" / "party" / "README.md").read_text()


def played(course, folder):
    if find_anvil() is None:
        pytest.skip("anvil is not installed; scripts/install_anvil.py puts it into .tools")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "hospitals.py"), course, "--in", str(folder)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(
        r"^(\w+) +([\d,]+) +([+-][\d,]+) +([\d,]+)  (\d) +(\d): (.*)$", done.stdout, re.MULTILINE
    )
    assert [row[0] for row in rows] == ["north", "south", "east", "west"]
    for *_, files, commands, names in rows:
        assert int(files) <= 2
        assert int(commands) == len(names.split(", ")) <= 5
    assert "left in the escrow: 0 wei" in done.stdout
    return {
        name: [int(figure.replace(",", "")) for figure in figures]
        for name, *figures in (row[:4] for row in rows)
    }


@pytest.mark.parametrize(
    "course",
    [
        pytest.param("proof", marks=pytest.mark.slow),
        pytest.param("signatures", marks=pytest.mark.slow),
        "proof-operator-gone",
        pytest.param("signatures-operator-gone", marks=pytest.mark.slow),
    ],
)
def test_four_hospitals_settle_with_five_commands_and_two_files_each(course, tmp_path):
    """One never deposits; in two courses the operator is gone once the deposits are locked."""
    money = played(course, tmp_path)
    assert money["west"][0] == 0
    assert sum(net for _, net, _ in money.values()) == 0
    assert any(net for _, net, _ in money.values())
    for locked, net, out in money.values():
        assert out == locked + net >= 0


def test_when_one_never_signs_everybody_takes_its_deposit_back(tmp_path):
    money = played("one-never-signs", tmp_path)
    for locked, net, out in money.values():
        assert net == 0
        assert out == locked > 0


def test_the_recipes_for_cast_call_functions_that_the_escrow_has():
    recipes = re.findall(r'^cast (call|send) \$ESCROW "(\w+)\(([^)]*)\)(?:\(.*\))?"', PAGE, re.M)
    assert [name for _, name, _ in recipes] == ["seat", "claim", "withdraw"]
    functions = {item["name"]: item for item in artifact().abi if item["type"] == "function"}
    for verb, name, types in recipes:
        found = functions[name]
        assert types == ",".join(field["type"] for field in found["inputs"])
        assert (found["stateMutability"] == "view") == (verb == "call")
        assert keccak(f"{name}({types})".encode())[:4] in artifact().runtime
