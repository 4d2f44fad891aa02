"""The twin by itself; `tests/contracts` holds it against the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import BrokenInvariant
from settlement.escrow.events import (
    ETHER,
    Deposited,
    PartiesRegistered,
    RoundOpened,
    RoundState,
    RoundTerms,
    Settled,
    Withdrawn,
)
from settlement.escrow.ledger import ledger_of
from settlement.escrow.twin import Call, EscrowTwin, Refusal
from settlement.escrow.twin_ledger import TwinLedger
from settlement.money.terms import RoundReference, SettlementPlan, Transfer

ESCROW = "0x" + "ee" * 20
OPERATOR = "0x" + "99" * 20
PARTIES = ["0x" + f"{k:02x}" * 20 for k in range(1, 6)]
TERMS = RoundTerms(
    terms_hash=b"t" * 32,
    game_hash=b"g" * 32,
    unit_scale=10,
    exchange_rate=10**6,
    funding_deadline=100,
    settlement_deadline=1_000,
    n_parties=5,
    by_proof=False,
)
AGREEMENT = TERMS.agreement(1, ESCROW, OPERATOR, PARTIES)
AFTER_FUNDING = 101


def funded(units: Sequence[int]) -> EscrowTwin:
    twin = EscrowTwin(1, ESCROW)
    twin.open_round(Call(OPERATOR, 1), TERMS, PARTIES)
    for k, (party, amount) in enumerate(zip(PARTIES, units, strict=True)):
        if amount:
            twin.deposit(Call(party, 2, 10 * amount), 1, k, AGREEMENT, amount)
    return twin


def plan_of(transfers):
    reference = RoundReference(1, ESCROW, 1, AGREEMENT, 5)
    return SettlementPlan(reference, tuple(Transfer(*transfer) for transfer in transfers))


@given(
    st.lists(st.integers(0, 100), min_size=5, max_size=5),
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 60)).filter(
            lambda t: t[0] != t[1]
        ),
        max_size=6,
    ),
)
def test_a_plan_conserves_the_units_or_changes_nothing(units, transfers):
    twin = funded(units)
    plan = plan_of(transfers)
    try:
        twin.settle(Call("0xany", AFTER_FUNDING), 1, plan.encode(), PARTIES)
    except Refusal:
        assert twin.rounds[1].claims == units
        assert twin.rounds[1].state is RoundState.FUNDING
        return
    claims = twin.rounds[1].claims
    assert sum(claims) == sum(units)
    for party, units_before in enumerate(units):
        paid = sum(amount for debtor, _, amount in transfers if debtor == party)
        received = sum(amount for _, creditor, amount in transfers if creditor == party)
        assert paid <= units_before
        assert not (paid and received)
        assert claims[party] == units_before - paid + received


@given(
    st.lists(st.integers(0, 40), min_size=5, max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 60)), max_size=6),
    st.integers(0, 6),
)
def test_chunks_accept_exactly_the_plans_that_one_transaction_accepts(units, transfers, cut):
    packed = [
        debtor.to_bytes(2, "big") + creditor.to_bytes(2, "big") + amount.to_bytes(8, "big")
        for debtor, creditor, amount in transfers
    ]
    whole, chunked = TwinLedger(units), TwinLedger(units)
    try:
        claims = whole.apply(b"".join(packed))
    except Refusal:
        claims = None
    try:
        after = chunked.noted(b"".join(packed[:cut])).noted(b"".join(packed[cut:]))
        noted = after.noted_claims()
    except Refusal:
        noted = None
    assert noted == claims


def test_a_refused_withdrawal_moves_nothing():
    twin = EscrowTwin(1, ESCROW, can_receive=lambda address: address != PARTIES[0])
    twin.open_round(Call(OPERATOR, 1), TERMS, PARTIES)
    twin.deposit(Call(PARTIES[0], 2, 50), 1, 0, AGREEMENT, 5)
    with pytest.raises(Refusal, match="recipient refused ether"):
        twin.withdraw(Call(PARTIES[0], 1_001), 1, 0, PARTIES[0])
    assert twin.balance_wei == 50
    assert twin.rounds[1].claims[0] == 5
    assert twin.withdraw(Call(PARTIES[0], 1_001), 1, 0, PARTIES[1]) == 5
    assert twin.balance_wei == 0


def test_the_events_alone_rebuild_the_ledger():
    twin = funded([10, 20, 0, 0, 5])
    plan = plan_of([(0, 2, 4), (1, 3, 20)])
    twin.settle(Call("0xany", AFTER_FUNDING), 1, plan.encode(), PARTIES)
    twin.withdraw(Call(PARTIES[2], AFTER_FUNDING), 1, 2, PARTIES[2])
    ledger = ledger_of(twin.events)
    assert ledger.parties == tuple(PARTIES)
    assert ledger.deposits_units == (10, 20, 0, 0, 5)
    assert list(ledger.claims_units) == twin.rounds[1].claims == [6, 0, 0, 20, 5]
    assert ledger.withdrawn_units == (0, 0, 4, 0, 0)
    assert (ledger.plan_id, ledger.transfers) == (plan.plan_id, plan.transfers)
    assert ledger.terms_hash == TERMS.terms_hash


@pytest.mark.parametrize(
    "last",
    [
        Settled(1, bytes(32), (Transfer(0, 1, 8),)),
        Withdrawn(1, 0, PARTIES[0], 8),
    ],
)
def test_events_that_overdraw_a_claim_are_no_log_of_the_escrow(last):
    events = [
        RoundOpened(1, OPERATOR, TERMS),
        PartiesRegistered(1, 0, tuple(PARTIES)),
        Deposited(1, 0, 7, ETHER),
        last,
    ]
    with pytest.raises(BrokenInvariant, match="party 0 has -1"):
        ledger_of(events)
    with pytest.raises(BrokenInvariant, match="open no round"):
        ledger_of([])
