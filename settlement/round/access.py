"""The way to a round's chain: what the terms say of it, and what the user's own settings say.

The terms name chain id, contract and accounts. Endpoint, fees and keys are the user's: none of
them ever comes from the folder of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from settlement.chain.chain import Chain
from settlement.chain.journal import JOURNAL_NAME
from settlement.chain.keys import AskPassword, addresses_in_environment, list_keys
from settlement.chain.opening import open_chain
from settlement.chain.spec import GWEI, SIMULATED_CHAIN_ID, ChainSpec
from settlement.config.reading import OPERATOR, RoundConfig, party_account
from settlement.config.settings import Settings, SettingsError, settings_path
from settlement.config.terms import AgreedTerms
from settlement.escrow.deployment import genesis_codes
from settlement.store.folder import RoundFolder

__all__ = ["SENDER", "ChainAccess", "sender_name"]

SENDER = "sender"
"""Name of an account that has no seat in a round, but pays for what anybody may send."""


def sender_name(terms: AgreedTerms, address: str | None) -> str:
    """Name in a round's chain of the account with an address; of the operator's for None."""
    seats = {terms.operator.lower(): OPERATOR}
    seats |= {party.lower(): party_account(k) for k, party in enumerate(terms.addresses)}
    return OPERATOR if address is None else seats.get(address.lower(), SENDER)


@dataclass(frozen=True)
class ChainAccess:
    """One user's way to chains.

    Parameters
    ----------
    read_own_settings
        Gives endpoint, fees and keystore of whoever runs this process; not asked for a chain that
        is simulated.
    ask_password
        For the password of a key that the environment does not have; None: never asked.
    """

    read_own_settings: Callable[[], Settings]
    ask_password: AskPassword | None = None

    @cached_property
    def settings(self) -> Settings:
        """The user's own settings."""
        return self.read_own_settings()

    @property
    def max_fee_wei(self) -> int:
        """The most that a unit of gas may cost the user."""
        return self.settings.max_fee_gwei * GWEI

    def begin(self, folder: RoundFolder, config: RoundConfig) -> Chain:
        """The chain that a round is to be opened on; a simulated one is started in the folder."""
        simulated = config.chain.simulated
        spec = config.chain_spec(None if simulated else self.settings)
        if simulated:
            spec = spec.model_copy(update={"codes": genesis_codes()})
        return open_chain(folder.chain_path, spec, ask_password=self.ask_password)

    def open(
        self,
        folder: RoundFolder,
        terms: AgreedTerms,
        *,
        sender: str | None = None,
        read_only: bool = False,
    ) -> Chain:
        """The chain that a round was opened on.

        ``sender`` is the address of an account without a seat that is to pay for something.
        """
        if terms.chain_id == SIMULATED_CHAIN_ID:
            return open_chain(folder.chain_path, read_only=read_only)
        named = {party_account(party): address for party, address in enumerate(terms.addresses)}
        named[OPERATOR] = terms.operator
        if sender is not None:
            named[SENDER] = sender
        return self._real(folder.chain_path, terms.chain_id, named, read_only=read_only)

    def anywhere(self, journal: Path | None, account: str, chain_id: int | None = None) -> Chain:
        """The chain of the user's own endpoint, for what needs no round's folder.

        ``account`` is the address that sends, `SENDER` its name; ``chain_id`` None takes whatever
        chain the endpoint serves.
        """
        return self._real(journal, chain_id or self._served_chain_id(), {SENDER: account})

    def own_addresses(self) -> tuple[str, ...]:
        """Addresses of all keys that the user has: in the keystore, and in the environment."""
        files = [key.address for key in list_keys(Path(self.settings.keystore))]
        return tuple(dict.fromkeys([*files, *addresses_in_environment()]))

    def _served_chain_id(self) -> int:
        from settlement.chain.delivery import quantity
        from settlement.chain.rpc import RpcClient, endpoint_address

        endpoint = self._endpoint("the round")
        client = RpcClient(endpoint_address(endpoint), reply_timeout_s=10.0, patience_s=30.0)
        return quantity(client.ask("eth_chainId"))

    def _endpoint(self, what: str) -> str:
        if self.settings.endpoint is None:
            raise SettingsError(
                f"No endpoint of {what} is set: give --endpoint, FAIRROUND_ENDPOINT, or endpoint "
                f"in {settings_path()}."
            )
        return self.settings.endpoint

    def _real(
        self,
        journal: Path | None,
        chain_id: int,
        named: Mapping[str, str],
        *,
        read_only: bool = False,
    ) -> Chain:
        settings = self.settings
        if read_only and journal is not None and not (journal / JOURNAL_NAME).exists():
            journal, read_only = None, False  # nothing was sent from here: nothing to compare
        spec = ChainSpec(
            accounts=tuple(named),
            provider=self._endpoint(f"chain {chain_id}"),
            chain_id=chain_id,
            confirmations=settings.confirmations,
            max_fee_wei=self.max_fee_wei,
            priority_fee_wei=settings.priority_fee_gwei * GWEI,
            keystore=Path(settings.keystore),
            addresses=dict(named),
        )
        return open_chain(journal, spec, read_only=read_only, ask_password=self.ask_password)
