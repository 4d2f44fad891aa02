"""open: deploy the escrow, open the round, let the parties lock their deposits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from settlement.bridge import deposit_units
from settlement.chain.chain import Chain
from settlement.chain.errors import UnknownAccount
from settlement.chain.escrow import EscrowClient
from settlement.chain.escrow_checks import check_contract, check_round
from settlement.config import OPERATOR, RoundConfig, party_account
from settlement.documents import OpenedRound
from settlement.errors import SettlementError
from settlement.events import RoundOpened, RoundTerms
from settlement.posting import hash_of_caps
from settlement.stages.context import RoundContext
from settlement.store import dump_json

__all__ = [
    "TERMS_FILE",
    "DepositsMissing",
    "RoundNotOpened",
    "carry_out",
    "deposit_alone",
    "estimation_terms",
]

TERMS_FILE = "terms.json"


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
        terms = dump_json(_terms(config, chain, data_digest))
        opened = _open_on_chain(context, chain, deposits, hashlib.sha256(terms).digest())
        (folder / TERMS_FILE).write_bytes(terms)
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
        terms_hash = hashlib.sha256(dump_json(_terms(config, chain, data_digest))).digest()
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
        terms = _round_terms(config, chain, terms_hash)
        check_round(escrow, round_id, terms, _addresses(config, chain))
        account = chain.account(party_account(party))
        if units:
            escrow.deposit(round_id, party, account, units)
    return units


def _round_terms(config: RoundConfig, chain: Chain, terms_hash: bytes) -> RoundTerms:
    """What the contract itself must know of the terms."""
    funding_deadline = chain.started_at + config.chain.funding_s
    terms = RoundTerms(
        terms_hash=terms_hash,
        unit_scale=config.chain.unit_scale,
        funding_deadline=funding_deadline,
        settlement_deadline=funding_deadline + config.chain.settlement_s,
        n_parties=len(config.parties),
    )
    if config.chain.settlement != "optimistic":
        return terms
    return replace(  # so that it can recompute a posted allocation
        terms,
        exchange_rate=config.exchange_rate,
        bond_wei=config.chain.bond_wei,
        challenge_window=config.chain.challenge_window_s,
        caps_hash=hash_of_caps(config.caps),
    )


def _addresses(config: RoundConfig, chain: Chain) -> list[str]:
    return [chain.address(party_account(party)) for party in range(len(config.parties))]


def _fund(chain: Chain, escrow: EscrowClient, round_id: int, party: int, deposit: int) -> bool:
    """Deposit for a party whose key is at hand; whether its whole deposit is locked."""
    try:
        account = chain.account(party_account(party))
    except UnknownAccount:
        return escrow.claim(round_id, party) >= deposit
    escrow.deposit(round_id, party, account, deposit)
    return True


def _check_data(config: RoundConfig) -> str | None:
    """Digest of the round's data, after making sure that the recipe can be trained on it."""
    if config.data is None or config.recipe is None:
        return None
    from ml.datasets.loading import load
    from ml.training.scores import check_training

    collaboration = load(config.data)
    check_training(collaboration, config.recipe)
    return collaboration.digest


def estimation_terms(config: RoundConfig) -> dict[str, Any] | None:
    """Which coalitions are sampled, and how; None where all values are known.

    Part of the terms, so that nobody tries several seeds and keeps the one that suits.
    """
    return config.values.model_dump(exclude={"given"}) if config.estimates else None


def _terms(config: RoundConfig, chain: Chain, data_digest: str | None) -> dict[str, Any]:
    """What the parties agree to; the escrow holds the SHA-256 of this document."""
    funding_deadline = chain.started_at + config.chain.funding_s
    posted = {
        "bond_wei": config.chain.bond_wei,
        "challenge_window_s": config.chain.challenge_window_s,
    }
    return {
        "round": config.name,
        "parties": [
            {"name": party.name, "address": chain.address(party_account(k))}
            for k, party in enumerate(config.parties)
        ],
        "operator": chain.address(OPERATOR),
        "exchange_rate": config.exchange_rate,
        "unit_scale": config.chain.unit_scale,
        "funding_deadline": funding_deadline,
        "settlement_deadline": funding_deadline + config.chain.settlement_s,
        "monotone": config.monotone,
        "caps": list(config.caps),
        "settlement": config.chain.settlement,
        **(posted if config.chain.settlement == "optimistic" else {}),
        "given_values": list(config.given_values) if config.given_values else None,
        "estimation": estimation_terms(config),
        "data_sha256": data_digest,
        "recipe_sha256": config.recipe.digest if config.recipe else None,
    }


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
    terms = _round_terms(config, chain, terms_hash)
    round_id = escrow.open_round(operator, terms, addresses)
    missing = []
    for party, deposit in enumerate(deposits):
        context.progress("open", 2 + party, n_steps)
        if deposit and not _fund(chain, escrow, round_id, party, deposit):
            missing.append(f"{config.parties[party].name} ({deposit} base units)")
    if missing and chain.timestamp() <= terms.funding_deadline:
        raise DepositsMissing(
            f"Round {round_id} of escrow {escrow.address} waits for deposits of "
            f"{', '.join(missing)} until {terms.funding_deadline}. Let each run `fairround "
            f"deposit` in a copy of this folder, or name the terms 0x{terms_hash.hex()}; then "
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
