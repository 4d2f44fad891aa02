from __future__ import annotations

import pytest

from settlement.escrow.events import Proposed, RoundState, TableCommitted
from tests.contracts.arena import BOND_WEI, TABLE_HASH, WINDOW_S
from tests.contracts.optimistic import Case, table_of, three_parties
from tests.contracts.test_settle import raw


def test_commit_table_updates_hash_and_state_and_emits(arena):
    round_id = arena.funded(1, 1)
    arena.pass_funding(round_id)
    events = arena.act(arena.operator, "commit_table", round_id, TABLE_HASH)
    assert events == [TableCommitted(round_id, TABLE_HASH)]
    assert arena.client.state(round_id) is RoundState.COMMITTED
    assert arena.client._read("table_hash", round_id) == TABLE_HASH


def test_commit_table_reverts_when_deposits_can_still_change(arena, refused):
    round_id = arena.funded(1, 1)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    with refused("funding is still open"):
        arena.act(arena.operator, "commit_table", round_id, TABLE_HASH)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline + 1)
    arena.act(arena.operator, "commit_table", round_id, TABLE_HASH)


def test_commit_table_reverts_for_others_twice_and_too_late(arena, refused):
    round_id, expired = arena.funded(1, 1), arena.funded(1, 1)
    arena.pass_funding(round_id)
    with refused("caller is not operator"):
        arena.act(arena.outsider, "commit_table", round_id, TABLE_HASH)
    arena.act(arena.operator, "commit_table", round_id, TABLE_HASH)
    with refused("round takes no table"):
        arena.act(arena.operator, "commit_table", round_id, bytes(32))
    arena.expire(expired)
    with refused("round has expired"):
        arena.act(arena.operator, "commit_table", expired, TABLE_HASH)


def test_propose_updates_state_and_takes_the_bond(arena):
    case = three_parties(arena).commit()
    before = arena.chain.balance(arena.client.address)
    case.propose()
    assert arena.client.state(case.round_id) is RoundState.PROPOSED
    assert arena.chain.balance(arena.client.address) == before + BOND_WEI
    event = arena.twin.events[-1]
    assert isinstance(event, Proposed)
    assert event.window_end == arena.client._read("window_end", case.round_id)
    assert (event.posting, event.table) == (case.posted.encode(), case.posted.encode_table())
    assert case.claims() == case.deposits


def test_propose_reverts_without_table_bond_or_right(arena, refused):
    early = three_parties(arena)
    with refused("round takes no proposal"):
        early.propose()
    case = early.commit()
    with refused("caller is not operator"):
        case.propose(by=arena.outsider)
    for value_wei in (0, BOND_WEI - 1, BOND_WEI + 1):
        with refused("ether is not the bond"):
            case.propose(value_wei=value_wei)
    case.propose()
    with refused("round takes no proposal"):
        case.propose()


def test_propose_reverts_when_the_table_is_not_the_committed_one(arena, refused):
    case = three_parties(arena).commit(table_hash=TABLE_HASH)
    with refused("not the committed table"):
        case.propose()


def test_propose_reverts_when_a_large_round_brings_a_table(arena, refused):
    n = 9
    flows = [[0 if i == j else 0.01 for j in range(n)] for i in range(n)]
    case = Case(arena, [10] * n, flows=flows, grand_value=1).commit()
    common = (case.round_id, case.plan.encode(), case.posting.encode())
    with refused("table of over 8 parties"):
        arena.act(arena.operator, "propose", *common, b"\0", value_wei=BOND_WEI)
    case.propose()


def test_propose_reverts_when_no_window_fits_before_the_deadline(arena, refused):
    case, other = three_parties(arena), three_parties(arena)
    case.commit()
    other.commit()
    arena.chain.advance_to(arena.client.terms(case.round_id).settlement_deadline - 2 * WINDOW_S)
    case.propose()
    latest = arena.client.terms(other.round_id).settlement_deadline - 2 * WINDOW_S
    arena.chain.advance_to(latest + 1)
    with refused("too late for a challenge"):
        other.propose()


