"""A whole chain in this process: py-evm under eth-tester's backend, replayed from its journal.

Nothing about it is left to chance or to the clock: block timestamps come from the journal, every
transaction has a block to itself, and whatever a block could be free in (coinbase, randomness,
extra data) is fixed. So a process that replays the journal mines the same blocks to the last bit,
and proves it: each receipt in the journal carries the block hash and the state root that must
come out.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import time
from typing import TYPE_CHECKING, Any

from eth.abc import BlockAPI, ReceiptAPI
from eth.exceptions import OutOfGas, Revert, VMError
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_tester.backends.pyevm.main import PyEVMBackend, get_default_genesis_params
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.address import to_checksum_address
from eth_utils.exceptions import ValidationError

from settlement.chain.chain import Chain, unknown_account
from settlement.chain.errors import ChainSpecError, JournalMismatch, Reverted, TransactionRefused
from settlement.chain.journal import Entry, Journal
from settlement.chain.records import Log, TransactionReceipt
from settlement.chain.reverts import OUT_OF_GAS, revert_reason
from settlement.chain.spec import SEED_BYTES, ChainSpec
from settlement.chain.wallet import simulated_account

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["InProcessChain"]

FORK = "prague"
COINBASE = Address(bytes(20))
PREVRANDAO = Hash32(bytes(32))
ZERO_ADDRESS = Address(bytes(20))


class InProcessChain(Chain):
    """The chain of one folder; see `settlement.chain.open_chain`."""

    def __init__(self, journal: Journal, spec: ChainSpec | None) -> None:
        super().__init__(journal)
        if not journal.entries:
            journal.append("genesis", _genesis_fields(spec or ChainSpec()))
            spec = None
        self._genesis = journal.entries[0]
        if self._genesis.kind != "genesis":
            raise ChainSpecError(
                [
                    (
                        "chain.provider",
                        "this folder's chain is behind a JSON-RPC endpoint; name that endpoint.",
                    )
                ]
            )
        self._check_genesis(spec)
        self.started_at = int(self._genesis["timestamp"])
        self.started_block = 0
        self._step_s = int(self._genesis["block_step_s"])
        self._seed = bytes.fromhex(self._genesis["seed"])
        self._accounts = {
            name: simulated_account(self._seed, name) for name in self._genesis["accounts"]
        }
        self._start()
        self._replay()

    # Beginning

    def _check_genesis(self, spec: ChainSpec | None) -> None:
        """Refuse a spec that asks for another chain than the one that the journal began."""
        if spec is None:
            return
        wanted: dict[str, Any] = {
            "block_gas_limit": spec.block_gas_limit,
            "block_step_s": spec.block_step_s,
            "balance_wei": str(spec.balance_wei),
            "timestamp": spec.genesis_timestamp,
            "seed": None if spec.seed is None else spec.seed.hex(),
            "accounts": sorted(spec.accounts),
        }
        for key, value in wanted.items():
            found = self._genesis[key]
            if value is not None and found != value:
                raise ChainSpecError(
                    [
                        (
                            f"chain.{key}",
                            f"asked for {value}; this chain was started with {found}. "
                            "Keep the settings that it was started with, or start another folder.",
                        )
                    ]
                )

    def _start(self) -> None:
        genesis = self._genesis
        balance_wei = int(genesis["balance_wei"])
        state = {
            bytes.fromhex(account.address[2:]): {
                "balance": balance_wei,
                "nonce": 0,
                "code": b"",
                "storage": {},
            }
            for account in self._accounts.values()
        }
        parameters = get_default_genesis_params(
            {"timestamp": self.started_at, "gas_limit": genesis["block_gas_limit"]}
        )
        self.backend = PyEVMBackend(
            genesis_parameters=parameters,
            genesis_state=state,
            vm_configuration=((0, PragueVM),),
        )
        self._evm = self.backend.chain
        self.chain_id = int(self._evm.chain_id)
        self._expect(genesis, "chain id", genesis["chain_id"], self.chain_id)
        self._next_timestamp = self.started_at + self._step_s
        self._set_clock()

    def _replay(self) -> None:
        """Carry out the journal again; each receipt must come out as it was written."""
        executed: TransactionReceipt | None = None
        for entry in self.journal.entries[1:]:
            if entry.kind == "clock":
                self._next_timestamp = int(entry["timestamp"])
                self._set_clock()
            elif entry.kind == "send":
                self._note_send(entry)
                executed = self._execute(entry)
            elif entry.kind == "receipt":
                self._compare(entry, executed)
                executed = None
            else:
                raise JournalMismatch(self.journal.path, entry.line, "kind", entry.kind, "none")
        if executed is not None:  # killed between sending and writing the receipt
            self._finish(executed)

    def _compare(self, entry: Entry, executed: TransactionReceipt | None) -> None:
        if executed is None:
            self._expect(entry, "transaction", entry["hash"], "none was sent before it")
            return
        found = {**executed.as_json(), "state_root": self.state_root().hex()}
        for key, value in found.items():
            self._expect(entry, key.replace("_", " "), entry[key], value)
        self._note_receipt(executed)

    def _expect(self, entry: Entry, what: str, journaled: object, found: object) -> None:
        if journaled != found:
            raise JournalMismatch(self.journal.path, entry.line, what, journaled, found)

    # Sending

    def _catch_up(self) -> None:
        """Nothing to do: this chain is nowhere but here."""

    def _sign(
        self, account: LocalAccount, to: str | None, data: bytes, value_wei: int, gas: int
    ) -> tuple[bytes, dict[str, Any]]:
        state = self._evm.get_vm().state
        sender = _canonical(account.address)
        nonce = state.get_nonce(sender)
        # Nobody competes for this block: the base fee of the block is enough.
        fee_wei = self._evm.header.base_fee_per_gas
        # The call before this took gas for free. What is journaled must be fit to be executed.
        needed_wei = value_wei + gas * fee_wei
        if state.get_balance(sender) < needed_wei:
            raise TransactionRefused(
                f"{account.address} holds {state.get_balance(sender)} wei; value and gas need up "
                f"to {needed_wei}. Start the chain with a larger balance or ask for less gas."
            )
        wanted: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "to": b"" if to is None else to,
            "data": data,
            "value": value_wei,
            "gas": gas,
            "maxFeePerGas": fee_wei,
            "maxPriorityFeePerGas": 0,
        }
        signed = account.sign_transaction(wanted)
        return bytes(signed.raw_transaction), {"hash": signed.hash.hex(), "nonce": nonce}

    def _deliver(self, send: Entry) -> TransactionReceipt:
        return self._finish(self._execute(send))

    def _finish(self, receipt: TransactionReceipt) -> TransactionReceipt:
        if not self.journal.read_only:
            fields = {**receipt.as_json(), "state_root": self.state_root().hex()}
            self.journal.append("receipt", fields)
        return self._note_receipt(receipt)

    def _execute(self, send: Entry) -> TransactionReceipt:
        """Apply one transaction and mine its block; the clock goes on by one step."""
        transaction = self._evm.get_transaction_builder().decode(bytes.fromhex(send["raw"]))
        self._expect(send, "hash", send["hash"], transaction.hash.hex())
        try:
            _, receipt, computation = self._evm.apply_transaction(transaction)
        except ValidationError as error:
            raise JournalMismatch(
                self.journal.path, send.line, "a valid transaction", send["label"], error
            ) from error
        created = computation.msg.storage_address if transaction.to == b"" else None
        gas_used = int(self._evm.header.gas_used)  # alone in its block
        block = self._mine()
        return TransactionReceipt(
            label=send["label"],
            transaction_hash=transaction.hash,
            block_number=block.number,
            gas_used=gas_used,
            succeeded=not computation.is_error,
            block_hash=bytes(block.hash),
            contract_address=_checksummed(created)
            if created and not computation.is_error
            else None,
            logs=_logs_of(receipt, block.number, transaction.hash, 0),
        )

    def _mine(self) -> BlockAPI:
        block: BlockAPI = self._evm.mine_block(
            coinbase=COINBASE, mix_hash=PREVRANDAO, extra_data=b"", blob_gas_used=0
        )
        self._next_timestamp = int(block.header.timestamp) + self._step_s
        self._set_clock()
        return block

    def _set_clock(self) -> None:
        """Give the pending block its time; left alone it would take this machine's."""
        self._evm.set_header_timestamp(self._next_timestamp)

    def advance_to(self, timestamp: int) -> None:
        """Let the next transaction see at least this time; an earlier time changes nothing."""
        if timestamp <= self._next_timestamp:
            return
        self.journal.append("clock", {"timestamp": timestamp})
        self._next_timestamp = timestamp
        self._set_clock()

    # Asking

    def call(
        self,
        to: str | None,
        data: bytes,
        sender: str | None = None,
        *,
        value_wei: int = 0,
        gas: int | None = None,
    ) -> bytes:
        """What a call returns if it were the next transaction; nothing changes."""
        header = self._evm.header
        limit = int(header.gas_limit)
        if gas is not None and gas > limit:
            raise TransactionRefused(
                f"{gas} gas asked for; a block takes {limit}. Ask for less, split the "
                "transaction, or start the chain with a larger block_gas_limit."
            )
        origin = ZERO_ADDRESS if sender is None else _canonical(sender)
        gas = gas or limit
        vm = self._evm.get_vm(header)
        snapshot = vm.state.snapshot()
        # A gift that pays the gas: the balance is needed for the value alone, and the contract
        # sees the base fee and the balance that it would see.
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
            raise TransactionRefused(
                f"The chain refuses it before executing it: {error}"
            ) from error
        finally:
            vm.state.revert(snapshot)
        if computation.is_error:
            raise Reverted(_reason_of(computation.error))
        return bytes(computation.output)

    def logs(self, address: str, from_block: int = 0) -> list[Log]:
        """Logs of one contract since a block, in the order in which they were written."""
        wanted = to_checksum_address(address)
        receipts = (self._receipts[label] for label in self._receipts)
        return [
            log
            for receipt in sorted(receipts, key=lambda receipt: receipt.block_number)
            if receipt.block_number >= from_block
            for log in receipt.logs
            if log.address == wanted
        ]

    def balance(self, address: str) -> int:
        """Balance in wei."""
        return int(self._evm.get_vm().state.get_balance(_canonical(address)))

    def code(self, address: str) -> bytes:
        """Code at an address; empty where there is no contract."""
        return bytes(self._evm.get_vm().state.get_code(_canonical(address)))

    def block_number(self) -> int:
        """Number of the newest block."""
        return int(self._evm.get_canonical_head().block_number)

    def timestamp(self) -> int:
        """The time that the next transaction sees, in seconds."""
        return self._next_timestamp

    def state_root(self) -> bytes:
        """State root of the newest block."""
        return bytes(self._evm.get_canonical_head().state_root)

    def account(self, name: str) -> LocalAccount:
        """The simulated account of a name; worthless by design, see `settlement.chain.wallet`."""
        if name not in self._accounts:
            raise unknown_account(name, tuple(self._accounts))
        return self._accounts[name]

    def address(self, name: str) -> str:
        """The address of a name."""
        return str(self.account(name).address)


