"""Rounds for the page: figures that `ml.game` and the settlement make, without a chain."""

import dataclasses

import numpy as np

from ml.game import ValueTable, adjustment_factors, allocate, conditional_shapley
from settlement.config.terms import AgreedParty, AgreedTerms
from settlement.escrow.events import ETHER
from settlement.money.bridge import budgets_of_deposits, net_positions
from settlement.money.netting import net_transfers
from settlement.money.terms import RoundReference, SettlementPlan
from settlement.report import StoredRound
from settlement.report.page import page_data
from settlement.store.documents import (
    AllocationDocument,
    OpenedRound,
    RewardDocument,
    SettlementDocument,
    ValueDocument,
)

RATE = 10**6
SETTLED = {
    "call": "settle",
    "party": None,
    "block": 8,
    "gas_used": 50_000,
    "transaction": "0x" + "00" * 32,
    "sender": "0x" + "11" * 20,
    "value_wei": "0",
    "arguments": {"round_id": "1", "transfers": "0x00"},
    "events": [{"event": "Settled", "plan_id": "0x00"}],
}
SEALS = {stage: f"{k:064x}" for k, stage in enumerate(("train", "open", "allocate"))}


def additive_values(n_parties, seed=0):
    """A monotone table with complements: random weights, a power of their sum."""
    generator = np.random.default_rng(seed)
    weights = generator.uniform(0.2, 1.0, n_parties)
    sums = np.zeros(1 << n_parties)
    for party in range(n_parties):
        sums[1 << party : 2 << party] = sums[: 1 << party] + weights[party]
    return (sums / sums[-1]) ** 0.7


def flows_of_many(n_parties, seed=0):
    """Flows and own values of a game of more parties than tables allow: any balanced ones do."""
    generator = np.random.default_rng(seed)
    flows = generator.uniform(0, 1, (n_parties, n_parties)) ** 3
    np.fill_diagonal(flows, 0)
    flows *= 0.9 / flows.sum(axis=1).max()
    return flows, 1 - flows.sum(axis=1)


def stored_round(names, deposits, *, values=None, flows=None, own=None, **others):
    """A settled round of these parties as its stages would have stored it."""
    n_parties = len(names)
    errors, scores, wanted = (others.get(key) for key in ("errors", "scores", "wanted"))
    budgets = budgets_of_deposits(deposits, RATE)
    if values is not None:
        limits = None if wanted is None else [np.inf if w is None else w for w in wanted]
        allocation = allocate(ValueTable(np.array(values)), budgets, limits)
        flows, factors = conditional_shapley(np.array(values)), allocation.adjustment_factors
        own = [values[1 << k] for k in range(n_parties)]
    else:
        factors = adjustment_factors(flows, budgets).factors
    costs = flows.sum(axis=1)
    payoffs = factors @ flows - factors * costs
    nets = net_positions(payoffs.tolist(), deposits, RATE)
    reference = RoundReference(1337, "0x" + "ab" * 20, 1, bytes(range(32)), n_parties)
    plan = SettlementPlan(reference, net_transfers(nets))
    amounts = [position.amount_units for position in nets]
    grand = float(own[0] + costs[0])
    given = values is not None
    caps = wanted or [None] * n_parties
    # Not checked: the page must stand names that no configuration lets through.
    terms = AgreedTerms.model_construct(
        round="a round",
        chain_id=1337,
        escrow=reference.escrow,
        operator="0x" + "cd" * 20,
        parties=tuple(
            AgreedParty.model_construct(name=name, address="0x" + f"{k:040x}")
            for k, name in enumerate(names)
        ),
        asset=ETHER,
        unit_scale=10**12,
        exchange_rate=RATE,
        quorum_units=0,
        funding_deadline=1,
        settlement_deadline=2,
        settlement="signatures",
        game_sha256="00" * 32,
        caps=tuple(caps),
        values_sha256="00" * 32,
        monotone="refuse",
        sampling=None,
        basis=None,
    )
    return StoredRound(
        terms,
        OpenedRound(
            chain_id=1337,
            escrow=reference.escrow,
            round_id=1,
            terms_hash=terms.hash.hex(),
            agreement="00" * 32,
        ),
        ValueDocument(
            parties=list(names),
            values=[float(v) for v in values] if given else [grand],
            source="given" if given else "trained",
            coalitions=None if given else [(1 << n_parties) - 1],
            scores=scores or ([[float(v) for v in values]] if given else [[grand]]),
            seeds=list(range(len(scores))) if scores else [],
            device=None,
            monotone="refuse",
            monotone_violations=None,
            best_coalitions=None,
            basis=None,
        ),
        AllocationDocument(
            parties=list(names),
            deposits_units=list(deposits),
            own_values=[float(v) for v in own],
            budgets=budgets,
            flows=flows.tolist(),
            shapley=[0.0] * n_parties,
            payoffs_unlimited=[0.0] * n_parties,
            adjustment_factors=factors.tolist(),
            adjusted_flows=(factors[:, None] * flows).tolist(),
            payoffs=payoffs.tolist(),
            model_values=(np.array(own) + factors * costs).tolist(),
            payoff_errors=errors,
            factor_errors=errors,
            model_value_errors=errors,
            certificate_gap=0.0,
            solver_gap=None,
        ),
        RewardDocument(0, 0, []),
        SettlementDocument(
            plan_id=plan.plan_id.hex(),
            net_positions_units=amounts,
            transfers=[dataclasses.asdict(t) for t in plan.transfers],
            settlement_transaction="00" * 32,
            settlement_block=8,
            withdrawn_units=[d + a for d, a in zip(deposits, amounts, strict=True)],
            claims_units=[0] * n_parties,
            transactions=[SETTLED],
            journal_start="00" * 32,
            journal_lines=1,
            journal_digest="00" * 32,
        ),
    )


def data_of(stored):
    """What the page of such a round embeds."""
    return page_data(stored, seals=SEALS, proof=None)


def three_parties():
    """The three parties of the guide."""
    values = [0.0, 0.2, 0.5, 0.6, 0.4, 0.7, 0.8, 1.0]
    return stored_round(["a", "b", "c"], [200_000, 1_000_000, 1_000_000], values=values)
