"""py-evm without blocks: no extra needed, Prague's rules, exact gas."""

from __future__ import annotations

from typing import Any

from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.exceptions import OutOfGas, Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_utils.exceptions import ValidationError

from settlement.chain.quick.evm import (
    CHAIN_ID,
    GAS_LIMIT,
    ZERO_ADDRESS,
    CallResult,
    PlainLog,
    QuickEvm,
    QuickEvmError,
)
from settlement.chain.quick.lean_loop import QuickState
from settlement.chain.reverts import OUT_OF_GAS, revert_reason

__all__ = ["make_py_evm"]


def make_py_evm(timestamp: int) -> QuickEvm:
    """An empty py-evm whose clock stands at a time."""
    return _PyEvm(timestamp)


class _PyEvm:
    """py-evm's state of the Prague fork, transaction by transaction, in no block."""

    name = "py-evm"
    state_class: type[PragueState] = QuickState

    def __init__(self, timestamp: int) -> None:
        self._timestamp = timestamp
        self._database = AtomicDB()
        blank = self._context_at(timestamp)
        self._state: Any = self.state_class(self._database, blank, BLANK_ROOT_HASH)

    def _context_at(self, timestamp: int) -> Any:
        context: Any = ExecutionContext  # its types of numbers and bytes add nothing here
        return context(
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
    ) -> CallResult:
        transaction, computation = self._carry_out(sender, _canonical(to), data, value_wei, gas)
        gas_used = int(PragueVM.finalize_gas_used(transaction, computation))
        if computation.is_error:
            return CallResult(_sentence(computation.error), b"", (), gas_used)
        logs = tuple(
            PlainLog(
                f"0x{address.hex()}", tuple(topic.to_bytes(32, "big") for topic in topics), data
            )
            for address, topics, data in computation.get_log_entries()
        )
        return CallResult(None, bytes(computation.output), logs, gas_used)

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
        self._state = self.state_class(self._database, self._context_at(self._timestamp), mark)

    def _carry_out(
        self, sender: str, to: bytes, data: bytes, value_wei: int, gas: int, *, lock: bool = True
    ) -> tuple[Any, Any]:
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
    if isinstance(error, Revert):
        return revert_reason(bytes(error.args[0]) if error.args else b"")
    return OUT_OF_GAS if isinstance(error, OutOfGas) else "the EVM stopped"


def _canonical(address: str) -> bytes:
    return bytes.fromhex(address[2:])
