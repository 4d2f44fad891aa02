from __future__ import annotations

import random
from dataclasses import replace

import pytest

from settlement.escrow.events import RoundState
from settlement.money.netting import net_transfers
from settlement.money.terms import NetPosition, Transfer, net_positions_of
from settlement.posting.check import check_posting, hash_of_caps, net_amounts, post_allocation
from settlement.posting.format import FACTOR_ONE, Fault
from tests.contracts.arena import BOND_WEI
from tests.contracts.optimistic import THREE_PARTIES, Case, table_of, three_parties


def test_a_wrong_challenge_costs_its_own_bond(arena, refused):
    case = three_parties(arena).commit().propose()
    for value_wei in (0, BOND_WEI + 1):
        with refused("ether is not the bond"):
            case.challenge(value_wei=value_wei)
    before = arena.twin.bonds.get(arena.operator.address, 0)
    assert arena.client.fault(case.round_id) is None
    assert case.challenge() == Fault.NONE
    assert arena.twin.bonds[arena.operator.address] == before + BOND_WEI
    assert arena.client.state(case.round_id) is RoundState.PROPOSED


def test_a_griefing_challenger_delays_nothing_and_pays_each_time(arena):
    case = three_parties(arena).commit().propose()
    before = arena.twin.bonds.get(arena.operator.address, 0)
    for _ in range(3):
        assert case.challenge() == Fault.NONE
    case.close_window()
    case.settle()
    assert arena.twin.bonds[arena.operator.address] == before + 4 * BOND_WEI


def test_a_disproof_voids_the_round_and_pays_both_bonds_to_the_challenger(arena, refused):
    case = three_parties(arena).commit()
    case.propose(packed=arena.plan(case.round_id, (0, 1, 112_501), (0, 2, 87_499)).encode())
    assert arena.client.fault(case.round_id) is Fault.WRONG_NETS
    before = arena.twin.bonds.get(arena.outsider.address, 0)
    assert case.challenge() == Fault.WRONG_NETS
    assert arena.client.state(case.round_id) is RoundState.VOID
    assert arena.twin.bonds[arena.outsider.address] == before + 2 * BOND_WEI
    with refused("no proposal to challenge"):
        case.challenge()
    with refused("round cannot be settled"):
        case.settle()
    assert [arena.withdraw(case.round_id, party) for party in range(3)] == case.deposits


def test_challenge_closes_with_its_window(arena, refused):
    case = three_parties(arena).commit().propose()
    arena.chain.advance_to(arena.twin.rounds[case.round_id].window_end)
    case.challenge()
    with refused("challenge window closed"):
        case.challenge()


def test_challenge_wants_the_posted_bytes(arena, refused):
    case = three_parties(arena).commit().propose()
    packed, posting, table = case.packed, case.posted.encode(), case.posted.encode_table()
    flipped = bytes([posting[0] ^ 1]) + posting[1:]
    for arguments, reason in (
        ((packed[:-1] + b"\x01", posting, table), "not the posted plan"),
        ((packed, flipped, table), "not the posted figures"),
        ((packed, posting, table[:-1] + b"\x01"), "not the committed table"),
    ):
        with refused(reason):
            arena.act(arena.outsider, "challenge", case.round_id, *arguments, value_wei=BOND_WEI)


