from __future__ import annotations

import hashlib
import random

import pytest

from settlement.escrow.events import RoundState, Settled
from settlement.money.terms import Transfer
from settlement.posting.check import net_amounts
from settlement.posting.format import FACTOR_ONE, NO_CAP, Game, game_of_values
from tests.contracts.arena import THREE_PARTIES, Arena, packed_nets, raw


def test_settle_by_proof_updates_claims_and_state(arena):
    round_id, proof = arena.three_parties()
    arena.settle_by_proof(round_id, proof)
    assert arena.claims(round_id) == [0, 112_500, 87_500]
    assert arena.client.state(round_id) is RoundState.SETTLED


def test_settle_by_proof_emits_settled(arena):
    round_id, proof = arena.three_parties()
    packed = raw((0, 1, 112_500), (0, 2, 87_500))
    plan_id = hashlib.sha256(arena.reference(round_id).key + packed).digest()
    assert arena.settle_by_proof(round_id, proof, transfers=packed) == [
        Settled(round_id, plan_id, (Transfer(0, 1, 112_500), Transfer(0, 2, 87_500)))
    ]


def test_settle_by_proof_takes_any_pairing_that_brings_about_the_nets(arena):
    """Other pairs, other order, split amounts: the same money."""
    for transfers in (
        [(0, 2, 87_500), (0, 1, 112_500)],
        [(0, 1, 1), (0, 2, 87_500), (0, 1, 112_499)],
    ):
        round_id, proof = arena.three_parties()
        arena.settle_by_proof(round_id, proof, transfers=raw(*transfers))
        assert arena.claims(round_id) == [0, 112_500, 87_500]


@pytest.mark.parametrize("role", ["operator", "outsider", "party"])
def test_settle_by_proof_is_anybodys(arena, role):
    round_id, proof = arena.three_parties()
    account = arena.parties[1] if role == "party" else getattr(arena, role)
    arena.settle_by_proof(round_id, proof, by=account)
    assert arena.claims(round_id) == [0, 112_500, 87_500]


def test_settle_by_proof_happens_once(arena, refused):
    round_id, proof = arena.three_parties()
    arena.settle_by_proof(round_id, proof)
    with refused("round cannot be settled"):
        arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_reverts_before_funding_has_ended(arena, refused):
    game = game_of_values(THREE_PARTIES)
    round_id = arena.open(3, game_hash=game.hash, by_proof=True)
    arena.deposit(round_id, 0, 200_000, last=True)
    arena.close(round_id, 1)
    _, proof = arena.three_parties()
    with refused("funding is still open"):
        arena.settle_by_proof(round_id, proof)
    arena.chain.advance_to(arena.client.terms(round_id).funding_deadline)
    with refused("funding is still open"):
        arena.settle_by_proof(round_id, proof)
    arena.pass_funding(round_id)
    arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_is_possible_until_the_last_second(arena, refused):
    (in_time, proof), (late, _) = arena.three_parties(), arena.three_parties()
    arena.chain.advance_to(arena.client.terms(in_time).settlement_deadline)
    arena.settle_by_proof(in_time, proof)
    arena.chain.advance_to(arena.client.terms(late).settlement_deadline + 1)
    with refused("round has expired"):
        arena.settle_by_proof(late, proof)


def test_settle_by_proof_reverts_when_the_round_is_settled_by_signatures(arena, refused):
    game = game_of_values(THREE_PARTIES)
    round_id = arena.funded(200_000, 0, 0, game_hash=game.hash)
    _, proof = arena.three_parties()
    with refused("settled the other way"):
        arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_reverts_when_the_game_is_another(arena, refused):
    """A game in which every figure fits, but which nobody agreed to: the puppet wins."""
    round_id, _ = arena.three_parties()
    invented = [0, 0, 0, 0, 1, 1, 1, 1]
    _, proof = arena.provable(game_of_values(invented), (200_000, 0, 0))
    with refused("not the agreed game"):
        arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_reverts_when_a_length_is_wrong(arena, refused):
    round_id, proof = arena.three_parties()
    with refused("not one factor a party"):
        arena.settle_by_proof(round_id, proof, factors=proof.factors[:2])
    with refused("not one factor a party"):
        arena.settle_by_proof(round_id, proof, factors=(*proof.factors, 0))
    game = proof.game.encode()
    for other in (game[:-1], game + bytes(8), game[:-8], b"", game + bytes(25)):
        with refused("wrong length of game"):
            arena.settle_by_proof(round_id, proof, game=other)
    with refused("not the agreed game"):  # caps that nobody has agreed to
        arena.settle_by_proof(round_id, proof, game=game + b"\xff" * 24)
    with refused("not 12 bytes a transfer"):
        arena.settle_by_proof(round_id, proof, transfers=raw((0, 1, 1))[:-1])


