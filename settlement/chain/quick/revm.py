"""pyrevm (the extra ``revm``): a hundred times faster than py-evm, with Cancun's rules.

Its gas is wrong, for slots stay warm from one call to the next; so it is never told.
"""

from __future__ import annotations

import re
from typing import Any

import pyrevm

from settlement.chain.quick.evm import (
    CHAIN_ID,
    GAS_LIMIT,
    ZERO_ADDRESS,
    CallResult,
    PlainLog,
    QuickEvm,
    QuickEvmError,
)
from settlement.chain.reverts import OUT_OF_GAS, revert_reason

__all__ = ["make_revm"]

_OUTPUT = re.compile(r"output: 0x([0-9a-f]*)")


def make_revm(timestamp: int) -> QuickEvm:
    """An empty pyrevm whose clock stands at a time."""
    return _Revm(timestamp)


class _Revm:
    """revm, in one long uncommitted journal: its ``commit`` breaks the calls that follow."""

    name = "pyrevm"

    def __init__(self, timestamp: int) -> None:
        environment = pyrevm.Env(
            cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID), block=self._block_at(timestamp)
        )
        self._evm: Any = pyrevm.EVM(environment, spec_id="CANCUN")

    def _block_at(self, timestamp: int) -> Any:
        return pyrevm.BlockEnv(
            number=1, timestamp=timestamp, gas_limit=GAS_LIMIT, basefee=0, coinbase=ZERO_ADDRESS
        )

    def set_time(self, timestamp: int) -> None:
        self._evm.set_block_env(self._block_at(timestamp))

    def set_balance(self, address: str, balance_wei: int) -> None:
        self._evm.set_balance(address, balance_wei)

    def balance(self, address: str) -> int:
        return int(self._evm.get_balance(address))

    def place(self, address: str, code: bytes) -> None:
        self._evm.insert_account_info(address, pyrevm.AccountInfo(code=code))

    def deploy(self, sender: str, creation: bytes) -> str:
        try:
            return str(self._evm.deploy(sender, creation)).lower()
        except RuntimeError as error:
            raise QuickEvmError(f"The contract was not created: {_reason(str(error))}.") from None

    def call(
        self, sender: str, to: str, data: bytes, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> CallResult:
        evm = self._evm
        evm.reset_transient_storage()
        try:
            output = evm.message_call(sender, to, data, value_wei, gas)
        except RuntimeError as error:
            return CallResult(_reason(str(error)), b"", (), None)
        logs = tuple(
            PlainLog(log.address.lower(), tuple(log.data[0]), bytes(log.data[1]))
            for log in evm.result.logs
        )
        return CallResult(None, bytes(output), logs, None)

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
