from __future__ import annotations

import pytest
from eth_account import Account

from settlement.escrow.events import Endorsed, RoundState
from settlement.escrow.typed_data import NO_TABLE, settlement_typed_data, sign_plan
from settlement.money.terms import RoundReference, SettlementPlan
from tests.contracts.arena import TABLE_HASH


def bring(arena, plan, signatures, signers, table_hash=NO_TABLE):
    common = (plan.round.round_id, table_hash, plan.plan_id)
    return arena.act(
        arena.outsider, "endorse", *common, b"".join(signatures), twin=(*common, signers)
    )


def test_endorse_updates_state_with_the_last_signature(arena):
    round_id = arena.funded(10, 0, 0)
    plan = arena.plan(round_id, (0, 1, 4))
    signatures = [sign_plan(plan, account) for account in arena.parties[:3]]
    addresses = [account.address for account in arena.parties[:3]]
    assert bring(arena, plan, signatures[:1], addresses[:1]) == [
        Endorsed(round_id, plan.plan_id, NO_TABLE, 1)
    ]
    assert arena.client.state(round_id) is RoundState.FUNDING
    bring(arena, plan, signatures[1:], addresses[1:])
    assert arena.client.state(round_id) is RoundState.AGREED
    assert arena.client._read("plan_id", round_id) == plan.plan_id


def test_endorse_reads_the_same_digest_as_the_python_side(arena):
    from eth_account.messages import encode_typed_data
    from eth_utils.crypto import keccak

    round_id = arena.funded(1, 1)
    plan = arena.plan(round_id, (0, 1, 1))
    message = encode_typed_data(full_message=settlement_typed_data(plan, TABLE_HASH))
    found = arena.client._read("digest", round_id, TABLE_HASH, plan.plan_id)
    assert found == keccak(b"\x19" + message.version + message.header + message.body)


@pytest.mark.parametrize("n_bytes", [0, 1, 64, 66, 129])
def test_endorse_reverts_when_signatures_are_not_whole(arena, refused, n_bytes):
    round_id = arena.funded(1, 1)
    plan = arena.plan(round_id, (0, 1, 1))
    common = (round_id, NO_TABLE, plan.plan_id)
    with refused("not 65 bytes a signature"):
        arena.act(arena.outsider, "endorse", *common, bytes(n_bytes), twin=(*common, []))


def test_endorse_reverts_when_a_signature_is_not_of_the_next_party(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    first, second, third = arena.parties[:3]
    stranger = Account.from_key(b"\x01" * 32)
    for signer in (second, third, arena.operator, stranger):
        with refused("signer is not next party"):
            bring(arena, plan, [sign_plan(plan, signer)], [signer.address])
    bring(arena, plan, [sign_plan(plan, first)], [first.address])
    with refused("signer is not next party"):
        bring(arena, plan, [sign_plan(plan, first)], [first.address])
    with refused("signer is not next party"):
        bring(arena, plan, [sign_plan(plan, third)], [third.address])


@pytest.mark.parametrize("field", ["chain_id", "escrow", "round_id", "terms_hash"])
def test_endorse_refuses_signatures_for_another_place(arena, refused, field):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    reference = {
        "chain_id": plan.round.chain_id,
        "escrow": plan.round.escrow,
        "round_id": plan.round.round_id,
        "terms_hash": plan.round.terms_hash,
    }
    other = {
        "chain_id": 1,
        "escrow": arena.outsider.address,
        "round_id": round_id + 1,
        "terms_hash": bytes(32),
    }
    elsewhere = SettlementPlan(RoundReference(**reference | {field: other[field]}), plan.transfers)
    signature = sign_plan(elsewhere, arena.parties[0])
    with refused("signer is not next party"):
        bring(arena, plan, [signature], [None])


def test_endorse_refuses_signatures_for_another_plan_or_table(arena, refused):
    round_id = arena.funded(10, 5)
    plan, other = arena.plan(round_id, (0, 1, 4)), arena.plan(round_id, (0, 1, 5))
    for signature in (sign_plan(other, arena.parties[0]), sign_plan(plan, arena.parties[0])):
        with refused("signer is not next party"):
            bring(arena, plan, [signature], [None], table_hash=TABLE_HASH)


def test_endorse_refuses_a_malleated_signature(arena, refused):
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    good = sign_plan(plan, arena.parties[0])
    mirrored = order - int.from_bytes(good[32:64], "big")
    bad = good[:32] + mirrored.to_bytes(32, "big") + bytes([55 - good[64]])
    common = (round_id, NO_TABLE, plan.plan_id)
    from settlement.chain.errors import Reverted

    with pytest.raises(Reverted, match="ecdsa"):
        arena.send(
            arena.outsider,
            arena.client.address,
            arena.client.interface.encode("endorse", *common, bad),
        )


def test_endorse_reverts_when_the_round_has_expired(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 4))
    arena.expire(round_id)
    with refused("round has expired"):
        arena.endorse(plan)


def test_a_later_plan_that_all_sign_replaces_the_earlier(arena, refused):
    round_id = arena.funded(10, 5)
    first, second = arena.plan(round_id, (0, 1, 4)), arena.plan(round_id, (0, 1, 5))
    arena.endorse(first)
    arena.endorse(second)
    with refused("not the agreed plan"):
        arena.act(arena.outsider, "settle", round_id, first.encode())
    arena.act(arena.outsider, "settle", round_id, second.encode())
    assert arena.client.claim(round_id, 1) == 10