def test_settle_by_proof_reverts_when_a_game_breaks_its_rules(arena, refused):
    """Agreed to or not: nobody pays itself, and eq. (4) holds."""
    good = game_of_values(THREE_PARTIES)
    rows = [list(row) for row in good.flows]
    rows[1][1] = 1
    selfish = Game(tuple(map(tuple, rows)), good.own)
    unfit = Game(good.flows, (good.own[0], good.own[1] + 1, good.own[2]))
    _, proof = arena.three_parties()
    for game, reason in ((selfish, "party pays itself"), (unfit, "own values do not fit")):
        round_id = arena.funded(200_000, 0, 0, game_hash=game.hash, by_proof=True)
        with refused(reason):
            arena.settle_by_proof(round_id, proof, game=game.encode())


def test_settle_by_proof_reverts_when_the_game_is_too_large_for_its_rate(arena, refused):
    """The largest rate of a game passes the client and the contract; one more neither."""
    values = [0, 0, 0, 18_000]
    game = game_of_values(values)
    most = 2**60 // 4 // 18_000
    round_id, proof = arena.provable(game, (5, 0), rate=most)
    arena.settle_by_proof(round_id, proof)
    round_id = arena.funded(5, 0, game_hash=game.hash, exchange_rate=most + 1, by_proof=True)
    with refused("game too large for rate"):
        arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_reverts_when_a_factor_is_wrong(arena, refused):
    round_id, proof = arena.three_parties()
    first = proof.factors[0]
    for factor, reason in (
        (first + 2**20, "factor beyond means"),
        (first - 2**20, "factor is too small"),
        (FACTOR_ONE, "factor beyond means"),
        (0, "factor is too small"),
        (FACTOR_ONE + 1, "factor is too large"),
        (2**255, "factor is too large"),
    ):
        with refused(reason):
            arena.settle_by_proof(round_id, proof, factors=(factor, *proof.factors[1:]))
    # Party 1 receives more than it pays: one is its factor, and nothing less.
    with refused("factor is too small"):
        arena.settle_by_proof(round_id, proof, factors=(first, FACTOR_ONE - 1, FACTOR_ONE))
    # A factor is refused before what another party would receive by it is looked at.
    with refused("factor is too large"):
        arena.settle_by_proof(round_id, proof, factors=(first, FACTOR_ONE, 2**100))


def test_settle_by_proof_reverts_when_a_net_position_is_off_by_a_unit(arena, refused):
    round_id, proof = arena.three_parties()
    for nets in ((-200_000, 112_501, 87_499), (-199_999, 112_499, 87_500), (0, 0, 0)):
        with refused("wrong net position"):
            arena.settle_by_proof(round_id, proof, transfers=packed_nets(nets))
    with refused("debtor exceeds deposit"):
        arena.settle_by_proof(round_id, proof, transfers=raw((0, 1, 112_501), (0, 2, 87_500)))


