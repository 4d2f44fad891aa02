"""What a party does for itself in a round: deposit, sign or disprove the plan, withdraw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from settlement.audit.figures import check_allocation, check_terms, check_values
from settlement.chain.keys import AskPassword
from settlement.config.reading import RoundConfig, party_account, read_config
from settlement.errors import SettlementError
from settlement.escrow.client import EscrowClient
from settlement.escrow.signing import plan_in_words, sign_typed_data
from settlement.posting.format import Fault
from settlement.round.context import RoundContext
from settlement.round.plan import plan_of
from settlement.round.signatures import write_signature
from settlement.round.stages.open import deposit_alone
from settlement.store.documents import OpenedRound, RewardDocument
from settlement.store.folder import RoundFolder

__all__ = ["NoReward", "PartyDesk", "UnknownParty", "reward_file"]


class UnknownParty(SettlementError):
    """No party of the round goes by this name."""


class NoReward(SettlementError):
    """The round has no model for this party: its values were given."""


def reward_file(path: Path, name: str) -> Path:
    """File of the model that a party of a round received, after checking every seal before it.

    Raises
    ------
    UnknownParty, NoReward, StageMissing, TamperedFile
    """
    desk = PartyDesk.of(path, name)
    for entry in RewardDocument.read(desk.folder).entries:
        if entry.party == desk.party:
            return desk.folder.stage("reward") / entry.file
    raise NoReward(f"Party {name!r} of {path} has no model: the values of the round were given.")


@dataclass(frozen=True)
class PartyDesk:
    """One party at work on one round; its key is asked for only when it signs something."""

    folder: RoundFolder
    config: RoundConfig
    party: int
    ask_password: AskPassword | None = None

    @classmethod
    def of(cls, path: Path, name: str, ask_password: AskPassword | None = None) -> PartyDesk:
        """The desk of a party by its name.

        Raises
        ------
        NoRound, ConfigError, UnknownParty
        """
        folder = RoundFolder(path)
        folder.require_config()
        config = read_config(folder.config_path)
        if name not in config.party_names:
            raise UnknownParty(
                f"No party {name!r} in {path}; expected one of: {', '.join(config.party_names)}."
            )
        return cls(folder, config, config.party_names.index(name), ask_password)

    def deposit(self) -> int:
        """Lock this party's budget in the round that was opened on these terms; base units."""
        with self.folder.lock():
            return deposit_alone(self._context, self.party)

    def plan_in_words(self) -> str:
        """What `sign` signs: every transfer, what it means for this party, and the typed data.

        Raises
        ------
        AuditError
            If the plan does not follow from the terms, the value table and the deposits: the
            folder comes from the operator, whose seals prove nothing to a party.
        """
        for check in (check_terms, check_values, check_allocation):
            check(self.folder)
        planned = plan_of(self.folder, self.config)
        names = self.config.party_names
        return plan_in_words(planned.plan, planned.typed_data(), names, self.party)

    def sign(self) -> str:
        """Sign the plan and keep the signature for the settlement; the file's name."""
        planned = plan_of(self.folder, self.config)
        with self.folder.lock(), self._context.open_chain() as chain:
            account = chain.account(party_account(self.party))
            signature = sign_typed_data(account, planned.typed_data())
        return write_signature(self.folder, self.party, planned.plan.plan_id, signature)

    def withdraw(self, recipient: str | None = None) -> int:
        """Take this party's whole claim out of the escrow; base units, 0 if there is nothing.

        After a settlement that is its deposit plus its net position; after the settlement
        deadline without one, its deposit. Nobody else is needed.
        """
        opened = OpenedRound.read(self.folder)
        with self.folder.lock(), self._context.open_chain() as chain:
            escrow = EscrowClient(chain, opened.escrow)
            units = escrow.claim(opened.round_id, self.party)
            if units:
                account = chain.account(party_account(self.party))
                to = recipient or account.address
                escrow.withdraw(opened.round_id, self.party, account, to)
        return units

    def challenge(self) -> Fault | None:
        """Disprove the posted allocation, if a posted figure is wrong; which rule it breaks.

        The chain is asked first, for nothing: where every figure is right, nothing is sent,
        for a wrong challenge costs its bond. Where one is wrong, the challenge voids the
        round, everybody can withdraw its deposit, and both bonds are this party's.
        """
        opened = OpenedRound.read(self.folder)
        with self.folder.lock(), self._context.open_chain() as chain:
            escrow = EscrowClient(chain, opened.escrow)
            fault = escrow.fault(opened.round_id)
            if fault:
                account = chain.account(party_account(self.party))
                escrow.challenge(opened.round_id, account)
                label = f"challenger/{opened.round_id}"
                escrow.withdraw_bond(account, account.address, label=label)
        return fault

    @property
    def _context(self) -> RoundContext:
        return RoundContext(
            self.folder, self.config, lambda stage, done, total: None, self.ask_password
        )
