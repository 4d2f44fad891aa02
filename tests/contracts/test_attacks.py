"""Attacks by name; others live where their function is tested, see contracts/README.md."""

from __future__ import annotations

import random

import pytest

from settlement.chain.errors import Reverted
from settlement.chain.opening import open_chain
from settlement.chain.spec import ChainSpec
from settlement.escrow.artifacts import artifact
from settlement.escrow.checks import check_contract
from settlement.escrow.client import EscrowClient
from settlement.escrow.deployment import (
    DEPLOYER,
    DEPLOYER_CODE,
    DeploymentError,
    check_deployment,
    creation_data,
    escrow_address,
    genesis_codes,
)
from settlement.escrow.events import RoundState
from settlement.escrow.reader import EscrowError
from settlement.escrow.twin import Refusal
from settlement.escrow.typed_data import sign_plan
from settlement.posting.check import prove
from settlement.posting.format import FACTOR_ONE, Game, game_of_values
from tests.contracts.arena import THREE_PARTIES, packed_nets
from tests.settlement.posting.games import random_game

# 1. An invented value table


@pytest.mark.parametrize("n", [2, 3, 5, 8, 9])
def test_an_operator_and_its_puppet_cannot_settle_an_invented_game(n):
    """The puppet is worth everything, and has a deposit of zero: every deposit would be its own."""
    from tests.contracts.arena import Arena

    arena = Arena(n)
    game = random_game(n, random.Random(n))
    deposits = [0] + [10**5] * (n - 1)  # party 0 is the puppet
    round_id, _ = arena.provable(game, deposits)
    top = 2 * 10**15 * game.scale  # everybody owes the puppet more than it has
    rows = [[0] * n] + [[top, *[0] * (n - 1)] for _ in range(n - 1)]
    invented = Game(tuple(map(tuple, rows)), (2 * 10**15, *[0] * (n - 1)))
    theft = prove(invented, deposits, 10**6)
    assert theft.net_amounts[0] == 10**5 * (n - 1)
    with pytest.raises(Refusal, match="not the agreed game"):
        arena.settle_by_proof(round_id, theft)
    with pytest.raises(Refusal, match="settled the other way"):
        arena.settle(arena.plan(round_id, *[(k, 0, 10**5) for k in range(1, n)]))
    # Nor with the agreed game beside the puppet's money.
    with pytest.raises(Refusal):
        arena.settle_by_proof(round_id, theft, game=game.encode())
    arena.check_ledger()


# 2. A constructor that writes storage; an address that vouches for nothing


def test_the_escrows_creation_writes_no_storage(arena):
    """The init code only returns the runtime code, so no copy of it has prepared its storage."""
    creation, runtime = artifact().bytecode, artifact().runtime
    assert runtime in creation
    prologue = creation[: creation.index(runtime)]
    opcodes, k = [], 0
    while k < len(prologue):
        opcodes.append(prologue[k])
        k += 1 + (prologue[k] - 0x5F if 0x60 <= prologue[k] <= 0x7F else 0)
    assert 0x55 not in opcodes, "SSTORE"
    assert not {0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA} & set(opcodes), "calls and creations"


def test_the_genuine_runtime_at_another_address_is_refused():
    """Whoever returns the right code from init code of its own may have written storage before."""
    with open_chain(None, ChainSpec(accounts=("operator",), codes=genesis_codes())) as chain:
        runtime = artifact().runtime
        # PUSH1 1, PUSH1 0, SSTORE: a bond, an allowance, whatever; then the genuine code.
        storing = bytes.fromhex("6001600055")
        length = len(runtime).to_bytes(2, "big")
        offset = bytes([len(storing) + 12])
        code = storing + b"\x61" + length + b"\x60" + offset + bytes.fromhex("5f3961")
        code += length + bytes.fromhex("5ff3")
        code = code.ljust(len(storing) + 12, b"\0") + runtime
        impostor = chain.send("impostor", chain.account("operator"), None, code, gas=10**7)
        assert chain.code(impostor.contract_address) == runtime
        with pytest.raises(DeploymentError, match="Deposit nothing there"):
            check_deployment(chain, impostor.contract_address)
        with pytest.raises(EscrowError, match="Deposit nothing there"):
            check_contract(EscrowClient(chain, impostor.contract_address))


def test_the_escrow_has_one_address_on_every_chain_with_the_deployer():
    """Made by the deployer, it is where `escrow_address` says, with the code of the sources."""
    spec = ChainSpec(accounts=("operator", "other"), codes={DEPLOYER: DEPLOYER_CODE})
    with open_chain(None, spec) as chain:
        with pytest.raises(DeploymentError, match="is not the escrow"):
            EscrowClient.at_home(chain)
        escrow = EscrowClient.deploy(chain, chain.account("other"))
        assert escrow.address == escrow_address()
        assert chain.code(escrow.address) == artifact().runtime
        root = chain.state_root()
        assert EscrowClient.deploy(chain, chain.account("operator")).address == escrow.address
        assert chain.state_root() == root
        with pytest.raises(Reverted):  # nobody makes it twice
            chain.send("again", chain.account("operator"), DEPLOYER, creation_data(), gas=10**7)