@pytest.mark.parametrize("n_parties", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("budgets", ["none", "some", "all"])
def test_an_honest_posting_cannot_be_disproved(arena, n_parties, budgets):
    generator = random.Random(f"{n_parties}{budgets}")
    weights = [generator.randrange(1, 20) for _ in range(n_parties)]
    deposits = {
        "none": [0] * n_parties,
        "some": [generator.choice([0, generator.randrange(10**5)]) for _ in range(n_parties)],
        "all": [10**6] * n_parties,
    }[budgets]
    case = Case(arena, deposits, table_of(weights, n_parties)).commit().propose()
    assert case.challenge() == Fault.NONE
    assert arena.last_receipt.gas_used < 2**24


@pytest.mark.parametrize("wanted", [[0.5, None, 0.3], [1.0, 1.5, 0.4], [0.999, 0.5, 0.4]])
def test_an_honest_posting_with_caps_cannot_be_disproved(arena, wanted):
    """Caps below, at and above the grand value, and at or below the party's own."""
    case = Case(arena, [200_000, 10**6, 10**6], THREE_PARTIES, wanted=wanted).commit().propose()
    assert case.challenge() == Fault.NONE
    # A cap below the own value means that the party buys nothing.
    assert case.posting.factors[2] == 0


def test_caps_other_than_agreed_are_disproved(arena):
    case = Case(arena, [10**6] * 3, THREE_PARTIES, wanted=[0.5, None, None]).commit()
    other = post_allocation([10**6] * 3, case.rate, values=THREE_PARTIES, wanted=[0.6, None, None])
    case.propose(posting=other)
    assert case.challenge() == Fault.WRONG_CAPS
    uncapped = Case(arena, [10**6] * 3, THREE_PARTIES).commit().propose(posting=other)
    assert uncapped.challenge() == Fault.WRONG_CAPS


@pytest.mark.parametrize("n_parties", [9, 24, 64])
def test_postings_of_larger_rounds_are_checked_within_one_transaction(n_parties):
    from tests.contracts.arena import Arena

    arena = Arena(n_parties)
    generator = random.Random(n_parties)
    flows = [
        [0 if i == j else generator.random() / n_parties for j in range(n_parties)]
        for i in range(n_parties)
    ]
    grand = 1.1 * max(map(sum, flows))
    deposits = [generator.choice([0, 5 * 10**4]) for _ in range(n_parties)]
    case = Case(arena, deposits, flows=flows, grand_value=grand).commit().propose()
    assert arena.last_receipt.gas_used < 2**24
    assert case.challenge() == Fault.NONE
    assert arena.last_receipt.gas_used < 2**24
    case.close_window()
    case.settle()
    assert sum(case.claims()) == sum(deposits)


def test_factors_that_only_exhaust_the_budgets_are_disproved(arena):
    case = Case(arena, [0, 0, 0], THREE_PARTIES).commit()
    nothing = replace(case.posting, factors=(0, 0, 0), duals=case.posting.duals)
    assert case.posting.factors[1] == FACTOR_ONE
    case.propose(posting=nothing)
    assert case.challenge() in (Fault.WRONG_FACTORS, Fault.WRONG_DUALS, Fault.WRONG_GAP)


def test_a_smaller_clearing_is_disproved_whatever_its_duals():
    """x = 0 satisfies every clearing equation at budgets of 0, and exhausts every budget."""
    posting = post_allocation([0, 0, 0], 10**6, values=THREE_PARTIES)
    for duals in (posting.duals, (0, 0, 0), (FACTOR_ONE,) * 3, (2**96 - 1,) * 3):
        smaller = replace(posting, factors=(0, 0, 0), duals=duals)
        assert check_posting(smaller, [0] * 3, [0] * 3, 10**6) is Fault.WRONG_DUALS


# Random lies


def lie(generator, posting, nets):
    """One figure changed: (what, posting, nets)."""

    def changed(numbers, limit):
        numbers = list(numbers)
        place = generator.randrange(len(numbers))
        step = generator.choice([1, -1, generator.randrange(1, 10**12), -numbers[place]])
        numbers[place] = (numbers[place] + (step or 1)) % limit
        return tuple(numbers)

    what = generator.choice(["flows", "own", "wanted", "factors", "duals", "nets"])
    if what == "nets":
        moved = list(nets)
        one, other = generator.sample(range(len(nets)), 2)
        units = generator.choice([1, 1, generator.randrange(1, 100)])
        moved[one] += units
        moved[other] -= units
        return what, posting, moved
    if what == "flows":
        rows = list(posting.flows)
        place = generator.randrange(len(rows))
        rows[place] = changed(rows[place], 2**64)
        return what, replace(posting, flows=tuple(rows)), nets
    limit = 2**96 if what in ("factors", "duals") else 2**64
    return what, replace(posting, **{what: changed(getattr(posting, what), limit)}), nets


def lies(count, seed):
    generator = random.Random(seed)
    for _ in range(count):
        n_parties = generator.randrange(2, 7)
        weights = [generator.randrange(1, 20) for _ in range(n_parties)]
        deposits = [generator.choice([0, 10**6, generator.randrange(10**6)]) for _ in weights]
        values = table_of(weights, n_parties)
        posting = post_allocation(deposits, 10**6, values=values)
        nets = net_amounts(posting, 10**6)
        what, false_posting, false_nets = lie(generator, posting, nets)
        if (false_posting, false_nets) != (posting, nets):
            yield what, false_posting, false_nets, deposits


def test_a_thousand_of_a_thousand_lies_are_found_by_the_twin():
    found = {}
    for what, posting, nets, deposits in lies(1_000, seed=1):
        assert check_posting(posting, nets, deposits, 10**6) is not Fault.NONE, what
        found[what] = found.get(what, 0) + 1
    assert sum(found.values()) > 950
    assert min(found.values()) > 100


def judged(arena, count, seed):
    """What the judge contract says of lies, beside the twin."""
    from settlement.escrow.artifacts import artifact
    from settlement.escrow.interface import Interface

    judge, address = Interface(artifact("Judge").abi), arena.client._read("JUDGE")
    n_judged = 0
    for what, posting, nets, deposits in lies(count, seed):
        if any(abs(net) >= 2**63 for net in nets):
            continue
        transfers = net_transfers([NetPosition(p, net) for p, net in enumerate(nets)])
        data = judge.encode(
            "fault",
            10**6,
            bytes(32),
            deposits,
            b"".join(Transfer.encode(t) for t in transfers),
            posting.encode(),
            posting.encode_table(),
        )
        found = judge.decode("fault", arena.chain.call(address, data))
        reached = [p.amount_units for p in net_positions_of(transfers, len(nets))]
        assert found == check_posting(posting, reached, deposits, 10**6) != 0, what
        n_judged += 1
    return n_judged


def test_the_contract_finds_the_same_faults_as_the_twin(arena):
    assert judged(arena, 60, seed=2) > 50


@pytest.mark.slow
def test_the_contract_finds_a_thousand_of_a_thousand_lies(arena):
    assert judged(arena, 1_050, seed=3) >= 1_000


def test_every_forged_table_is_disproved(arena):
    """The committed table says one thing, the flows another."""
    for coalition in range(1, 8):
        forged = list(THREE_PARTIES)
        forged[coalition] += 1e-15 if coalition == 7 else 1e-6
        honest = post_allocation([10**6] * 3, 10**6, values=THREE_PARTIES)
        other = post_allocation([10**6] * 3, 10**6, values=forged)
        mixed = replace(honest, table=other.table)
        nets = net_amounts(mixed, 10**6)
        fault = check_posting(mixed, nets, [10**6] * 3, 10**6)
        assert fault in (Fault.WRONG_FLOWS, Fault.WRONG_OWN_VALUES), coalition
    case = three_parties(arena)
    case.commit(table_hash=mixed.table_hash).propose(posting=mixed)
    assert case.challenge() in (Fault.WRONG_FLOWS, Fault.WRONG_OWN_VALUES)
    assert hash_of_caps([None, None]) == bytes(32)
