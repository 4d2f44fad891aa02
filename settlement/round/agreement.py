"""From a configuration and what was trained to the terms, and from the terms to the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from settlement.config.reading import RoundConfig
from settlement.config.terms import AgreedParty, AgreedTerms, Basis, ExternalBasis
from settlement.escrow.events import ETHER, RoundTerms
from settlement.store.documents import GameDocument, ValueDocument

__all__ = ["agreement_of", "contract_terms", "terms_of_round"]


def contract_terms(terms: AgreedTerms) -> RoundTerms:
    """What the contract itself must know of the terms."""
    return RoundTerms(
        terms_hash=terms.hash,
        game_hash=bytes.fromhex(terms.game_sha256),
        asset=terms.asset,
        unit_scale=terms.unit_scale,
        exchange_rate=terms.exchange_rate,
        quorum_units=terms.quorum_units,
        funding_deadline=terms.funding_deadline,
        settlement_deadline=terms.settlement_deadline,
        n_parties=len(terms.parties),
        by_proof=terms.settlement == "proof",
    )


def agreement_of(terms: AgreedTerms) -> bytes:
    """What every deposit names: one hash of chain, contract, operator, terms and all parties."""
    return contract_terms(terms).agreement(
        terms.chain_id, terms.escrow, terms.operator, terms.addresses
    )


def terms_of_round(
    config: RoundConfig,
    values: ValueDocument,
    game: GameDocument,
    *,
    values_sha256: str,
    chain_id: int,
    escrow: str,
    operator: str,
    addresses: Sequence[str],
    funding_deadline: int,
) -> AgreedTerms:
    """The terms that a configuration and what was trained lead to.

    Parameters
    ----------
    values_sha256
        Of the file of values.
    escrow
        Address of the contract.
    addresses
        Of the parties, in order.
    funding_deadline
        Counted from when the round's journal began, so that a repeated stage asks for the same.
    """
    basis = values.basis
    digests = (basis or {}).get("party_data_sha256") or [None] * len(addresses)
    parties = tuple(
        AgreedParty(name=name, address=address, data_sha256=digest)
        for name, address, digest in zip(config.party_names, addresses, digests, strict=True)
    )
    chain = config.chain
    return AgreedTerms(
        round=config.name,
        chain_id=chain_id,
        escrow=escrow,
        operator=operator,
        parties=parties,
        asset=chain.asset or ETHER,
        unit_scale=chain.unit_scale,
        exchange_rate=config.exchange_rate,
        quorum_units=chain.quorum_units(config.exchange_rate),
        funding_deadline=funding_deadline,
        settlement_deadline=funding_deadline + chain.settlement_s,
        settlement=chain.settlement,
        game_sha256=game.game_hash,
        caps=config.caps,
        values_sha256=values_sha256,
        monotone=config.monotone,
        sampling=config.sampling,
        basis=_basis(config, basis),
    )


def _basis(config: RoundConfig, found: dict[str, Any] | None) -> Basis | ExternalBasis | None:
    if found is None:
        return None
    if config.recipe is None:
        return ExternalBasis(**found | {"score_range": tuple(found["score_range"])})
    hashes = {name: value for name, value in found.items() if name != "party_data_sha256"}
    recipe = {name: value for name, value in config.recipe.as_dict().items() if name != "device"}
    return Basis(recipe=recipe, **hashes)
