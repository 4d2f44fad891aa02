"""What the parties agree to: the document whose hash the escrow holds, and the contract's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from settlement.config.reading import RoundConfig
from settlement.escrow.events import RoundTerms
from settlement.posting.check import hash_of_caps

__all__ = ["TERMS_FILE", "agreed_terms", "contract_terms"]

TERMS_FILE = "terms.json"


def agreed_terms(
    config: RoundConfig,
    operator: str,
    addresses: Sequence[str],
    started_at: int,
    data_digest: str | None,
) -> dict[str, Any]:
    """The terms as plain data; the SHA-256 of their JSON is part of what every deposit names.

    Parameters
    ----------
    addresses
        Of the parties, in order.
    started_at
        When the round's chain or journal began; deadlines count from there.
    data_digest
        Of the data that are trained on; None where the values are given.
    """
    chain = config.chain
    funding_deadline = started_at + chain.funding_s
    posted = {"bond_wei": chain.bond_wei, "challenge_window_s": chain.challenge_window_s}
    # How coalitions are sampled, so that nobody tries several seeds and keeps the one that suits.
    sampling = config.values.model_dump(exclude={"given"}) if config.estimates else None
    return {
        "round": config.name,
        "parties": [
            {"name": name, "address": address}
            for name, address in zip(config.party_names, addresses, strict=True)
        ],
        "operator": operator,
        "exchange_rate": config.exchange_rate,
        "unit_scale": chain.unit_scale,
        "funding_deadline": funding_deadline,
        "settlement_deadline": funding_deadline + chain.settlement_s,
        "monotone": config.monotone,
        "caps": list(config.caps),
        "settlement": chain.settlement,
        **(posted if chain.settlement == "optimistic" else {}),
        "given_values": list(config.given_values) if config.given_values else None,
        "estimation": sampling,
        "data_sha256": data_digest,
        "recipe_sha256": config.recipe.digest if config.recipe else None,
    }


def contract_terms(config: RoundConfig, started_at: int, terms_hash: bytes) -> RoundTerms:
    """What the contract itself must know of the terms."""
    funding_deadline = started_at + config.chain.funding_s
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