def test_settle_by_proof_gives_rounded_units_to_the_largest_remainders(arena, refused):
    """Of two creditors with the same remainder the lower index is first."""
    half = 10**15  # flows of three parties are counted in halves
    game = Game(((0, half, half), (0, 0, 0), (0, 0, 0)), (0, half, half))
    round_id, proof = arena.provable(game, (1, 0, 0), rate=1)
    assert proof.net_amounts == (-1, 1, 0)
    with refused("wrong rounding"):
        arena.settle_by_proof(round_id, proof, transfers=packed_nets((-1, 0, 1)))
    arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_tells_remainders_apart_that_differ_by_little(refused):
    """Two creditors owed half a unit each; the second by 3,072 parts of some 2**124 more."""
    half, most = 3 * 10**15, 2**62 - 64  # flows of four parties are counted in sixths
    flows = ((0, most, most + 1, 5), (0, 0, 0, 0), (0, 0, 0, 0), (0, half, half, 0))
    grand = sum(flows[0])
    game = Game(flows, tuple((grand - sum(row)) // 6 for row in flows), (1, *[NO_CAP] * 3))
    arena = Arena(4)
    round_id, proof = arena.provable(game, (1, 0, 0, 1), rate=1)
    assert proof.factors == (3072, FACTOR_ONE, FACTOR_ONE, FACTOR_ONE)
    assert proof.net_amounts == (0, 0, 1, -1)
    with refused("wrong rounding"):
        arena.settle_by_proof(round_id, proof, transfers=packed_nets((0, 1, 0, -1)))
    arena.settle_by_proof(round_id, proof)


def test_settle_by_proof_respects_caps(arena, refused):
    """A party that wants no better model than it has pays nothing."""
    game = game_of_values(THREE_PARTIES, [0.2, None, None])
    assert game.wanted == (2 * 10**14, NO_CAP, NO_CAP)
    round_id, proof = arena.provable(game, (500_000, 500_000, 500_000))
    assert proof.factors[0] == 0
    with refused("factor is too large"):
        arena.settle_by_proof(round_id, proof, factors=(1, *proof.factors[1:]))
    arena.settle_by_proof(round_id, proof)
    middle = game_of_values(THREE_PARTIES, [0.6, None, 0.1])
    round_id, proof = arena.provable(middle, (500_000, 500_000, 500_000))
    assert proof.factors == (FACTOR_ONE // 2, FACTOR_ONE, 0)
    arena.settle_by_proof(round_id, proof)


def test_a_lower_fixed_point_moves_the_same_money(arena):
    """With deposits of 0 every factor may be 0 as well: nobody has anything, nobody gets any."""
    round_id, proof = arena.three_parties(0, 0, 0)
    assert max(proof.factors) == FACTOR_ONE  # the greatest: they could pay each other in circles
    arena.settle_by_proof(round_id, proof, factors=(0, 0, 0))
    assert arena.claims(round_id) == [0, 0, 0]


def test_a_lower_fixed_point_of_a_closed_group_moves_the_same_money(arena):
    """Parties 0 and 1 have nothing and owe each other alone: any common factor clears."""
    most = 6 * 10**14
    flows = ((0, most, 0, 0), (most, 0, 0, 0), (0, 0, 0, most), (0, 0, 0, 0))
    game = Game(flows, (0, 0, 0, most // 6))
    for x in (0, 1, FACTOR_ONE // 3, FACTOR_ONE - 1, FACTOR_ONE):
        round_id, proof = arena.provable(game, (0, 0, 50_000, 0))
        factors = (x, x, *proof.factors[2:])
        assert net_amounts(game, factors, 10**6) == list(proof.net_amounts)
        arena.settle_by_proof(round_id, proof, factors=factors)
        assert arena.claims(round_id) == [0, 0, 0, 50_000]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8, 9, 12, 64])
def test_settle_by_proof_serves_all_sizes(n):
    from tests.settlement.posting.games import random_game

    arena = Arena(n)
    generator = random.Random(n)
    for k in range(1 if n == 64 else 3):
        game = random_game(n, generator, capped=k == 2)
        units = [generator.choice([0, 1, 10**3, 10**5]) for _ in range(n)]
        round_id, proof = arena.provable(game, units)
        arena.settle_by_proof(round_id, proof)
        arena.check_ledger()
        assert arena.claims(round_id) == [
            unit + net for unit, net in zip(units, proof.net_amounts, strict=True)
        ]
