"""The Python client of the escrow contract.

Checks the money on this side of the border before anything is sent; the contract checks it again.
Every transaction has a label that names it for ever, so a stage that is repeated sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from eth_abi.abi import encode

from settlement.chain.chain import Chain
from settlement.chain.errors import Reverted
from settlement.chain.records import Log, TransactionReceipt
from settlement.errors import BrokenInvariant, PlanError
from settlement.escrow import gas_limits
from settlement.escrow.artifacts import artifact
from settlement.escrow.checks import check_parties, check_plan
from settlement.escrow.events import ETHER, ChunkNoted, RoundTerms, Settled
from settlement.escrow.reader import EscrowError, EscrowReader
from settlement.escrow.typed_data import NO_TABLE, sign_plan
from settlement.money.terms import MAX_AMOUNT_UNITS, SettlementPlan
from settlement.posting.format import Posting

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["EscrowClient", "EscrowError"]

APPROVE = bytes.fromhex("095ea7b3")  # approve(address,uint256)
SMALL_TRANSFERS = 64
REGISTER_BATCH = 200
SIGNATURE_BATCH = 200


class EscrowClient(EscrowReader):
    """One escrow contract on one chain: what anybody can ask it, and every transaction."""

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> EscrowClient:
        """Create the contract; nobody owns it afterwards, the account neither."""
        judge = _create(chain, "deploy/judge", account, artifact("Judge").bytecode)
        creation = artifact().bytecode + bytes(12) + bytes.fromhex(judge[2:])
        return cls(chain, _create(chain, "deploy", account, creation))

    # Opening and funding

    def open_round(self, account: LocalAccount, terms: RoundTerms, parties: Sequence[str]) -> int:
        """Open a round, whose operator the account becomes, and register all parties.

        Returns
        -------
        int
            The round's number in this contract, from 1.
        """
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
        part: int = 0,
    ) -> TransactionReceipt:
        """Lock base units of a party in a round that was opened as the party agreed.

        Parameters
        ----------
        agreement : bytes
            Hash of what the party agrees to, `RoundTerms.agreement`; the contract refuses the
            deposit if the round was opened otherwise.
        part : int
            Number of this deposit among the party's; deposits add up.
        """
        terms = self.terms(round_id)
        label = f"deposit/{round_id}/{party}" + (f"/{part}" if part else "")
        self._check_room(label, round_id, party, units)
        return self._send(
            label,
            account,
            gas_limits.CALL,
            self.interface.encode("deposit", round_id, agreement, units),
            value_wei=units * terms.unit_scale if terms.asset == ETHER else 0,
        )

    def approve(
        self, round_id: int, party: int, account: LocalAccount, units: int
    ) -> TransactionReceipt:
        """Let the escrow take base units of a round's token; a deposit in tokens needs it."""
        terms = self.terms(round_id)
        if terms.asset == ETHER:
            raise EscrowError(f"Round {round_id} is in ether; a deposit needs no approval.")
        data = APPROVE + encode(["address", "uint256"], [self.address, units * terms.unit_scale])
        label = f"approve/{round_id}/{party}"
        return self.chain.send(label, account, terms.asset, data, gas=gas_limits.CALL)

    def deposit_with_permit(
        self,
        round_id: int,
        party: int,
        account: LocalAccount,
        units: int,
        agreement: bytes,
        *,
        deadline: int,
        signature: tuple[int, bytes, bytes],
    ) -> TransactionReceipt:
        """Deposit with an EIP-2612 permit (v, r, s) of the party's instead of an approval."""
        label = f"deposit/{round_id}/{party}"
        self._check_room(label, round_id, party, units)
        data = self.interface.encode(
            "deposit_with_permit", round_id, agreement, units, deadline, *signature
        )
        return self._send(label, account, gas_limits.CALL, data)

    def _check_room(self, label: str, round_id: int, party: int, units: int) -> None:
        """Refuse a deposit that the contract would, unless it is one that was made before."""
        room = MAX_AMOUNT_UNITS - self._read("total_units", round_id)
        if not 1 <= units <= MAX_AMOUNT_UNITS or (
            units > room and self.chain.receipt(label) is None
        ):
            raise EscrowError(
                f"Party {party} would deposit {units} base units; expected 1 to {room}, for a "
                f"round holds at most {MAX_AMOUNT_UNITS}. Choose a larger unit."
            )

    # Settlement

    def settle(
        self,
        plan: SettlementPlan,
        account: LocalAccount,
        signers: Sequence[LocalAccount] = (),
        *,
        signatures: Sequence[bytes] | None = None,
        table_hash: bytes = NO_TABLE,
    ) -> Log:
        """Carry out a plan that all parties sign; any account may bring it.

        Parameters
        ----------
        signers : sequence of LocalAccount
            The parties in party order, where their keys are at hand.
        signatures : sequence of bytes, optional
            The parties' signatures in party order, where they are not; see `sign_plan`.

        Returns
        -------
        Log
            Of the settlement: names the transaction with which the plan took effect.

        Raises
        ------
        PlanError
            If the plan is of another round or contract, or exceeds a deposit.
        """
        round_id = plan.round.round_id
        if self.chain.receipt(f"settle/{round_id}") is None:
            check_plan(self, plan)
        if signatures is None:
            signatures = [sign_plan(plan, signer, table_hash) for signer in signers]
        self.endorse(plan, account, signatures, table_hash=table_hash)
        return self.carry_out(plan, account)

    def endorse(
        self,
        plan: SettlementPlan,
        account: LocalAccount,
        signatures: Sequence[bytes],
        *,
        table_hash: bytes = NO_TABLE,
    ) -> list[TransactionReceipt]:
        """Bring all signatures of a plan, in party order, in as many batches as it takes.

        Returns the receipts of what was sent: nothing for signatures that somebody else brought.
        """
        round_id = plan.round.round_id
        n_parties = self.terms(round_id).n_parties
        if len(signatures) != n_parties:
            raise PlanError(
                f"{len(signatures)} signatures for a round of {n_parties} parties; all must sign."
            )
        name = f"endorse/{round_id}/{plan.plan_id.hex()[:16]}"
        receipts: list[TransactionReceipt] = []
        n_signed = 0
        while n_signed < n_parties:
            batch = signatures[n_signed : n_signed + SIGNATURE_BATCH]
            data = self.interface.encode(
                "endorse", round_id, table_hash, plan.plan_id, b"".join(batch)
            )
            gas = gas_limits.signatures(len(batch))
            try:
                receipts.append(self._send(f"{name}/{n_signed}", account, gas, data))
                n_signed += len(batch)
            except Reverted:
                # Anyone may bring signatures, and somebody may have been faster with some.
                digest = self._read("digest", round_id, table_hash, plan.plan_id)
                n_brought = self._read("endorsements", digest)
                if n_brought <= n_signed:
                    raise
                n_signed = n_brought
        return receipts

    def carry_out(self, plan: SettlementPlan, account: LocalAccount) -> Log:
        """Carry out a plan that all have signed, or whose challenge window has closed.

        Anyone may: what somebody else has carried out already is not sent.

        Returns
        -------
        Log
            Of the settlement: names the transaction with which the plan took effect.
        """
        round_id = plan.round.round_id
        steps = self._steps(plan)
        for k, (link, (gas, data)) in enumerate(zip(plan.links, steps, strict=True)):
            last = k == len(steps) - 1
            label = f"settle/{round_id}" if last else f"settle/{round_id}/chunk/{k}"
            try:
                self._send(label, account, gas, data)
            except Reverted:
                noted = (e for e in self.events(round_id) if isinstance(e, ChunkNoted | Settled))
                if link not in (event.plan_id for event in noted):
                    raise
        return self.settlement(round_id)

    def _steps(self, plan: SettlementPlan) -> list[tuple[int, bytes]]:
        """Gas and call data of each transaction that carries a plan out."""
        round_id = plan.round.round_id
        chunks = plan.chunks
        if len(chunks) == 1:
            n_parties = self.terms(round_id).n_parties
            small = max(n_parties, len(plan.transfers)) <= SMALL_TRANSFERS
            name = "settle" if small else "settle_large"
            gas = gas_limits.settlement(n_parties, len(plan.transfers))
            return [(gas, self.interface.encode(name, round_id, chunks[0]))]
        following = (*plan.links[1:], b"")
        return [
            (gas_limits.TRANSACTION, self.interface.encode("settle_chunk", round_id, chunk, link))
            for chunk, link in zip(chunks, following, strict=True)
        ]

    # The optimistic way

    def commit_table(
        self, round_id: int, account: LocalAccount, table_hash: bytes
    ) -> TransactionReceipt:
        """Name the value table, once, after the funding deadline; the operator only."""
        data = self.interface.encode("commit_table", round_id, table_hash)
        return self._send(f"commit/{round_id}", account, gas_limits.CALL, data)

    def propose(
        self, plan: SettlementPlan, account: LocalAccount, posting: Posting
    ) -> TransactionReceipt:
        """Post plan and allocation with a bond; the operator only."""
        round_id = plan.round.round_id
        label = f"propose/{round_id}"
        if self.chain.receipt(label) is None:
            check_plan(self, plan)
        data = self.interface.encode(
            "propose", round_id, plan.encode(), posting.encode(), posting.encode_table()
        )
        terms = self.terms(round_id)
        gas = gas_limits.posting(terms.n_parties)
        return self._send(label, account, gas, data, terms.bond_wei)

    def challenge(self, round_id: int, account: LocalAccount) -> TransactionReceipt:
        """Let the contract recompute the proposal: the caller wins its bond or loses its own."""
        proposed = self._proposed(round_id)
        packed = b"".join(transfer.encode() for transfer in proposed.transfers)
        data = self.interface.encode(
            "challenge", round_id, packed, proposed.posting, proposed.table
        )
        label = f"challenge/{round_id}/{account.address}"
        terms = self.terms(round_id)
        return self._send(
            label, account, gas_limits.challenge(terms.n_parties), data, terms.bond_wei
        )

    def reclaim_bond(self, round_id: int, account: LocalAccount) -> TransactionReceipt:
        """Free the bond of a proposal that expired."""
        data = self.interface.encode("reclaim_bond", round_id)
        return self._send(f"reclaim-bond/{round_id}", account, gas_limits.CALL, data)

    def withdraw_bond(
        self, account: LocalAccount, recipient: str, *, label: str
    ) -> TransactionReceipt:
        """Take an account's free bonds out, to any address."""
        data = self.interface.encode("withdraw_bond", recipient)
        return self._send(f"withdraw-bond/{label}", account, gas_limits.CALL, data)

    # Ways out

    def withdraw(
        self, round_id: int, party: int, account: LocalAccount, recipient: str
    ) -> TransactionReceipt:
        """Take a party's whole claim out, to any address."""
        return self._send(
            f"withdraw/{round_id}/{party}",
            account,
            gas_limits.CALL,
            self.interface.encode("withdraw", round_id, recipient),
        )

    def _send(
        self, label: str, account: LocalAccount, gas: int, data: bytes, value_wei: int = 0
    ) -> TransactionReceipt:
        gas = min(gas, gas_limits.TRANSACTION)
        receipt = self.chain.send(label, account, self.address, data, value_wei=value_wei, gas=gas)
        if not receipt.logs:  # every transition of the escrow has an event
            raise EscrowError(
                f'"{label}" was carried out in block {receipt.block_number}, where there was no '
                f"escrow at {self.address}: a reorganised block held its deployment. The "
                f"{value_wei} wei that it brought lie there unrecorded; ask for more "
                "confirmations than the chain reorganises blocks."
            )
        return receipt


def _create(chain: Chain, label: str, account: LocalAccount, creation: bytes) -> str:
    receipt = chain.send(label, account, None, creation, gas=gas_limits.DEPLOYMENT)
    if receipt.contract_address is None:
        raise BrokenInvariant(f"{label} succeeded without a contract address.")
    return receipt.contract_address
