"""EVMs without blocks: calls by address, with no keys, fees or journal, for simulations and tests.

Two of them give the same answers. `pyrevm` (the extra ``revm``) is a hundred times faster, but its
gas is wrong: slots stay warm from one call to the next. py-evm needs no extra and its gas is exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, Protocol

from settlement.chain.reverts import OUT_OF_GAS, revert_reason
from settlement.errors import SettlementError

__all__ = ["Answer", "PlainLog", "QuickEvm", "QuickEvmError", "has_revm", "quick_evm"]

EvmName = Literal["auto", "pyrevm", "py-evm"]

CHAIN_ID = 131277322940537
GAS_LIMIT = 30_000_000
ZERO_ADDRESS = "0x0000000000000000000000000000000000000000"

_OUTPUT = re.compile(r"output: 0x([0-9a-f]*)")


class QuickEvmError(SettlementError):
    """An EVM that is asked for but not installed, or a call that it will not carry out at all."""


class PlainLog(NamedTuple):
    """One event: who logged it (lower case), its topics, its data."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call did.

    ``reason`` is None if it succeeded, else the contract's sentence, and then nothing moved.
    ``gas_used`` is the gas of a whole transaction, where the EVM knows it.
    """

    reason: str | None
    output: bytes
    logs: tuple[PlainLog, ...]
    gas_used: int | None

    @property
    def succeeded(self) -> bool:
        """Whether it took effect."""
        return self.reason is None


class QuickEvm(Protocol):
    """A state and a clock; every call takes effect at once and costs its sender no fee."""

    name: str

    def set_time(self, timestamp: int) -> None:
        """Let the next calls see this time."""

    def set_balance(self, address: str, balance_wei: int) -> None:
        """Give an address exactly so much ether."""

    def balance(self, address: str) -> int:
        """Ether of an address, in wei."""

    def place(self, address: str, code: bytes) -> None:
        """Put code at an address, as a genesis does."""

    def deploy(self, sender: str, creation: bytes) -> str:
        """Create a contract; its address."""

    def call(
        self, sender: str, to: str, data: bytes, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> Answer:
        """Carry out one transaction."""

    def read(self, to: str, data: bytes) -> bytes:
        """What a call returns; nothing changes."""

    def snapshot(self) -> Any:
        """A mark of the state; marks are gone back to in reverse order."""

    def restore(self, mark: Any) -> None:
        """Back to a mark: every balance, slot and contract as it was. The clock goes on."""


def has_revm() -> bool:
    """Whether the extra ``revm`` is installed."""
    return find_spec("pyrevm") is not None


def quick_evm(name: EvmName = "auto", *, timestamp: int = 10**9) -> QuickEvm:
    """An empty EVM; ``"auto"`` takes pyrevm where it is installed, else py-evm.

    Raises
    ------
    QuickEvmError
        If pyrevm is asked for by name and is not installed.
    """
    if name == "pyrevm" and not has_revm():
        raise QuickEvmError(
            "pyrevm is not installed; expected the extra: pip install 'fairround[revm]' (CPython "
            "3.11 or 3.12 on x86-64 Linux or macOS). Or take py-evm, which is slower."
        )
    if name == "py-evm" or not has_revm():
        return _PyEvm(timestamp)
    return _Revm(timestamp)


class _Revm:
    """revm, in one long uncommitted journal: its ``commit`` breaks the calls that follow."""

    name = "pyrevm"

    def __init__(self, timestamp: int) -> None:
        import pyrevm

        self._block_env = pyrevm.BlockEnv
        self._account_info = pyrevm.AccountInfo
        environment = pyrevm.Env(
            cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID), block=self._block_at(timestamp)
        )
        self._evm: Any = pyrevm.EVM(environment, spec_id="CANCUN")

    def _block_at(self, timestamp: int) -> Any:
        return self._block_env(
            number=1, timestamp=timestamp, gas_limit=GAS_LIMIT, basefee=0, coinbase=ZERO_ADDRESS
        )

    def set_time(self, timestamp: int) -> None:
        self._evm.set_block_env(self._block_at(timestamp))

    def set_balance(self, address: str, balance_wei: int) -> None:
        self._evm.set_balance(address, balance_wei)

    def balance(self, address: str) -> int:
        return int(self._evm.get_balance(address))

    def place(self, address: str, code: bytes) -> None:
        self._evm.insert_account_info(address, self._account_info(code=code))

    def deploy(self, sender: str, creation: bytes) -> str:
        try:
            return str(self._evm.deploy(sender, creation)).lower()
        except RuntimeError as error:
            raise QuickEvmError(f"The contract was not created: {_reason(str(error))}.") from None

    def call(
        self, sender: str, to: str, data: bytes, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> Answer:
        evm = self._evm
        evm.reset_transient_storage()
        try:
            output = evm.message_call(sender, to, data, value_wei, gas)
        except RuntimeError as error:
            return Answer(_reason(str(error)), b"", (), None)
        logs = tuple(
            PlainLog(log.address.lower(), tuple(log.data[0]), bytes(log.data[1]))
            for log in evm.result.logs
        )
        return Answer(None, bytes(output), logs, None)

    def read(self, to: str, data: bytes) -> bytes:
        mark = self._evm.snapshot()
        try:
            return bytes(self._evm.message_call(ZERO_ADDRESS, to, data))
        except RuntimeError as error:
            raise QuickEvmError(f"The call failed: {_reason(str(error))}.") from None
        finally:
            self._evm.revert(mark)

    def snapshot(self) -> Any:
        return self._evm.snapshot()

    def restore(self, mark: Any) -> None:
        self._evm.revert(mark)


def _reason(error: str) -> str:
    """The contract's sentence out of what pyrevm raises."""
    if error.startswith("Revert"):
        found = _OUTPUT.search(error)
        return revert_reason(bytes.fromhex(found[1]) if found else b"")
    if "OutOfGas" in error or "CallGasCostMoreThanGasLimit" in error:
        return OUT_OF_GAS
    if error.startswith("Halt"):
        return "the EVM stopped"
    raise QuickEvmError(f"The EVM refuses to carry the call out: {error}.")


