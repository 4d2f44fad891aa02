"""The figures of a round that its page shows, as plain data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from settlement.posting.check import Proof
from settlement.posting.format import FACTOR_ONE, VALUE_SCALE
from settlement.report.summary import StoredRound
from settlement.store.documents import ValueDocument

__all__ = ["page_data"]

PAGE_FORMAT = "fairround page 1"

MAX_DRAWN_TABLE = 12
"""Up to this many parties the page holds the value table, and recomputes the flows from it."""

MAX_FLOW_PARTIES = 64
"""Up to this many parties the page holds the flows, and lets budgets be moved."""

MOST_TRANSACTIONS = 300
"""Transactions that the page decodes; `fairround show --tx` has all of them."""

TRANSACTIONS = {
    "open_round": "round opened",
    "register": "further parties registered",
    "deposit": "deposit of {party}",
    "deposit_with_permit": "deposit of {party}",
    "close": "{party} is done depositing",
    "revoke": "{party} revoked its signature",
    "endorse": "signatures of the plan",
    "settle_by_proof": "settled by proof",
    "settle": "settled by signatures",
    "settle_large": "settled by signatures",
    "settle_chunk": "part of the plan carried out",
    "withdraw": "withdrawal of {party}",
    "pay_out": "parties paid out",
}
"""What transactions do, by the function of the escrow that they call."""


def page_data(
    stored: StoredRound,
    *,
    seals: Mapping[str, str],
    proof: Proof | None,
) -> dict[str, Any]:
    """Everything that the page of a settled round shows and recomputes.

    Parameters
    ----------
    seals
        SHA-256 of the seal of every stage that the page is made from: they name the folder.
    proof
        The whole numbers that the net positions follow from; None if they follow from payoffs.

    Returns
    -------
    dict
        JSON without NaN; amounts as text, because JavaScript's numbers hold 53 bits. Matrices are
        lists of rows, ``[payer][payee]``.
    """
    terms, values, allocation = stored.terms, stored.values, stored.allocation
    settlement, n_parties = stored.settlement, len(terms.parties)
    table = values.is_table and n_parties <= MAX_DRAWN_TABLE
    measured, errors = _measured(values) if table else (None, None)
    floors = values.reward_floors if stored.rewards.entries else []
    return {
        "format": PAGE_FORMAT,
        "name": terms.round,
        "parties": list(terms.party_names),
        "trained": _how_trained(values, n_parties),
        "rate": str(terms.exchange_rate),
        "unitScale": str(terms.unit_scale),
        "deposits": _texts(allocation.deposits_units),
        "values": values.values if table else None,
        "measured": measured,
        "valueErrors": errors,
        "ownValues": allocation.own_values,
        "grandValue": values.grand_value,
        "flows": allocation.flows if n_parties <= MAX_FLOW_PARTIES else None,
        "budgets": allocation.budgets,
        "wanted": None if all(cap is None for cap in terms.caps) else list(terms.caps),
        "factors": allocation.adjustment_factors,
        "factorErrors": allocation.factor_errors,
        "payoffs": allocation.payoffs,
        "payoffErrors": allocation.payoff_errors,
        "modelValues": allocation.model_values,
        "modelValueErrors": allocation.model_value_errors,
        "posting": proof and _posting(proof),
        "nets": _texts(settlement.net_positions_units),
        "transfers": [
            [t["debtor"], t["creditor"], str(t["amount_units"])] for t in settlement.transfers
        ],
        "withdrawn": _texts(settlement.withdrawn_units),
        "rewards": [
            {
                "party": entry.party,
                "validationScore": entry.validation_score,
                "holdoutScore": entry.holdout_score,
                "floor": floors[entry.party],
            }
            for entry in stored.rewards.entries
        ],
        "nValidation": stored.rewards.n_validation,
        "reference": {
            "chainId": terms.chain_id,
            "escrow": terms.escrow,
            "roundId": stored.opened.round_id,
            "termsHash": stored.opened.terms_hash,
            "nParties": n_parties,
        },
        "planId": settlement.plan_id,
        "settlementBlock": settlement.settlement_block,
        "nTransactions": len(settlement.transactions),
        "gasInAll": sum(sent["gas_used"] for sent in settlement.transactions),
        "transactions": [
            {
                "told": _told(sent, terms.party_names),
                "block": sent["block"],
                "gas": sent["gas_used"],
                "hash": sent["transaction"].removeprefix("0x"),
                "sender": sent["sender"],
                "valueWei": sent["value_wei"],
                "call": sent["call"],
                "arguments": sent["arguments"],
                "events": sent["events"],
            }
            for sent in settlement.transactions[:MOST_TRANSACTIONS]
        ],
        "seals": dict(seals),
    }


def _texts(amounts: Sequence[int]) -> list[str]:
    return [str(amount) for amount in amounts]


def _measured(values: ValueDocument) -> tuple[list[float] | None, list[float] | None]:
    """Mean scores, if the round went on with others, and their standard errors over seeds."""
    columns = list(zip(*values.scores, strict=True))
    means = [statistics.fmean(column) for column in columns]
    covered = any(abs(a - b) > 1e-12 for a, b in zip(means, values.values, strict=True))
    n_seeds = len(values.scores)
    if n_seeds < 2:
        return (means if covered else None), None
    errors = [statistics.stdev(column) / math.sqrt(n_seeds) for column in columns]
    return (means if covered else None), errors


def _how_trained(values: ValueDocument, n_parties: int) -> str | None:
    """In words, how the values came about; None if they were given."""
    if values.source != "trained":
        return None
    seeds = len(values.seeds)
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    all_ = 2 ** (n_parties - len(values.buyers)) - 1
    of = " of those who brought data" if values.buyers else ""
    if values.coalitions is None:
        return f"models of all {all_:,} coalitions{of} were trained{mean}"
    trained = len(values.coalitions)
    return f"flows are estimated from {trained:,} of {all_:,} coalitions{of}{mean}"


def _posting(proof: Proof) -> dict[str, Any]:
    """Flows and factors as whole numbers, and the unit of their products in value units."""
    return {
        "flows": [_texts(row) for row in proof.game.flows],
        "factors": _texts(proof.factors),
        "unit": str(proof.game.scale * VALUE_SCALE * FACTOR_ONE),
    }


def _told(sent: Mapping[str, Any], names: Sequence[str]) -> str:
    """What a transaction did, in words; the name of its call if it is not known here."""
    party = sent["party"]
    known = isinstance(party, int) and 0 <= party < len(names)
    told = TRANSACTIONS.get(sent["call"])
    return sent["call"] if told is None else told.format(party=names[party] if known else "a party")
