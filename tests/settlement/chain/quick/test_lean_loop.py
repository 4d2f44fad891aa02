"""The lean loop is py-evm to the last unit of gas, on the escrow and on random programs."""

import random

import pytest
from eth.vm.forks.prague.state import PragueState

from settlement.chain.quick import py_evm, quick_evm
from settlement.simulation.arena.world import World
from settlement.simulation.play.replicates import Cell, replicate_rows
from settlement.simulation.tables.reading import scenario_of

SENDER, PROGRAM = "0x" + "11" * 20, "0x" + "22" * 20

# Every instruction that the loop carries out itself, and those of py-evm that meet its stack,
# memory, place and gas.
LEAN = [1, 2, 3, 4, 6, 0x10, 0x11, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1B, 0x1C, 0x50, 0x5B]
OTHERS = [5, 8, 9, 0x0A, 0x0B, 0x12, 0x1A, 0x1D, 0x20, 0x30, 0x33, 0x35, 0x36, 0x39, 0x54, 0x55]
OTHERS += [0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0xA1, 0xFA, 0x0C, 0xFE]
EDGES = [0, 1, 2, 31, 32, 33, 64, 255, 256, 257, 2**64, 2**255, 2**256 - 1]


def pushed(number):
    data = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(data)]) + data


def a_program(rng):
    """Instructions at random, most with something on the stack for them, some jumps among them."""
    # Numbers first, or nearly every program would end at an empty stack.
    code = bytearray(b"".join(pushed(rng.choice(EDGES)) for _ in range(rng.randrange(20))))
    for _ in range(rng.randrange(3, 40)):
        kind = rng.random()
        if kind < 0.35:
            code += pushed(rng.choice([*EDGES, rng.randrange(256), rng.getrandbits(256)]))
        elif kind < 0.45:
            code.append(rng.randrange(0x80, 0xA0))
        elif kind < 0.70:
            code.append(rng.choice(LEAN))
        elif kind < 0.80:
            code += pushed(rng.randrange(200)) + bytes([rng.choice([0x51, 0x52, 0x53])])
        elif kind < 0.87:
            code += pushed(rng.randrange(len(code) + 20)) + bytes([rng.choice([0x56, 0x57])])
        elif kind < 0.97:
            code.append(rng.choice(OTHERS))
        else:
            code += pushed(rng.choice([0, 32, 96])) + pushed(0) + bytes([rng.choice([0xF3, 0xFD])])
    if rng.random() < 0.1:
        code += bytes([0x7F, 1, 2])  # a push whose data end behind the code
    # leave with the memory that there is
    return bytes(code) + pushed(96) + pushed(0) + b"\xf3"


def outcome(evm, code, data, gas):
    mark = evm.snapshot()
    evm.place(PROGRAM, code)
    try:
        answer = evm.call(SENDER, PROGRAM, data, gas=gas)
        return answer, evm.snapshot()  # the mark is the root of the whole state
    finally:
        evm.restore(mark)


@pytest.fixture
def both(monkeypatch):
    lean = quick_evm("py-evm")
    monkeypatch.setattr(py_evm._PyEvm, "state_class", PragueState)
    plain = quick_evm("py-evm")
    assert type(lean._state) is not type(plain._state)
    return lean, plain


def test_random_programs_end_alike_in_output_logs_state_and_gas(both):
    rng = random.Random(2026)
    reasons = {}
    for k in range(2_000):
        code = a_program(rng)
        gas = rng.choice([22_000, 30_000, 100_000])
        data = rng.randbytes(40)
        found, expected = (outcome(evm, code, data, gas) for evm in both)
        assert found == expected, (k, code.hex())
        reasons[found[0].reason] = reasons.get(found[0].reason, 0) + 1
    assert len(reasons) >= 4  # good ends, reverts, out of gas, broken rules: all were met
    assert reasons[None] > 200


@pytest.mark.parametrize("depth", [1_023, 1_024, 1_025])
def test_the_stack_is_as_deep_as_the_rules_say(both, depth):
    code = b"\x60\x01" * depth + b"\x00"
    found, expected = (outcome(evm, code, b"", 1_000_000) for evm in both)
    assert found == expected
    assert found[0].succeeded == (depth <= 1_024)


@pytest.mark.parametrize(
    ("code", "succeeds"),
    [
        ("600456605b00", False),  # jumps into the data of a push
        ("600456005b00", True),
        ("60ff56005b00", False),  # jumps behind the code
        ("6001", True),  # ends without a stop
        ("7f01", True),  # ends within the data of a push
    ],
)
def test_code_is_read_as_the_rules_say(both, code, succeeds):
    found, expected = (outcome(evm, bytes.fromhex(code), b"", 100_000) for evm in both)
    assert found == expected
    assert found[0].succeeded == succeeds


def test_rounds_of_the_escrow_use_the_same_gas(monkeypatch, tmp_path):
    tables = {
        "scenario": {"name": "gas", "replicates": 1},
        "game": {"kind": "family"},
        "party": [{"name": "p", "count": 4, "budget": {"uniform": [0.0, 0.3]}}],
        "operator": {"behaviour": "lying_operator"},
        "chain": {"gas": True},
    }
    for way in ("proof", "signatures"):
        scenario = scenario_of(tables | {"round": {"settlement": way}}, tmp_path / "scenario.toml")
        cell = Cell.of(0, scenario.cell(0), scenario.folder, scenario.hash)
        lean = replicate_rows(cell, 0, World("py-evm"))
        with monkeypatch.context() as changed:
            changed.setattr(py_evm._PyEvm, "state_class", PragueState)
            assert replicate_rows(cell, 0, World("py-evm")) == lean
        assert len(lean["gas"]) >= 9