class _PyEvm:
    """py-evm's state of the Prague fork, transaction by transaction, in no block."""

    name = "py-evm"

    def __init__(self, timestamp: int) -> None:
        from eth.constants import BLANK_ROOT_HASH
        from eth.db.atomic import AtomicDB
        from eth.vm.execution_context import ExecutionContext
        from eth.vm.forks.prague import PragueVM
        from eth.vm.forks.prague.state import PragueState

        self._vm = PragueVM
        self._context: Any = ExecutionContext
        self._state_class = PragueState
        self._timestamp = timestamp
        self._database = AtomicDB()
        self._state: Any = PragueState(self._database, self._context_at(timestamp), BLANK_ROOT_HASH)

    def _context_at(self, timestamp: int) -> Any:
        return self._context(
            coinbase=bytes(20),
            timestamp=timestamp,
            block_number=1,
            difficulty=0,
            mix_hash=bytes(32),
            gas_limit=GAS_LIMIT,
            prev_hashes=(),
            chain_id=CHAIN_ID,
            base_fee_per_gas=0,
            excess_blob_gas=0,
        )

    def set_time(self, timestamp: int) -> None:
        self._timestamp = timestamp
        self._state.execution_context = self._context_at(timestamp)

    def set_balance(self, address: str, balance_wei: int) -> None:
        self._state.set_balance(_canonical(address), balance_wei)

    def balance(self, address: str) -> int:
        return int(self._state.get_balance(_canonical(address)))

    def place(self, address: str, code: bytes) -> None:
        self._state.set_code(_canonical(address), code)

    def deploy(self, sender: str, creation: bytes) -> str:
        _, computation = self._carry_out(sender, b"", creation, 0, GAS_LIMIT)
        if computation.is_error:
            raise QuickEvmError(f"The contract was not created: {_sentence(computation.error)}.")
        return f"0x{computation.msg.storage_address.hex()}"

    def call(
        self, sender: str, to: str, data: bytes, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> Answer:
        transaction, computation = self._carry_out(sender, _canonical(to), data, value_wei, gas)
        gas_used = int(self._vm.finalize_gas_used(transaction, computation))
        if computation.is_error:
            return Answer(_sentence(computation.error), b"", (), gas_used)
        logs = tuple(
            PlainLog(
                f"0x{address.hex()}", tuple(topic.to_bytes(32, "big") for topic in topics), data
            )
            for address, topics, data in computation.get_log_entries()
        )
        return Answer(None, bytes(computation.output), logs, gas_used)

    def read(self, to: str, data: bytes) -> bytes:
        mark = self._state.snapshot()
        try:
            _, computation = self._carry_out(
                ZERO_ADDRESS, _canonical(to), data, 0, GAS_LIMIT, lock=False
            )
        finally:
            self._state.revert(mark)
        if computation.is_error:
            raise QuickEvmError(f"The call failed: {_sentence(computation.error)}.")
        return bytes(computation.output)

    def snapshot(self) -> Any:
        # Within the state a mark does not outlive the next transaction; a root does.
        self._state.lock_changes()
        self._state.persist()
        return self._state.state_root

    def restore(self, mark: Any) -> None:
        self._state = self._state_class(self._database, self._context_at(self._timestamp), mark)

    def _carry_out(
        self, sender: str, to: bytes, data: bytes, value_wei: int, gas: int, *, lock: bool = True
    ) -> tuple[Any, Any]:
        from eth.vm.forks.prague.transactions import PragueTransactionBuilder
        from eth.vm.spoof import SpoofTransaction
        from eth_utils.exceptions import ValidationError

        state = self._state
        origin = _canonical(sender)
        builder: Any = PragueTransactionBuilder
        unsigned = builder.new_unsigned_dynamic_fee_transaction(
            chain_id=CHAIN_ID,
            nonce=state.get_nonce(origin),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=to,
            value=value_wei,
            data=data,
            access_list=(),
        )
        transaction = SpoofTransaction(unsigned, from_=origin)
        if lock:
            state.lock_changes()  # what came before is no longer this transaction's to refund
        try:
            return transaction, state.apply_transaction(transaction)
        except ValidationError as error:
            raise QuickEvmError(f"The EVM refuses to carry the call out: {error}.") from None


def _sentence(error: Any) -> str:
    from eth.exceptions import OutOfGas, Revert

    if isinstance(error, Revert):
        return revert_reason(bytes(error.args[0]) if error.args else b"")
    return OUT_OF_GAS if isinstance(error, OutOfGas) else "the EVM stopped"


def _canonical(address: str) -> bytes:
    return bytes.fromhex(address[2:])
