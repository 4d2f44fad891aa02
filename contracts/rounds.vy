# pragma version 0.4.3
"""
@title What is known of every round
@license MIT
@notice One word a round holds all that a settlement or a withdrawal asks first:

            bits 0-7      state
                 8        settled by proof (else by signatures)
                 9        has a quorum
                 16-31    number of parties
                 32-71    settlement deadline
                 72-111   funding deadline
                 112-127  parties that have closed
                 128-191  units in the escrow: deposits, less what was paid out
                 192-255  how often a party has revoked
"""

import refusals

OPENING: constant(uint256) = 1
FUNDING: constant(uint256) = 2
SETTLING: constant(uint256) = 3
SETTLED: constant(uint256) = 4
SETTLED_IN_CHUNKS: constant(uint256) = 5

BY_PROOF: constant(uint256) = 2**8
HAS_QUORUM: constant(uint256) = 2**9
SIXTEEN: constant(uint256) = 2**16 - 1
TIME: constant(uint256) = 2**40 - 1
LANE: constant(uint256) = 2**64 - 1

# Of a seat: the address below, and three marks above it.
CLOSED: constant(uint256) = 2**160
PAID_AT_OWN_ADDRESS: constant(uint256) = 2**161
PAID_ELSEWHERE: constant(uint256) = 2**162
ADDRESS: constant(uint256) = 2**160 - 1


event Settled:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    transfers: Bytes[12 * 1024]


clock: HashMap[uint256, uint256]
# What every deposit names: SHA-256 of chain, escrow, operator and terms; then, party by party, of the hash so far
# and the party.
agreement: public(HashMap[uint256, bytes32])
# The one round of an agreement; 0: none.
round_of: public(HashMap[bytes32, uint256])
# SHA-256 of what the parties agree to before any money.
game_hash: public(HashMap[uint256, bytes32])
# Asset (160 bits) and wei of it a base unit (96 bits).
money: HashMap[uint256, uint256]
# Base units a unit of value (64 bits), and the quorum (64 bits).
rules: HashMap[uint256, uint256]
# Parties by round and number.
seats: HashMap[uint256, uint256]
# Where a party is paid that has named another address than its own.
payouts: HashMap[uint256, address]
# SHA-256 of the hash so far, party and units, deposit by deposit; kept where parties sign.
deposits_hash: public(HashMap[uint256, bytes32])


@internal
@pure
def _n_parties(clock: uint256) -> uint256:
    return (clock >> 16) & SIXTEEN


@internal
@pure
def _total_units(clock: uint256) -> uint256:
    return (clock >> 128) & LANE


@internal
@pure
def _settlement_deadline(clock: uint256) -> uint256:
    return (clock >> 32) & TIME


@internal
@pure
def _key(round_id: uint256, party: uint256) -> uint256:
    """
    @notice Where a seat lives; the caller has checked that the round has such a party.
    """
    return (round_id << 32) | party


@internal
@view
def _seat(round_id: uint256, clock: uint256, party: uint256) -> uint256:
    """
    @notice The caller's seat; reverts if the seat is not the caller's.
    """
    seat: uint256 = 0
    if party < self._n_parties(clock):
        seat = self.seats[self._key(round_id, party)]
    if seat & ADDRESS != convert(msg.sender, uint256):
        refusals._refuse("escrow: caller is not that party")
    return seat


@internal
@view
def _funding_has_ended(clock: uint256) -> bool:
    """
    @notice At the deadline, or when all parties have closed.
    """
    return block.timestamp > (clock >> 72) & TIME or (clock >> 112) & SIXTEEN == self._n_parties(clock)


@internal
@view
def _misses_quorum(round_id: uint256, clock: uint256) -> bool:
    return clock & HAS_QUORUM != 0 and self._total_units(clock) < self.rules[round_id] >> 64


@internal
@view
def _ready(round_id: uint256, by_proof: uint256) -> uint256:
    """
    @notice The clock of a round that can be settled now, and in this way.
    """
    clock: uint256 = self.clock[round_id]
    state: uint256 = clock & 255
    if state != FUNDING and state != SETTLING:
        refusals._refuse("escrow: round cannot be settled")
    if clock & BY_PROOF != by_proof:
        refusals._refuse("escrow: settled the other way")
    if block.timestamp > self._settlement_deadline(clock):
        refusals._refuse("escrow: round has expired")
    if not self._funding_has_ended(clock):
        refusals._refuse("escrow: funding is still open")
    if self._misses_quorum(round_id, clock):
        refusals._refuse("escrow: quorum is not reached")
    return clock


@internal
def _enter(round_id: uint256, clock: uint256, state: uint256):
    self.clock[round_id] = (clock & ~convert(255, uint256)) | state


@internal
@view
def _plan_key(round_id: uint256) -> bytes32:
    """
    @notice Names the round in the id of a plan.
    """
    return sha256(concat(convert(chain.id, bytes32), convert(self, bytes32), convert(round_id, bytes32)))