def test_propose_reverts_when_the_round_has_no_optimistic_way(arena, refused):
    round_id = arena.funded(1, 1, bond_wei=0)
    arena.pass_funding(round_id)
    arena.act(arena.operator, "commit_table", round_id, TABLE_HASH)
    with refused("no optimistic way"):
        arena.act(arena.operator, "propose", round_id, b"", b"", b"")


@pytest.mark.parametrize(
    ("transfers", "reason"),
    [
        (raw((0, 1, 200_001)), "debtor exceeds deposit"),
        (raw((0, 3, 1)), "no such party"),
        (raw((0, 1, 5), (1, 2, 5)), "party pays and receives"),
        (b"\0" * 11, "not 12 bytes a transfer"),
    ],
)
def test_propose_reverts_when_the_plan_could_not_be_carried_out(arena, refused, transfers, reason):
    case = three_parties(arena).commit()
    with refused(reason):
        case.propose(packed=transfers)


def test_propose_reverts_when_the_posting_has_the_wrong_length(arena, refused):
    case = three_parties(arena).commit()
    for posting in (b"", case.posting.encode()[:-1], case.posting.encode() + b"\0"):
        common = (case.round_id, case.plan.encode(), posting, case.posting.encode_table())
        with refused("wrong posting length"):
            arena.act(arena.operator, "propose", *common, value_wei=BOND_WEI)


def test_finalising_waits_for_the_window_and_frees_the_bond(arena, refused):
    case = three_parties(arena).commit().propose()
    arena.chain.advance_to(arena.twin.rounds[case.round_id].window_end)
    with refused("challenge window is open"):
        case.settle()
    case.close_window()
    before = arena.twin.bonds.get(arena.operator.address, 0)
    case.settle()
    assert case.claims() == [0, 1_112_500, 1_087_500]
    assert arena.twin.bonds[arena.operator.address] == before + BOND_WEI
    assert arena.client._read("bonds", arena.operator.address) == before + BOND_WEI


def test_signatures_settle_a_proposed_round_at_once_and_free_the_bond(arena):
    case = three_parties(arena).commit().propose()
    other = arena.plan(case.round_id, (1, 2, 5))
    before = arena.twin.bonds.get(arena.operator.address, 0)
    arena.endorse(other)
    assert arena.twin.bonds[arena.operator.address] == before + BOND_WEI
    arena.act(arena.outsider, "settle", case.round_id, other.encode())
    assert case.claims() == [200_000, 10**6 - 5, 10**6 + 5]


def test_a_vanished_operator_cannot_keep_the_proposal_from_settling(arena):
    case = Case(arena, [0] * 5, table_of([1, 2, 3, 4, 5], 5)).commit().propose()
    case.close_window()
    case.settle()
    assert arena.client.state(case.round_id) is RoundState.SETTLED


def test_an_expired_proposal_gives_deposits_and_bond_back(arena, refused):
    case = three_parties(arena).commit().propose()
    with refused("round has not expired"):
        arena.act(arena.outsider, "reclaim_bond", case.round_id)
    arena.expire(case.round_id)
    with refused("round has expired"):
        case.settle()
    assert [arena.withdraw(case.round_id, party) for party in range(3)] == case.deposits
    before = arena.twin.bonds.get(arena.operator.address, 0)
    arena.act(arena.outsider, "reclaim_bond", case.round_id)
    assert arena.twin.bonds[arena.operator.address] == before + BOND_WEI
    with refused("round holds no bond"):
        arena.act(arena.outsider, "reclaim_bond", case.round_id)


def test_withdraw_bond_pays_once_to_any_address(arena, refused):
    case = three_parties(arena).commit().propose()
    case.close_window()
    case.settle()
    owed = arena.twin.bonds[arena.operator.address]
    with refused("no recipient"):
        arena.act(arena.operator, "withdraw_bond", "0x" + "00" * 20)
    recipient = "0x" + "ab" * 20
    from eth_utils.address import to_checksum_address

    arena.act(arena.operator, "withdraw_bond", to_checksum_address(recipient))
    assert arena.chain.balance(to_checksum_address(recipient)) == owed
    with refused("no bond to withdraw"):
        arena.act(arena.operator, "withdraw_bond", arena.operator.address)
