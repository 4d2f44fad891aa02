"""The Python client of the escrow contract.

Checks the money on this side of the border before anything is sent; the contract checks it again.
Every transaction has a label that names it for ever, so a stage that is repeated sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from settlement.chain.artifacts import artifact
from settlement.chain.chain import Chain
from settlement.chain.events import (
    ETHER,
    EscrowEvent,
    RoundLedger,
    RoundTerms,
    event_of,
    ledger_of,
)
from settlement.chain.interface import Interface
from settlement.chain.records import TransactionReceipt
from settlement.chain.typed_data import NO_TABLE, sign_plan
from settlement.errors import BrokenInvariant, PlanError, SettlementError
from settlement.terms import MAX_AMOUNT_UNITS, RoundReference, SettlementPlan

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["EscrowClient", "EscrowError"]

DEPLOY_GAS = 8_000_000
CALL_GAS = 300_000
MAX_TRANSACTION_GAS = 2**24
PARTY_GAS = 60_000  # one party registered: a fresh slot, calldata and its log
SIGNATURE_GAS = 15_000
TRANSFER_GAS = 14_000  # both parties in slots of their own
REGISTER_BATCH = 256
SIGNATURE_BATCH = 200


class EscrowError(SettlementError):
    """Something asked of the escrow that its rules forbid; refused before anything is sent."""


class EscrowClient:
    """One escrow contract on one chain.

    Parameters
    ----------
    chain : Chain
        Where the contract lives, and the journal of what was sent to it.
    address : str
        The contract's address.
    """

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address = address
        self.interface = Interface(artifact().abi)

    @classmethod
    def deploy(cls, chain: Chain, account: LocalAccount) -> EscrowClient:
        """Create the contract; nobody owns it afterwards, the account neither."""
        receipt = chain.send("deploy", account, None, artifact().bytecode, gas=DEPLOY_GAS)
        if receipt.contract_address is None:
            raise BrokenInvariant("The deployment succeeded without a contract address.")
        return cls(chain, receipt.contract_address)

    # Opening and funding

    def open_round(
        self,
        account: LocalAccount,
        *,
        parties: Sequence[str],
        terms_hash: bytes,
        unit_scale: int,
        funding_deadline: int,
        settlement_deadline: int,
        asset: str = ETHER,
        exchange_rate: int = 0,
        bond_wei: int = 0,
        challenge_window: int = 0,
    ) -> int:
        """Open a round, whose operator the account becomes, and register all parties.

        Returns
        -------
        int
            The round's number in this contract, from 1.
        """
        terms = RoundTerms(
            terms_hash,
            asset,
            unit_scale,
            exchange_rate,
            bond_wei,
            funding_deadline,
            settlement_deadline,
            challenge_window,
            len(parties),
        )
        self._check_parties(parties)
        first, *others = (
            list(parties[k : k + REGISTER_BATCH]) for k in range(0, len(parties), REGISTER_BATCH)
        )
        receipt = self._send(
            f"open/{terms_hash.hex()[:16]}",
            account,
            600_000 + PARTY_GAS * len(first),
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
                200_000 + PARTY_GAS * len(addresses),
                self.interface.encode("register", round_id, addresses),
            )
        return round_id

    def deposit(
        self, round_id: int, party: int, account: LocalAccount, units: int, *, part: int = 0
    ) -> TransactionReceipt:
        """Lock base units of a party; names the terms that the round was opened with.

        Parameters
        ----------
        part : int
            Number of this deposit among the party's; deposits add up.
        """
        terms = self.terms(round_id)
        room = MAX_AMOUNT_UNITS - self._read("total_units", round_id)
        label = f"deposit/{round_id}/{party}" + (f"/{part}" if part else "")
        if not 1 <= units <= MAX_AMOUNT_UNITS or (
            units > room and self.chain.receipt(label) is None
        ):
            raise EscrowError(
                f"Party {party} would deposit {units} base units; expected 1 to {room}, for a "
                f"round holds at most {MAX_AMOUNT_UNITS}. Choose a larger unit."
            )
        return self._send(
            label,
            account,
            CALL_GAS,
            self.interface.encode("deposit", round_id, terms.terms_hash, units),
            value_wei=units * terms.unit_scale if terms.asset == ETHER else 0,
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
    ) -> TransactionReceipt:
        """Carry out a plan that all parties sign; any account may bring it.

        Parameters
        ----------
        signers : sequence of LocalAccount
            The parties in party order, where their keys are at hand.
        signatures : sequence of bytes, optional
            The parties' signatures in party order, where they are not; see `sign_plan`.

        Raises
        ------
        PlanError
            If the plan is of another round or contract, or exceeds a deposit.
        """
        if signatures is None:
            signatures = [sign_plan(plan, signer, table_hash) for signer in signers]
        round_id = plan.round.round_id
        label = f"settle/{round_id}"
        if self.chain.receipt(label) is None:
            self._check_plan(plan, len(signatures))
        return self._send(
            label,
            account,
            400_000 + SIGNATURE_GAS * len(signatures) + TRANSFER_GAS * len(plan.transfers),
            self.interface.encode(
                "settle", round_id, table_hash, plan.encode(), b"".join(signatures)
            ),
        )

    # Ways out

    def withdraw(
        self, round_id: int, party: int, account: LocalAccount, recipient: str
    ) -> TransactionReceipt:
        """Take a party's whole claim out, to any address."""
        return self._send(
            f"withdraw/{round_id}/{party}",
            account,
            CALL_GAS,
            self.interface.encode("withdraw", round_id, recipient),
        )

    # Views

    def terms(self, round_id: int) -> RoundTerms:
        """The contract's part of a round's terms."""
        from eth_utils import to_checksum_address

        values = list(self._read("terms", round_id))
        values[1] = to_checksum_address(values[1])
        terms = RoundTerms(*values)
        if not terms.n_parties:
            raise EscrowError(f"No round {round_id} in the escrow {self.address}.")
        return terms

    def reference(self, round_id: int) -> RoundReference:
        """What names this round, for plans and signatures."""
        return RoundReference(
            self.chain.chain_id, self.address, round_id, self.terms(round_id).terms_hash
        )

    def claim(self, round_id: int, party: int) -> int:
        """Base units that a party has in the escrow."""
        units: int = self._read("claim", round_id, party)
        return units

    def events(self, round_id: int | None = None) -> list[EscrowEvent]:
        """Events of a round, or of all, in order."""
        decoded = (self.interface.decode_log(log) for log in self.chain.logs(self.address))
        return [
            event_of(*found)
            for found in decoded
            if found and round_id in (None, found[1].get("round_id"))
        ]

    def ledger(self, round_id: int) -> RoundLedger:
        """A round as its logs alone tell it."""
        return ledger_of(self.events(round_id))

    def _read(self, name: str, *arguments: Any) -> Any:
        answer = self.chain.call(self.address, self.interface.encode(name, *arguments))
        return self.interface.decode(name, answer)

    def _send(
        self, label: str, account: LocalAccount, gas: int, data: bytes, value_wei: int = 0
    ) -> TransactionReceipt:
        gas = min(gas, MAX_TRANSACTION_GAS)
        return self.chain.send(label, account, self.address, data, value_wei=value_wei, gas=gas)

    # The same rules on this side of the border

    def _check_parties(self, parties: Sequence[str]) -> None:
        if len(parties) < 2:
            raise EscrowError(f"A round of {len(parties)} parties; expected 2 or more.")
        seen: dict[str, int] = {}
        for party, address in enumerate(parties):
            earlier = seen.setdefault(address.lower(), party)
            if earlier != party:
                raise EscrowError(f"Parties {earlier} and {party} are both {address}.")

    def _check_plan(self, plan: SettlementPlan, n_signatures: int) -> None:
        round_id = plan.round.round_id
        if plan.round != self.reference(round_id):
            raise PlanError(
                f"The plan is for {plan.round}; this is {self.reference(round_id)}. "
                "Make the plan again for this round."
            )
        ledger = self.ledger(round_id)
        n_parties = len(ledger.parties)
        if n_signatures > n_parties:
            raise PlanError(f"{n_signatures} signatures for a round of {n_parties} parties.")
        paid = [0] * n_parties
        for transfer in plan.transfers:
            if max(transfer.debtor, transfer.creditor) >= n_parties:
                raise PlanError(f"{transfer} in a round of {n_parties} parties.")
            paid[transfer.debtor] += transfer.amount_units
        for party, (units, deposit) in enumerate(zip(paid, ledger.deposits_units, strict=True)):
            if units > deposit:
                raise PlanError(f"Party {party} would pay {units} of {deposit} base units.")
