"""Rounds that do not fit a transaction, through the client."""

from __future__ import annotations

import pytest

from settlement.chain.opening import open_chain
from settlement.chain.spec import ChainSpec
from settlement.escrow.client import EscrowClient
from settlement.escrow.deployment import genesis_codes
from settlement.escrow.events import RoundState, RoundTerms
from settlement.escrow.typed_data import sign_plan
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, SettlementPlan

MOST_GAS = 2**24


def neighbours(n_parties):
    """Every other party pays its neighbour and a bit to the first."""
    nets = [0] * n_parties
    for k in range(1, n_parties - 1, 2):
        nets[k], nets[k + 1], nets[0] = -(100 + k), 90 + k, nets[0] + 10
    return nets


def whole_round(n_parties, nets):
    """Open, fund, sign and settle; some withdraw."""
    names = ("operator", *(f"party/{k}" for k in range(n_parties)))
    chain = open_chain(None, ChainSpec(accounts=names, codes=genesis_codes()))
    operator = chain.account("operator")
    parties = [chain.account(f"party/{k}") for k in range(n_parties)]
    client = EscrowClient.deploy(chain, operator)
    now = chain.started_at
    round_id = client.open_round(
        operator,
        RoundTerms(
            terms_hash=bytes(range(32)),
            game_hash=bytes(range(32)),
            unit_scale=1,
            funding_deadline=now + 10**6,
            settlement_deadline=now + 10**7,
            n_parties=len(parties),
            by_proof=False,
        ),
        [party.address for party in parties],
    )
    agreement = client.agreement(round_id)
    for k, net in enumerate(nets):
        if net < 0:
            client.deposit(round_id, k, parties[k], -net, agreement)
    positions = [NetPosition(k, net) for k, net in enumerate(nets)]
    plan = SettlementPlan(client.reference(round_id), net_transfers(positions))
    chain.advance_to(now + 10**6 + 1)
    consent = client.consent(plan, [max(0, -net) for net in nets])
    signatures = [sign_plan(consent, k, party) for k, party in enumerate(parties)]
    client.settle(consent, operator, signatures)
    assert max(chain.receipt(label).gas_used for label in chain.labels()) < MOST_GAS
    ledger = client.ledger(round_id)
    assert ledger.plan_id == plan.plan_id
    assert ledger.transfers == plan.transfers
    assert list(ledger.claims_units) == [max(0, net) for net in nets]
    for k in (0, 2, n_parties - 1 - n_parties % 2):
        assert client.claim(round_id, k) == max(0, nets[k])
        if nets[k] > 0:
            client.withdraw(round_id, k, parties[k], parties[k].address)
            assert client.claim(round_id, k) == 0
    return client.state(round_id)


def test_a_round_of_seventy_settles_in_one_transaction():
    assert whole_round(70, neighbours(70)) is RoundState.SETTLED


def test_gas_suffices_where_every_creditor_has_an_empty_slot_of_its_own():
    """The dearest plan of its size: one party has paid for all, and every slot is fresh."""
    nets = [0] * 300
    for k in range(4, 300, 4):
        nets[k], nets[0] = 7, nets[0] - 7
    assert whole_round(300, nets) is RoundState.SETTLED


@pytest.mark.slow
def test_a_round_of_1100_settles_in_chunks():
    assert whole_round(1_100, neighbours(1_100)) is RoundState.SETTLED_IN_CHUNKS


@pytest.mark.slow
def test_a_round_of_ten_thousand_settles():
    assert whole_round(10_000, neighbours(10_000)) is RoundState.SETTLED_IN_CHUNKS