@pytest.mark.parametrize("codes", [{}, {DEPLOYER: b"\x00"}])
def test_a_chain_without_the_deployer_is_refused(codes):
    with open_chain(None, ChainSpec(accounts=("operator",), codes=codes)) as chain:
        with pytest.raises(DeploymentError, match="no deployer"):
            EscrowClient.deploy(chain, chain.account("operator"))
        with pytest.raises(DeploymentError, match="is not the deployer"):
            EscrowClient.at_home(chain)


# Operators, parties, bystanders


def test_an_operator_alone_cannot_move_a_unit(arena, refused):
    round_id = arena.funded(10, 5)
    plan = arena.plan(round_id, (0, 1, 1))
    consent = arena.consent(plan)
    signatures = [sign_plan(consent, party, arena.operator) for party in range(2)]
    with refused("not signed by party"):
        arena.settle(plan, signatures=signatures, twin=[arena.operator.address] * 2)


def test_all_parties_but_one_cannot_move_a_unit(arena, refused):
    round_id = arena.funded(10, 5, 5)
    plan = arena.plan(round_id, (0, 1, 1))
    signatures = arena.signatures(arena.consent(plan))
    for missing in range(3):
        some, twin = list(signatures), list(arena.twin.rounds[round_id].parties)
        some[missing], twin[missing] = bytes(64) + b"\x1b", None
        with refused("not signed by party"):
            arena.settle(plan, signatures=some, twin=twin)


def test_a_party_that_never_funds_costs_the_others_nothing(arena):
    round_id, proof = arena.provable(game_of_values(THREE_PARTIES), [0, 10**6, 10**6])
    arena.settle_by_proof(round_id, proof)
    claims = arena.claims(round_id)
    assert sum(claims) == 2 * 10**6
    assert claims[0] >= 0


def test_a_vanished_operator_locks_nobody_in(arena):
    """A party settles in its place; or nobody does, and everybody takes its deposit back."""
    round_id, proof = arena.three_parties(200_000, 3, 4)
    arena.settle_by_proof(round_id, proof, by=arena.parties[2])
    assert [arena.withdraw(round_id, k) for k in (1, 2)] == [112_503, 87_504]
    left = arena.open(3, by_proof=True)
    arena.deposit(left, 0, 5)
    arena.expire(left)
    assert arena.withdraw(left, 0) == 5


def test_a_bystander_that_settles_first_spoils_nothing(arena):
    """With other pairs even: the client sees that the money is where it belongs."""
    round_id, proof = arena.three_parties()
    arena.settle_by_proof(round_id, proof, by=arena.outsider)
    plan = arena.plan(round_id, (0, 2, 87_500), (0, 1, 112_500))
    log = arena.client.settle_by_proof(plan, arena.operator, proof)
    assert log == arena.client.settlement(round_id)


def test_lies_about_one_round_through_the_contract_are_refused(arena):
    """One unit, one figure, all figures together; 1,000 more in tests/settlement/posting."""
    generator = random.Random(11)
    n_refused = 0
    for n in (3, 5):
        game = random_game(n, generator)
        deposits = [generator.randrange(10**5) for _ in range(n)]
        round_id, proof = arena.provable(game, deposits)
        packed = packed_nets(proof.net_amounts)
        for _ in range(30):
            i, j = generator.sample(range(n), 2)
            nets, factors, figures = list(proof.net_amounts), list(proof.factors), game
            kind = generator.randrange(4)
            if kind == 0:
                nets[i], nets[j] = nets[i] + 1, nets[j] - 1
            elif kind == 1:
                factors[i] = max(0, factors[i] - 2**30) if factors[i] else 2**40
            elif kind == 2:
                rows = [list(row) for row in game.flows]
                rows[i][j] -= game.scale
                own = list(game.own)
                own[i] += 1
                figures = Game(tuple(map(tuple, rows)), tuple(own))
            else:
                others = prove(game, [d // 2 for d in deposits], 10**6)
                nets, factors = list(others.net_amounts), list(others.factors)
            with pytest.raises(Refusal):
                arena.settle_by_proof(
                    round_id,
                    proof,
                    transfers=packed_nets(nets) if kind in (0, 3) else packed,
                    factors=factors,
                    game=figures.encode(),
                )
            n_refused += 1
        arena.settle_by_proof(round_id, proof)
        assert arena.client.state(round_id) is RoundState.SETTLED
    assert n_refused == 60


def test_net_positions_are_right_at_all_remainders(arena):
    """Exchange rates that leave every kind of remainder; the contract accepts the one rounding."""
    values = [0, 3, 5, 9, 7, 11, 13, 15, 11, 15, 17, 21, 19, 23, 25, 26]
    game = game_of_values([value / 26 for value in values])
    for rate in (1, 2, 3, 7, 10, 97, 1_000_003, 2**48):
        round_id, proof = arena.provable(game, [rate] * 4, rate=rate)
        arena.settle_by_proof(round_id, proof)
        assert arena.client.state(round_id) is RoundState.SETTLED
    assert max(proof.factors) == FACTOR_ONE
