"""py-evm under eth-tester's backend, with nothing about it left to chance or to the clock.

Block timestamps are given, every transaction has a block to itself, and whatever a block could be
free in (coinbase, randomness, extra data) is fixed. The same transactions at the same times make
the same blocks to the last bit, in any process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eth.abc import BlockAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI
from eth.exceptions import OutOfGas, Revert, VMError
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_tester.backends.pyevm.main import PyEVMBackend, get_default_genesis_params
from eth_typing import Address, Hash32
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from settlement.chain.errors import Reverted, TransactionRefused
from settlement.chain.records import Log, TransactionReceipt
from settlement.chain.reverts import OUT_OF_GAS, revert_reason

__all__ = ["FORK", "Evm"]

FORK = "prague"
COINBASE = Address(bytes(20))
PREVRANDAO = Hash32(bytes(32))
NO_SENDER = Address(bytes(20))


class Evm:
    """A chain of one's own in this process.

    Parameters
    ----------
    timestamp : int
        Time of the genesis block.
    step_s : int
        Seconds from one block to the next, unless ``next_timestamp`` is set.
    block_gas_limit : int
        Most gas of one block, and so of one transaction.
    funded : iterable of str
        Addresses that begin with ``balance_wei``.
    codes : mapping of str to bytes
        Contracts that are there from the beginning, by address.
    """

    def __init__(
        self,
        *,
        timestamp: int,
        step_s: int,
        block_gas_limit: int,
        funded: Iterable[str],
        balance_wei: int,
        codes: Mapping[str, bytes],
    ) -> None:
        account = {"balance": balance_wei, "nonce": 0, "code": b"", "storage": {}}
        contract = {"balance": 0, "nonce": 1, "storage": {}}
        self.backend = PyEVMBackend(
            genesis_parameters=get_default_genesis_params(
                {"timestamp": timestamp, "gas_limit": block_gas_limit}
            ),
            genesis_state={
                **{_canonical(address): account for address in funded},
                **{_canonical(place): {**contract, "code": code} for place, code in codes.items()},
            },
            vm_configuration=((0, PragueVM),),
        )
        self._chain = self.backend.chain
        self._step_s = step_s
        self.chain_id = int(self._chain.chain_id)
        self.next_timestamp = timestamp + step_s

    @property
    def next_timestamp(self) -> int:
        """The time of the next block."""
        return self._next_timestamp

    @next_timestamp.setter
    def next_timestamp(self, timestamp: int) -> None:
        self._next_timestamp = timestamp
        # Left alone, the pending block would take this machine's time.
        self._chain.set_header_timestamp(timestamp)

    @property
    def base_fee_wei(self) -> int:
        """What a unit of gas costs in the next block."""
        return int(self._chain.header.base_fee_per_gas)

    @property
    def block_gas_limit(self) -> int:
        """Most gas that the next block takes."""
        return int(self._chain.header.gas_limit)

    @property
    def block_number(self) -> int:
        """Number of the newest block."""
        return int(self._chain.get_canonical_head().block_number)

    @property
    def state_root(self) -> bytes:
        """State root of the newest block."""
        return bytes(self._chain.get_canonical_head().state_root)

    def balance(self, address: str) -> int:
        """Balance in wei."""
        return int(self._chain.get_vm().state.get_balance(_canonical(address)))

    def nonce(self, address: str) -> int:
        """Number of transactions that an account has sent."""
        return int(self._chain.get_vm().state.get_nonce(_canonical(address)))

    def code(self, address: str) -> bytes:
        """Code at an address; empty where there is no contract."""
        return bytes(self._chain.get_vm().state.get_code(_canonical(address)))

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """A signed transaction out of its bytes."""
        transaction: SignedTransactionAPI = self._chain.get_transaction_builder().decode(raw)
        return transaction

    def execute(self, label: str, transaction: SignedTransactionAPI) -> TransactionReceipt:
        """Apply one transaction and mine its block; the clock goes on by one step.

        Raises
        ------
        TransactionRefused
            If the transaction is not valid at this point: nonce, funds, gas.
        """
        try:
            _, receipt, computation = self._chain.apply_transaction(transaction)
        except ValidationError as error:
            raise TransactionRefused(f'The chain refuses "{label}": {error}') from error
        gas_used = int(self._chain.header.gas_used)  # alone in its block
        block = self._mine()
        return TransactionReceipt(
            label=label,
            transaction_hash=transaction.hash,
            block_number=block.number,
            gas_used=gas_used,
            succeeded=not computation.is_error,
            block_hash=bytes(block.hash),
            contract_address=_created(transaction, computation),
            logs=_logs(receipt, block.number, transaction.hash),
        )

    def _mine(self) -> BlockAPI:
        block: BlockAPI = self._chain.mine_block(
            coinbase=COINBASE, mix_hash=PREVRANDAO, extra_data=b"", blob_gas_used=0
        )
        self.next_timestamp = int(block.header.timestamp) + self._step_s
        return block

    def call(
        self, to: str | None, data: bytes, sender: str | None, *, value_wei: int, gas: int
    ) -> bytes:
        """What the next transaction would return; nothing changes.

        Raises
        ------
        Reverted, TransactionRefused
            If it would fail, or not be executed at all.
        """
        header = self._chain.header
        vm = self._chain.get_vm(header)
        origin = NO_SENDER if sender is None else _canonical(sender)
        snapshot = vm.state.snapshot()
        # The sender is credited exactly the gas fee that is about to be charged. So it needs ether
        # only for the value that it sends, and the contract sees the true base fee and balance.
        vm.state.delta_balance(origin, gas * header.base_fee_per_gas)
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=vm.state.get_nonce(origin),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=header.base_fee_per_gas,
            gas=gas,
            to=b"" if to is None else _canonical(to),
            value=value_wei,
            data=data,
            access_list=(),
        )
        try:
            computation = vm.state.apply_transaction(SpoofTransaction(unsigned, from_=origin))
        except ValidationError as error:
            raise TransactionRefused(f"The chain refuses to execute it: {error}") from error
        finally:
            vm.state.revert(snapshot)
        if computation.is_error:
            raise Reverted(_reason_of(computation.error))
        return bytes(computation.output)


def _reason_of(error: VMError) -> str:
    if isinstance(error, Revert):
        return revert_reason(bytes(error.args[0]) if error.args else b"")
    if isinstance(error, OutOfGas):
        return OUT_OF_GAS
    return f"the EVM stopped: {type(error).__name__}"


def _created(transaction: SignedTransactionAPI, computation: ComputationAPI) -> str | None:
    if transaction.to or computation.is_error:
        return None
    return str(to_checksum_address(computation.msg.storage_address))


def _logs(receipt: ReceiptAPI, block_number: int, transaction_hash: bytes) -> tuple[Log, ...]:
    return tuple(
        Log(
            address=str(to_checksum_address(log.address)),
            topics=tuple(topic.to_bytes(32, "big") for topic in log.topics),
            data=bytes(log.data),
            block_number=block_number,
            transaction_hash=transaction_hash,
            log_index=index,
        )
        for index, log in enumerate(receipt.logs)
    )


def _canonical(address: str) -> Address:
    return Address(bytes.fromhex(address.removeprefix("0x")))
