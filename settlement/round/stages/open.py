"""open: deploy the escrow, open the round, let the parties lock their deposits."""

from __future__ import annotations

import hashlib
import shutil

from settlement.chain.chain import Chain
from settlement.chain.errors import UnknownAccount
from settlement.config.reading import OPERATOR, RoundConfig, party_account
from settlement.errors import SettlementError
from settlement.escrow.checks import check_contract, check_round
from settlement.escrow.client import EscrowClient
from settlement.escrow.events import RoundOpened
from settlement.money.bridge import deposit_units
from settlement.round.agreement import TERMS_FILE, agreed_terms, contract_terms
from settlement.round.context import RoundContext
from settlement.store.documents import OpenedRound
from settlement.store.folder import dump_json

__all__ = ["DepositsMissing", "RoundNotOpened", "carry_out", "deposit_alone"]


class DepositsMissing(SettlementError):
    """Parties whose keys are not here have yet to deposit."""


class RoundNotOpened(SettlementError):
    """There is no round on the chain with the terms that this folder leads to."""


def carry_out(context: RoundContext) -> None:
    """Open the round on the chain; each party's locked deposit is its budget b_i."""
    config = context.config
    deposits = [deposit_units(party.budget_value, config.exchange_rate) for party in config.parties]
    data_digest = _check_data(config)  # bad data stops the round before anything is deployed
    with (
        context.folder.write_stage("open", inputs=[]) as folder,
        context.open_chain() as chain,
    ):
        terms = _terms(config, chain, data_digest)
        opened = _open_on_chain(context, chain, deposits, hashlib.sha256(terms).digest())
        (folder / TERMS_FILE).write_bytes(terms)
        shutil.copy(context.folder.config_path, folder)  # to go back to, should it be edited
        opened.write(folder)


def deposit_alone(context: RoundContext, party: int) -> int:
    """Lock one party's deposit in the round that the journal says was opened; base units.

    For a party who has the operator's folder and its own key. What it agrees to is worked out
    again from its own copy of the configuration and the data, so a round with other terms is
    refused.

    Raises
    ------
    RoundNotOpened
        If the journal has no escrow yet, or the escrow has no round with these terms.
    EscrowError
        If the contract is not the escrow, or the round in it was opened otherwise than agreed.
    """
    config = context.config
    units = deposit_units(config.parties[party].budget_value, config.exchange_rate)
    data_digest = _check_data(config)
    with context.open_chain() as chain:
        terms_hash = hashlib.sha256(_terms(config, chain, data_digest)).digest()
        deployed = chain.receipt("deploy")
        address = deployed.contract_address if deployed else None
        named = []
        if address is not None:
            escrow = EscrowClient(chain, address)
            check_contract(escrow)
            named = [
                event
                for event in escrow.events()
                if isinstance(event, RoundOpened)
                and event.terms.terms_hash == terms_hash
                and event.operator == chain.address(OPERATOR)
            ]
        if not named:
            raise RoundNotOpened(
                f"No round with the terms 0x{terms_hash.hex()} was opened in this folder's escrow "
                f"({address or 'none is deployed'}). Ask the operator for its folder after "
                f"`fairround open`, unchanged."
            )
        round_id = named[0].round_id
        terms = contract_terms(config, chain.started_at, terms_hash)
        addresses = _addresses(config, chain)
        check_round(escrow, round_id, terms, addresses)
        account = chain.account(party_account(party))
        if units:
            agreement = terms.agreement(chain.address(OPERATOR), addresses)
            escrow.deposit(round_id, party, account, units, agreement)
    return units


def _addresses(config: RoundConfig, chain: Chain) -> list[str]:
    return [chain.address(party_account(party)) for party in range(len(config.parties))]


def _fund(
    chain: Chain, escrow: EscrowClient, round_id: int, party: int, deposit: int, agreement: bytes
) -> bool:
    """Deposit for a party whose key is at hand; whether its whole deposit is locked."""
    try:
        account = chain.account(party_account(party))
    except UnknownAccount:
        return escrow.claim(round_id, party) >= deposit
    escrow.deposit(round_id, party, account, deposit, agreement)
    return True


def _check_data(config: RoundConfig) -> str | None:
    """Digest of the round's data, after making sure that the recipe can be trained on it."""
    if config.data is None or config.recipe is None:
        return None
    from ml.datasets.loading import load
    from ml.training.checks import check_training

    collaboration = load(config.data)
    check_training(collaboration, config.recipe)
    return collaboration.digest


def _terms(config: RoundConfig, chain: Chain, data_digest: str | None) -> bytes:
    """The document whose SHA-256 the escrow holds."""
    addresses = _addresses(config, chain)
    operator = chain.address(OPERATOR)
    return dump_json(agreed_terms(config, operator, addresses, chain.started_at, data_digest))


def _open_on_chain(
    context: RoundContext, chain: Chain, deposits: list[int], terms_hash: bytes
) -> OpenedRound:
    config = context.config
    n_steps = len(deposits) + 2
    context.progress("open", 0, n_steps)
    operator = chain.account(OPERATOR)
    addresses = _addresses(config, chain)
    escrow = EscrowClient.deploy(chain, operator)
    context.progress("open", 1, n_steps)
    terms = contract_terms(config, chain.started_at, terms_hash)
    round_id = escrow.open_round(operator, terms, addresses)
    agreement = terms.agreement(operator.address, addresses)
    missing = []
    for party, deposit in enumerate(deposits):
        context.progress("open", 2 + party, n_steps)
        if deposit and not _fund(chain, escrow, round_id, party, deposit, agreement):
            missing.append(f"{config.parties[party].name} ({deposit} base units)")
    if missing and chain.timestamp() <= terms.funding_deadline:
        raise DepositsMissing(
            f"Round {round_id} of escrow {escrow.address} waits for deposits of "
            f"{', '.join(missing)} until {terms.funding_deadline}. Let each run `fairround "
            f"deposit` in a copy of this folder, or name the agreement 0x{agreement.hex()}; then "
            f"open again."
        )
    locked = list(escrow.ledger(round_id).deposits_units)
    context.progress("open", n_steps, n_steps)
    return OpenedRound(
        name=config.name,
        parties=list(config.party_names),
        exchange_rate=config.exchange_rate,
        unit_scale=config.chain.unit_scale,
        chain_id=chain.chain_id,
        escrow=escrow.address,
        round_id=round_id,
        terms_hash=terms_hash.hex(),
        operator=operator.address,
        addresses=addresses,
        deposits_units=locked,
        settlement=config.chain.settlement,
        funding_deadline=terms.funding_deadline,
        settlement_deadline=terms.settlement_deadline,
    )
