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
from settlement.errors import PlanError
from settlement.escrow import gas_limits
from settlement.escrow.checks import check_parties, check_plan
from settlement.escrow.deployment import (
    DEPLOYER,
    DEPLOYER_CODE,
    DeploymentError,
    check_deployment,
    creation_data,
    escrow_address,
)
from settlement.escrow.events import ETHER, NOBODY, ChunkNoted, RoundTerms, Settled
from settlement.escrow.reader import EscrowError, EscrowReader
from settlement.escrow.signing import pack_signatures
from settlement.escrow.typed_data import Consent
from settlement.money.terms import MAX_AMOUNT_UNITS, SettlementPlan, net_positions_of
from settlement.posting.check import Proof

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["EscrowClient"]

APPROVE = bytes.fromhex("095ea7b3")  # approve(address,uint256)
REGISTER_BATCH = 200


class EscrowClient(EscrowReader):
    """One escrow contract on one chain: what anybody can ask it, and every transaction."""

    @classmethod
    def at_home(cls, chain: Chain) -> EscrowClient:
        """The escrow of this version on a chain where somebody has put it.

        Raises
        ------
        DeploymentError
            If it is not there, or something else is.
        """
        check_deployment(chain, escrow_address())
        return cls(chain, escrow_address())

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> EscrowClient:
        """The escrow of this version; put there if nobody has yet. Nobody owns it.

        Raises
        ------
        DeploymentError
            If the chain has no deployer that could put it there.
        """
        if not chain.code(escrow_address()):
            if chain.code(DEPLOYER) != DEPLOYER_CODE:
                raise DeploymentError(
                    f"Chain {chain.chain_id} has no deployer at {DEPLOYER}, so an escrow there "
                    "would have an address that vouches for nothing. Bring the deployer there, or "
                    "take another chain."
                )
            chain.send("deploy", account, DEPLOYER, creation_data(), gas=gas_limits.DEPLOYMENT)
        return cls.at_home(chain)

    # Opening and funding

    def open_round(self, account: LocalAccount, terms: RoundTerms, parties: Sequence[str]) -> int:
        """Open a round, whose operator the account becomes, and register all parties.

        Returns
        -------
        int
            The round's number in this contract, from 1; that of the earlier one, if this very
            agreement was opened before.
        """
        check_parties(terms, parties)
        agreement = terms.agreement(self.chain.chain_id, self.address, account.address, parties)
        opened = self.round_of(agreement)
        if opened is not None:
            return opened
        first, *others = (
            list(parties[k : k + REGISTER_BATCH]) for k in range(0, len(parties), REGISTER_BATCH)
        )
        receipt = self._send(
            f"open/{agreement.hex()[:16]}",
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
        payout: str = NOBODY,
        last: bool = False,
        part: int = 0,
    ) -> TransactionReceipt:
        """Lock base units of a party in a round that was opened as the party agreed.

        Parameters
        ----------
        agreement : bytes
            Hash of what the party agrees to, `RoundTerms.agreement`; the contract refuses the
            deposit if the round was opened otherwise.
        payout : str
            Where anybody may have the party paid out, its own address mostly; the zero address:
            nobody may. The last deposit or closing decides.
        last : bool
            Whether the party closes with it.
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
            self.interface.encode("deposit", round_id, party, agreement, units, payout, last),
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
        payout: str = NOBODY,
        last: bool = False,
    ) -> TransactionReceipt:
        """Deposit with an EIP-2612 permit (v, r, s) of the party's instead of an approval."""
        label = f"deposit/{round_id}/{party}"
        self._check_room(label, round_id, party, units)
        common = (round_id, party, agreement, units, payout, last)
        data = self.interface.encode("deposit_with_permit", *common, deadline, *signature)
        return self._send(label, account, gas_limits.CALL, data)

    def close(
        self,
        round_id: int,
        party: int,
        account: LocalAccount,
        agreement: bytes,
        *,
        payout: str = NOBODY,
    ) -> TransactionReceipt:
        """Deposit no more, or nothing at all; final. When all have closed, funding is over."""
        data = self.interface.encode("close", round_id, party, agreement, payout)
        return self._send(f"close/{round_id}/{party}", account, gas_limits.CALL, data)

    def _check_room(self, label: str, round_id: int, party: int, units: int) -> None:
        """Refuse a deposit that the contract would, unless it is one that was made before."""
        room = MAX_AMOUNT_UNITS - self.figures(round_id).total_units
        if not 1 <= units <= MAX_AMOUNT_UNITS or (
            units > room and self.chain.receipt(label) is None
        ):
            raise EscrowError(
                f"Party {party} would deposit {units} base units; expected 1 to {room}, for a "
                f"round holds at most {MAX_AMOUNT_UNITS}. Choose a larger unit."
            )

    # Settlement

    def settle_by_proof(self, plan: SettlementPlan, account: LocalAccount, proof: Proof) -> Log:
        """Carry out a plan that brings about the net positions of a proof; any account may.

        A round that somebody else has settled meanwhile is settled: by proof there is one right
        division of the money, whoever brings it, and whatever pairs it is made of.

        Parameters
        ----------
        plan : SettlementPlan
            Of up to 64 transfers.
        proof : Proof
            `settlement.posting.check.prove` of the agreed game and the locked deposits.

        Returns
        -------
        Log
            Of the settlement: names the transaction with which it took effect.

        Raises
        ------
        PlanError
            If the plan is of another round or contract, or brings about other net positions.
        """
        round_id = plan.round.round_id
        nets = net_positions_of(plan.transfers, plan.round.n_parties)
        if tuple(net.amount_units for net in nets) != proof.net_amounts:
            raise PlanError("The plan's net positions are not the proof's; net them again.")
        label = f"settle/{round_id}"
        if self.chain.receipt(label) is None:
            check_plan(self, plan)
        data = self.interface.encode(
            "settle_by_proof", round_id, plan.encode(), list(proof.factors), proof.game.encode()
        )
        try:
            self._send(label, account, gas_limits.proof(plan.round.n_parties), data)
        except Reverted:
            if not self._is_settled(round_id):
                raise
        return self.settlement(round_id)

    def settle(self, consent: Consent, account: LocalAccount, signatures: Sequence[bytes]) -> Log:
        """Carry out a plan that all parties have signed; any account may bring it.

        One transaction for up to 1,024 parties and transfers; beyond, signatures come in batches
        and then the plan in chunks. What somebody else has brought already is not sent.

        Parameters
        ----------
        consent : Consent
            What was signed, see `EscrowReader.consent`.
        signatures : sequence of bytes
            In party order: 65 bytes of a key, or up to 2,048 of a wallet that is a contract.

        Returns
        -------
        Log
            Of the settlement: names the transaction with which the plan took effect.

        Raises
        ------
        PlanError
            If the plan is of another round or contract, exceeds a deposit, or a signature is
            missing.
        """
        plan = consent.plan
        round_id, n_parties = plan.round.round_id, plan.round.n_parties
        if len(signatures) != n_parties:
            raise PlanError(
                f"{len(signatures)} signatures for a round of {n_parties} parties; all must sign."
            )
        label = f"settle/{round_id}"
        if self.chain.receipt(label) is None and not self._is_settled(round_id):
            check_plan(self, plan)
        if consent.primary_type == "ChunkedSettlement":
            self.endorse(consent, account, signatures)
            return self.carry_out(plan, account)
        name = "settle" if consent.primary_type == "Settlement" else "settle_large"
        gas = gas_limits.settlement(n_parties, len(plan.transfers))
        gas += gas_limits.signatures(n_parties, _n_wallets(signatures))
        packed = pack_signatures(signatures)
        data = self.interface.encode(name, round_id, plan.encode(), packed)
        try:
            self._send(label, account, gas, data)
        except Reverted:
            if not self._is_settled(round_id):
                raise
        return self.settlement(round_id)

    def endorse(
        self, consent: Consent, account: LocalAccount, signatures: Sequence[bytes]
    ) -> list[TransactionReceipt]:
        """Bring all signatures of a plan in chunks, in party order, in batches.

        Returns the receipts of what was sent: nothing for signatures that somebody else brought.
        """
        plan = consent.plan
        round_id, n_parties = plan.round.round_id, plan.round.n_parties
        common = (round_id, plan.plan_id, len(plan.transfers), consent.total_units)
        name = f"endorse/{round_id}/{consent.revocations}/{plan.plan_id.hex()[:16]}"
        receipts: list[TransactionReceipt] = []
        n_signed = 0
        while n_signed < n_parties:
            batch = signatures[n_signed : n_signed + gas_limits.SIGNATURE_BATCH]
            data = self.interface.encode("endorse", *common, len(batch), pack_signatures(batch))
            gas = gas_limits.signatures(len(batch), _n_wallets(batch))
            try:
                receipts.append(self._send(f"{name}/{n_signed}", account, gas, data))
                n_signed += len(batch)
            except Reverted:
                # Anyone may bring signatures, and somebody may have been faster with some.
                n_brought = self._n_endorsed(consent)
                if n_brought <= n_signed:
                    raise
                n_signed = n_brought
        return receipts

    def _n_endorsed(self, consent: Consent) -> int:
        """How many parties' signatures of a plan in chunks are on the chain."""
        from eth_account.messages import encode_typed_data
        from eth_utils.crypto import keccak

        message = encode_typed_data(full_message=consent.typed_data(0))
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        count: int = self._read("endorsements", digest)
        return count

    def carry_out(self, plan: SettlementPlan, account: LocalAccount) -> Log:
        """Carry out a plan in chunks that all have signed; chunks that are in are not sent."""
        round_id = plan.round.round_id
        following = (*plan.links[1:], b"")
        steps = list(zip(plan.links, plan.chunks, following, strict=True))
        for k, (link, chunk, next_link) in enumerate(steps):
            data = self.interface.encode("settle_chunk", round_id, chunk, next_link)
            label = f"settle/{round_id}" + ("" if not next_link else f"/chunk/{k}")
            try:
                self._send(label, account, gas_limits.TRANSACTION, data)
            except Reverted:
                noted = (e for e in self.events(round_id) if isinstance(e, ChunkNoted | Settled))
                if link not in (event.plan_id for event in noted):
                    raise
        return self.settlement(round_id)

    def revoke(self, round_id: int, party: int, account: LocalAccount) -> TransactionReceipt:
        """Take back what a party has signed; all signatures of the round must be given anew."""
        count = self.figures(round_id).revocations
        data = self.interface.encode("revoke", round_id, party)
        return self._send(f"revoke/{round_id}/{party}/{count}", account, gas_limits.CALL, data)

    def _is_settled(self, round_id: int) -> bool:
        return any(isinstance(event, Settled) for event in self.events(round_id))

    # Ways out

    def withdraw(
        self, round_id: int, party: int, account: LocalAccount, recipient: str
    ) -> TransactionReceipt:
        """Take a party's whole claim out, to any address."""
        return self._send(
            f"withdraw/{round_id}/{party}",
            account,
            gas_limits.CALL,
            self.interface.encode("withdraw", round_id, party, recipient),
        )

    def pay_out(
        self, round_id: int, account: LocalAccount, parties: Sequence[int] | None = None
    ) -> list[TransactionReceipt]:
        """Pay parties out at the addresses that they fixed, in batches; any account may.

        Parameters
        ----------
        parties : sequence of int, optional
            Those to be paid; all by default. Who fixed no address, or has nothing, is passed over;
            one whose payment fails keeps its claim.
        """
        terms = self.terms(round_id)
        chosen = range(terms.n_parties) if parties is None else parties
        owed = [party for party in chosen if self.claim(round_id, party)]
        receipts = []
        for k in range(0, len(owed), gas_limits.PAY_OUT_BATCH):
            batch = owed[k : k + gas_limits.PAY_OUT_BATCH]
            data = self.interface.encode("pay_out", round_id, batch)
            # Paid parties owe nothing next time, so a label never names two batches.
            label = f"pay-out/{round_id}/{self.figures(round_id).total_units}/{batch[0]}"
            gas = gas_limits.pay_out(len(batch), ether=terms.asset == ETHER)
            receipts.append(self._send(label, account, gas, data, silent=True))
        return receipts

    def _send(
        self,
        label: str,
        account: LocalAccount,
        gas: int,
        data: bytes,
        value_wei: int = 0,
        *,
        silent: bool = False,
    ) -> TransactionReceipt:
        gas = min(gas, gas_limits.TRANSACTION)
        receipt = self.chain.send(label, account, self.address, data, value_wei=value_wei, gas=gas)
        if not receipt.logs and not silent:  # every transition of the escrow has an event
            raise EscrowError(
                f'"{label}" was carried out in block {receipt.block_number}, where there was no '
                f"escrow at {self.address}: a reorganised block held its deployment. The "
                f"{value_wei} wei that it brought lie there unrecorded; ask for more "
                "confirmations than the chain reorganises blocks."
            )
        return receipt


def _n_wallets(signatures: Sequence[bytes]) -> int:
    """How many may have to be asked of a contract; a key's own could be meant for one, too."""
    return sum(len(signature) != 65 for signature in signatures)
