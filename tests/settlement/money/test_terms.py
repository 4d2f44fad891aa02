import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import PlanError
from settlement.money.terms import (
    MAX_AMOUNT_UNITS,
    NetPosition,
    RoundReference,
    SettlementPlan,
    Transfer,
    decode_transfers,
    net_positions_of,
)

REFERENCE = RoundReference(61, "0x" + "Ab" * 20, 7, bytes(range(32)), 3)

parties = st.integers(0, 2**16 - 1)
transfers = st.builds(
    lambda pair, amount: Transfer(*pair, amount),
    st.lists(parties, min_size=2, max_size=2, unique=True),
    st.integers(1, MAX_AMOUNT_UNITS),
)


@given(st.lists(transfers))
def test_packed_transfers_read_back(items):
    packed = b"".join(transfer.encode() for transfer in items)
    assert len(packed) == 12 * len(items)
    assert decode_transfers(packed) == tuple(items)


def test_a_packed_transfer_is_debtor_creditor_amount_big_endian():
    assert Transfer(1, 258, 3).encode().hex() == "0001" + "0102" + "0000000000000003"


def test_packed_transfers_of_odd_length_are_refused():
    with pytest.raises(PlanError, match="13 bytes"):
        decode_transfers(bytes(13))


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_UNITS + 1])
def test_a_transfer_outside_63_bits_is_refused(amount):
    with pytest.raises(PlanError, match=str(amount)):
        Transfer(0, 1, amount)


def test_a_transfer_to_oneself_is_refused():
    with pytest.raises(PlanError, match="to itself"):
        Transfer(2, 2, 5)


@pytest.mark.parametrize("party", [-1, 2**16])
def test_a_party_index_beyond_two_bytes_is_refused(party):
    with pytest.raises(PlanError, match=str(party)):
        Transfer(party, 1, 5)


def test_a_plan_id_is_the_hash_of_where_and_what():
    plan = SettlementPlan(REFERENCE, (Transfer(0, 1, 5), Transfer(2, 1, 9)))
    where = (61).to_bytes(32, "big") + bytes(12) + b"\xab" * 20 + (7).to_bytes(32, "big")
    key = hashlib.sha256(where).digest()
    assert plan.plan_id == hashlib.sha256(key + plan.encode()).digest()


@pytest.mark.parametrize(
    "other",
    [
        replace(REFERENCE, chain_id=62),
        replace(REFERENCE, escrow="0x" + "Ac" * 20),
        replace(REFERENCE, round_id=8),
    ],
)
def test_a_plan_of_another_round_chain_or_escrow_has_another_id(other):
    same_transfers = (Transfer(0, 1, 5),)
    assert SettlementPlan(other, same_transfers).plan_id != (
        SettlementPlan(REFERENCE, same_transfers).plan_id
    )


@given(st.lists(st.builds(Transfer, st.just(0), st.integers(1, 5), st.integers(1, 100))))
def test_net_positions_of_transfers_sum_to_zero(items):
    positions = net_positions_of(items, 6)
    assert sum(position.amount_units for position in positions) == 0
    assert positions[0] == NetPosition(0, -sum(item.amount_units for item in items))


@pytest.mark.parametrize(
    ("n_parties", "n_transfers", "n_chunks"),
    [(3, 0, 1), (3, 1_024, 1), (3, 1_025, 5), (1_024, 5, 1), (1_025, 5, 1), (1_025, 257, 2)],
)
def test_a_plan_comes_in_chunks_when_its_round_or_it_is_too_large(n_parties, n_transfers, n_chunks):
    round_ = RoundReference(61, REFERENCE.escrow, 7, bytes(32), n_parties)
    plan = SettlementPlan(round_, (Transfer(0, 1, 5),) * n_transfers)
    assert len(plan.chunks) == len(plan.links) == n_chunks
    assert b"".join(plan.chunks) == plan.encode()
    most = 256 if max(n_parties, n_transfers) > 1_024 else 1_024
    assert max(len(chunk) for chunk in plan.chunks) <= 12 * most
    empty = SettlementPlan(replace(round_, n_parties=2_000), ())
    assert empty.chunks == (b"",)