def _genesis_fields(spec: ChainSpec) -> dict[str, Any]:
    chosen = spec.genesis_timestamp
    return {
        "chain_id": 131277322940537,  # eth-tester's, so that its own tools can sign for it
        "fork": FORK,
        "py_evm": importlib.metadata.version("py-evm"),
        "seed": (spec.seed or secrets.token_bytes(SEED_BYTES)).hex(),
        "timestamp": int(time.time()) if chosen is None else chosen,
        "block_step_s": spec.block_step_s,
        "block_gas_limit": spec.block_gas_limit,
        "balance_wei": str(spec.balance_wei),
        "accounts": sorted(spec.accounts),
    }


def _reason_of(error: VMError) -> str:
    if isinstance(error, Revert):
        return revert_reason(bytes(error.args[0]) if error.args else b"")
    if isinstance(error, OutOfGas):
        return OUT_OF_GAS
    return f"the EVM stopped: {type(error).__name__}"


def _logs_of(
    receipt: ReceiptAPI, block_number: BlockNumber, transaction_hash: bytes, first: int
) -> tuple[Log, ...]:
    return tuple(
        Log(
            address=_checksummed(log.address),
            topics=tuple(topic.to_bytes(32, "big") for topic in log.topics),
            data=bytes(log.data),
            block_number=block_number,
            transaction_hash=transaction_hash,
            log_index=first + index,
        )
        for index, log in enumerate(receipt.logs)
    )


def _canonical(address: str) -> Address:
    return Address(bytes.fromhex(address.removeprefix("0x")))


def _checksummed(address: bytes) -> str:
    return str(to_checksum_address(address))
