"""The Python client of the escrow contract (stand-in until the branch `trust` has its own)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from eth_abi.abi import encode

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted, SignatureError
from settlement.chain.records import TransactionReceipt
from settlement.escrow import gas_limits
from settlement.escrow.checks import check_contract, check_parties, check_plan
from settlement.escrow.deployment import DEPLOYER, creation_data, escrow_address
from settlement.escrow.events import ETHER, RoundTerms
from settlement.escrow.reader import EscrowError, EscrowReader
from settlement.escrow.typed_data import Consent
from settlement.money.terms import SettlementPlan
from settlement.posting.check import Proof

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["EscrowClient", "EscrowError"]

APPROVE = bytes.fromhex("095ea7b3")  # approve(address,uint256)
REGISTER_BATCH = 200
NOWHERE = "0x" + "00" * 20


class EscrowClient(EscrowReader):
    """One escrow contract on one chain: what anybody can ask it, and every transaction."""

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> EscrowClient:
        """Create the contract at its address, if nobody has yet."""
        address = escrow_address()
        if not chain.code(address):
            chain.send("deploy", account, DEPLOYER, creation_data(), gas=gas_limits.DEPLOYMENT)
        escrow = cls(chain, address)
        check_contract(escrow)
        return escrow

    def open_round(self, account: LocalAccount, terms: RoundTerms, parties: Sequence[str]) -> int:
        """Open a round and register all parties; the round's number."""
        check_parties(terms, parties)
        first, *others = (
            list(parties[k : k + REGISTER_BATCH]) for k in range(0, len(parties), REGISTER_BATCH)
        )
        receipt = self._send(
            f"open/{terms.terms_hash.hex()[:16]}",
            account,
            gas_limits.opening(len(first)),
            self.interface.encode("open_round", astuple(terms), first),
        )
        round_id: int = next(
            decoded[1]["round_id"]
            for log in receipt.logs
            if (decoded := self.interface.decode_log(log)) and decoded[0] == "RoundOpened"
        )
        for batch, addresses in enumerate(others, 1):
            self._send(
                f"register/{round_id}/{batch}",
                account,
                gas_limits.registering(len(addresses)),
                self.interface.encode("register", round_id, addresses),
            )
        return round_id

    def deposit(
        self,
        round_id: int,
        party: int,
        account: LocalAccount,
        units: int,
        agreement: bytes,
        *,
        payout: str | None = None,
        last: bool = False,
        part: int = 0,
    ) -> TransactionReceipt:
        """Lock base units of a party in a round that was opened as the party agreed."""
        terms = self.terms(round_id)
        return self._send(
            f"deposit/{round_id}/{party}" + (f"/{part}" if part else ""),
            account,
            gas_limits.CALL,
            self.interface.encode(
                "deposit", round_id, party, agreement, units, payout or NOWHERE, last
            ),
            value_wei=units * terms.unit_scale if terms.asset == ETHER else 0,
        )

    def close(
        self,
        round_id: int,
        party: int,
        account: LocalAccount,
        agreement: bytes,
        *,
        payout: str | None = None,
    ) -> TransactionReceipt:
        """A party will deposit no more."""
        data = self.interface.encode("close", round_id, party, agreement, payout or NOWHERE)
        return self._send(f"close/{round_id}/{party}", account, gas_limits.CALL, data)

    def approve(
        self, round_id: int, party: int, account: LocalAccount, units: int
    ) -> TransactionReceipt:
        """Let the escrow take base units of a round's token; a deposit in tokens needs it."""
        terms = self.terms(round_id)
        data = APPROVE + encode(["address", "uint256"], [self.address, units * terms.unit_scale])
        label = f"approve/{round_id}/{party}"
        return self.chain.send(label, account, terms.asset, data, gas=gas_limits.CALL)

    def settle_by_proof(
        self, plan: SettlementPlan, proof: Proof, account: LocalAccount
    ) -> TransactionReceipt:
        """Carry out a plan that follows from the agreed game and the deposits."""
        check_plan(self, plan)
        round_id = plan.round.round_id
        data = self.interface.encode(
            "settle_by_proof", round_id, plan.encode(), list(proof.factors), proof.game.encode()
        )
        gas = gas_limits.proof(proof.game.n_parties)
        return self._send(f"settle/{round_id}", account, gas, data)

    def settle(
        self, consent: Consent, account: LocalAccount, signatures: Sequence[bytes]
    ) -> TransactionReceipt:
        """Carry out a plan that all have signed."""
        check_plan(self, consent.plan)
        round_id = consent.plan.round.round_id
        name = "settle" if consent.primary_type == "Settlement" else "settle_large"
        wallets = sum(len(signature) != 65 for signature in signatures)
        data = self.interface.encode(
            name, round_id, consent.plan.encode(), pack_signatures(signatures)
        )
        gas = gas_limits.settlement(len(consent.parties), len(consent.plan.transfers))
        gas += gas_limits.signatures(len(signatures), wallets)
        return self._send(f"settle/{round_id}", account, gas, data)

    def revoke(self, round_id: int, party: int, account: LocalAccount) -> TransactionReceipt:
        """Take back what a party has signed."""
        count = self.figures(round_id).revocations
        data = self.interface.encode("revoke", round_id, party)
        return self._send(f"revoke/{round_id}/{party}/{count}", account, gas_limits.CALL, data)

    def check_signature(self, consent: Consent, party: int, signature: bytes) -> None:
        """Refuse a signature that is not the party's, whether of a key or of a wallet."""
        from eth_account.messages import _hash_eip191_message, encode_typed_data

        from settlement.escrow.signing import check_signature

        typed_data, address = consent.typed_data(party), consent.parties[party]
        if len(signature) == 65:
            try:
                check_signature(typed_data, signature, address)
            except SignatureError:
                if not self.chain.code(address):
                    raise
            else:
                return
        digest = _hash_eip191_message(encode_typed_data(full_message=typed_data))
        question = bytes.fromhex("1626ba7e") + encode(["bytes32", "bytes"], [digest, signature])
        try:
            answer = self.chain.call(address, question)
        except Reverted:
            answer = b""
        if answer[:4] != bytes.fromhex("1626ba7e"):
            raise SignatureError(f"Account {address} does not take these bytes as its signature.")

    def pay_out(
        self, round_id: int, parties: Sequence[int], account: LocalAccount
    ) -> TransactionReceipt:
        """Pay parties out at the addresses that they fixed."""
        ether = self.terms(round_id).asset == ETHER
        label = f"pay_out/{round_id}/" + ",".join(map(str, parties))
        data = self.interface.encode("pay_out", round_id, list(parties))
        return self._send(label, account, gas_limits.pay_out(len(parties), ether=ether), data)

    def withdraw(
        self, round_id: int, party: int, account: LocalAccount, recipient: str
    ) -> TransactionReceipt:
        """Take a party's whole claim out, to any address."""
        data = self.interface.encode("withdraw", round_id, party, recipient)
        return self._send(f"withdraw/{round_id}/{party}", account, gas_limits.CALL, data)

    def _send(
        self, label: str, account: LocalAccount, gas: int, data: bytes, value_wei: int = 0
    ) -> TransactionReceipt:
        gas = min(gas, gas_limits.TRANSACTION)
        return self.chain.send(label, account, self.address, data, value_wei=value_wei, gas=gas)


def pack_signatures(signatures: Sequence[bytes]) -> bytes:
    """Records of 65 bytes in party order, then what wallets need."""
    head, tail = b"", b""
    start = 65 * len(signatures)
    start += -start % 32
    for signature in signatures:
        if len(signature) == 65:
            head += signature
        else:
            place = start + len(tail)
            head += place.to_bytes(32, "big") + len(signature).to_bytes(32, "big") + b"\0"
            tail += signature + bytes(-len(signature) % 32)
    return head + bytes(start - len(head)) + tail if tail else head
