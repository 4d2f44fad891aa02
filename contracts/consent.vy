# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Settled by signatures: every party has signed the plan
@license MIT
@notice What is signed (EIP-712) names the agreement, the game, the deposits, the deadline, how often somebody
        has revoked, and the plan: up to 64 parties and transfers one by one, so that a wallet shows them; up
        to 1,024 by hash, count, sum and what the signer gets or pays; beyond by hash, count and sum.
"""

import ledger
import refusals
import rounds
import signatures

uses: ledger
uses: rounds

SMALL: constant(uint256) = 64
LARGE: constant(uint256) = 1024
MAX_BATCH: constant(uint256) = 256
MAX_SIGNATURES: constant(uint256) = 2**17
LANE: constant(uint256) = 2**64 - 1
BY_SIGNATURES: constant(uint256) = 0
BEFORE: constant(Bytes[20]) = x"0000000000000000000000000000000000000000"

TRANSFER_TYPE: constant(bytes32) = keccak256("Transfer(address debtor,address creditor,uint256 amount_wei)")
SETTLEMENT_TYPE: constant(bytes32) = keccak256(
    "Settlement(uint256 round_id,bytes32 agreement,bytes32 game_hash,bytes32 deposits_hash,uint256 deadline,uint256 revocations,address asset,Transfer[] transfers)Transfer(address debtor,address creditor,uint256 amount_wei)"
)
LARGE_SETTLEMENT_TYPE: constant(bytes32) = keccak256(
    "LargeSettlement(uint256 round_id,bytes32 agreement,bytes32 game_hash,bytes32 deposits_hash,uint256 deadline,uint256 revocations,bytes32 plan_id,uint256 n_transfers,uint256 total_units,int256 own_net_units)"
)
CHUNKED_SETTLEMENT_TYPE: constant(bytes32) = keccak256(
    "ChunkedSettlement(uint256 round_id,bytes32 agreement,bytes32 game_hash,bytes32 deposits_hash,uint256 deadline,uint256 revocations,bytes32 plan_id,uint256 n_transfers,uint256 total_units)"
)


event Revoked:
    round_id: indexed(uint256)
    party: indexed(uint256)
    revocations: uint256


event Endorsed:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    n_signatures: uint256


event ChunkNoted:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    transfers: Bytes[12 * MAX_BATCH]


# Of a plan in chunks that all have signed: the link that the next chunk must match.
plan_id: public(HashMap[uint256, bytes32])
# And what is still to come of it: transfers (64 bits), units (above).
rest: HashMap[uint256, uint256]
# What the parties sign of a plan in chunks -> how many of them have, in party order.
endorsements: public(HashMap[bytes32, uint256])


@external
def revoke(round_id: uint256, party: uint256):
    """
    @notice A party takes back all that it has signed of a round; refused once a chunk is in. All must sign a plan,
            so one counter a round serves all parties.
    """
    clock: uint256 = rounds.clock[round_id]
    if clock & 255 != rounds.FUNDING:
        refusals._refuse("escrow: nothing to revoke")
    seat: uint256 = rounds._seat(round_id, clock, party)
    clock += 2**192
    rounds.clock[round_id] = clock
    self.plan_id[round_id] = empty(bytes32)
    log Revoked(round_id=round_id, party=party, revocations=clock >> 192)


@external
def settle(round_id: uint256, transfers: Bytes[12 * SMALL], signed: Bytes[MAX_SIGNATURES]):
    """
    @notice Carries out a plan of up to 64 parties and transfers that all parties have signed. Anyone may call.
    """
    self._settle(round_id, transfers)


@internal
def _settle(round_id: uint256, transfers: Bytes[12 * SMALL]):
    clock: uint256 = self._check_ready(round_id, len(transfers))
    n_parties: uint256 = rounds._n_parties(clock)
    if n_parties > SMALL:
        refusals._refuse("escrow: round is too large")
    parties: address[SMALL] = empty(address[SMALL])
    for party: uint256 in range(n_parties, bound=SMALL):
        parties[party] = convert(rounds.seats[rounds._key(round_id, party)] & rounds.ADDRESS, address)
    padded: Bytes[12 * SMALL + 20] = concat(BEFORE, transfers)
    # Before the signatures: it refuses indices that are no parties.
    books: uint256[SMALL // 2] = ledger._apply(round_id, n_parties, padded)
    money: uint256 = rounds.money[round_id]
    hashes: DynArray[bytes32, SMALL] = []
    for k: uint256 in range(unsafe_div(len(transfers), 12), bound=SMALL):
        word: uint256 = convert(extract32(padded, unsafe_mul(12, k)), uint256)
        hashes.append(
            keccak256(
                abi_encode(
                    TRANSFER_TYPE,
                    parties[(word >> 80) & 65535],
                    parties[(word >> 64) & 65535],
                    unsafe_mul(word & LANE, money >> 160),
                )
            )
        )
    digest: bytes32 = signatures._digest(
        signatures._domain(),
        keccak256(
            abi_encode(
                SETTLEMENT_TYPE,
                round_id,
                rounds.agreement[round_id],
                rounds.game_hash[round_id],
                rounds.deposits_hash[round_id],
                rounds._settlement_deadline(clock),
                clock >> 192,
                convert(money & rounds.ADDRESS, address),
                keccak256(slice(abi_encode(hashes, ensure_tuple=False), 32, 32 * len(hashes))),
            )
        ),
    )
    blob: uint256 = self._blob(2, n_parties)
    for party: uint256 in range(n_parties, bound=SMALL):
        signatures._check(parties[party], digest, blob, party)
    rounds._enter(round_id, clock, rounds.SETTLED)
    log rounds.Settled(
        round_id=round_id, plan_id=sha256(concat(rounds._plan_key(round_id), transfers)), transfers=transfers
    )


@external
def settle_large(round_id: uint256, transfers: Bytes[12 * LARGE], signed: Bytes[MAX_SIGNATURES]):
    """
    @notice The same for up to 1,024; what a party signs names the plan by its hash, and the party's own net position.
    """
    self._settle_large(round_id, transfers)


@internal
def _settle_large(round_id: uint256, transfers: Bytes[12 * LARGE]):
    clock: uint256 = self._check_ready(round_id, len(transfers))
    n_parties: uint256 = rounds._n_parties(clock)
    if n_parties > LARGE:
        refusals._refuse("escrow: round is too large")
    sums: uint256[LARGE // 2] = empty(uint256[LARGE // 2])
    total: uint256 = 0
    sums, total = ledger._apply_large(round_id, n_parties, concat(BEFORE, transfers))
    plan_id: bytes32 = sha256(concat(rounds._plan_key(round_id), transfers))
    agreement: bytes32 = rounds.agreement[round_id]
    game_hash: bytes32 = rounds.game_hash[round_id]
    deposits_hash: bytes32 = rounds.deposits_hash[round_id]
    domain: bytes32 = signatures._domain()
    blob: uint256 = self._blob(2, n_parties)
    for party: uint256 in range(n_parties, bound=LARGE):
        place: uint256 = (party & 3) << 6
        net: uint256 = unsafe_sub(
            (sums[(party >> 2) | (LARGE // 4)] >> place) & LANE, (sums[party >> 2] >> place) & LANE
        )
        digest: bytes32 = signatures._digest(
            domain,
            keccak256(
                abi_encode(
                    LARGE_SETTLEMENT_TYPE,
                    round_id,
                    agreement,
                    game_hash,
                    deposits_hash,
                    rounds._settlement_deadline(clock),
                    clock >> 192,
                    plan_id,
                    unsafe_div(len(transfers), 12),
                    total,
                    net,
                )
            ),
        )
        account: uint256 = rounds.seats[rounds._key(round_id, party)] & rounds.ADDRESS
        signatures._check(convert(account, address), digest, blob, party)
    rounds._enter(round_id, clock, rounds.SETTLED)
    log rounds.Settled(round_id=round_id, plan_id=plan_id, transfers=transfers)


@external
def endorse(
    round_id: uint256,
    plan_id: bytes32,
    n_transfers: uint256,
    total_units: uint256,
    n_signatures: uint256,
    signed: Bytes[MAX_SIGNATURES],
):
    """
    @notice Records the next signatures of a plan in chunks, in party order; anyone may bring them. With the last
            one the chunks may come. Wallets are asked here, not when the chunks come.
    """
    self._endorse(round_id, plan_id, n_transfers, total_units, n_signatures)


@internal
def _endorse(
    round_id: uint256, plan_id: bytes32, n_transfers: uint256, total_units: uint256, n_signatures: uint256
):
    clock: uint256 = self._check_ready(round_id, 0)
    n_parties: uint256 = rounds._n_parties(clock)
    if n_transfers > LANE or total_units > LANE:
        refusals._refuse("escrow: plan is too large")
    digest: bytes32 = signatures._digest(
        signatures._domain(),
        keccak256(
            abi_encode(
                CHUNKED_SETTLEMENT_TYPE,
                round_id,
                rounds.agreement[round_id],
                rounds.game_hash[round_id],
                rounds.deposits_hash[round_id],
                rounds._settlement_deadline(clock),
                clock >> 192,
                plan_id,
                n_transfers,
                total_units,
            )
        ),
    )
    first: uint256 = self.endorsements[digest]
    if n_signatures == 0 or n_signatures > n_parties - first:
        refusals._refuse("escrow: odd signature count")
    blob: uint256 = self._blob(5, n_signatures)
    for k: uint256 in range(n_signatures, bound=MAX_BATCH):
        account: uint256 = rounds.seats[rounds._key(round_id, first + k)] & rounds.ADDRESS
        signatures._check(convert(account, address), digest, blob, k)
    self.endorsements[digest] = first + n_signatures
    log Endorsed(round_id=round_id, plan_id=plan_id, n_signatures=first + n_signatures)
    if first + n_signatures == n_parties:
        self.plan_id[round_id] = plan_id
        self.rest[round_id] = (total_units << 64) | n_transfers


@external
def settle_chunk(round_id: uint256, transfers: Bytes[12 * MAX_BATCH], next_link: Bytes[32]):
    """
    @notice Notes the next chunk of a plan that all have signed; with the last one, which names no next link,
            all chunks take effect. Link k is the SHA-256 of the round's key, chunk k and link k + 1, so a chunk
            left out, repeated or out of order does not match. Anyone may call.
    """
    clock: uint256 = rounds._ready(round_id, BY_SIGNATURES)
    plan_id: bytes32 = self.plan_id[round_id]
    if plan_id == empty(bytes32):
        refusals._refuse("escrow: not all have signed")
    if len(next_link) != 0 and len(next_link) != 32:
        refusals._refuse("escrow: link is not 32 bytes")
    self._check_length(len(transfers))
    if sha256(concat(rounds._plan_key(round_id), transfers, next_link)) != plan_id:
        refusals._refuse("escrow: not the next chunk")
    rest: uint256 = self.rest[round_id]
    total: uint256 = ledger._note(round_id, rounds._n_parties(clock), concat(BEFORE, transfers))
    if len(transfers) // 12 > rest & LANE or total > rest >> 64:
        refusals._refuse("escrow: more than was signed")
    rest -= (total << 64) | (len(transfers) // 12)
    if len(next_link) == 32:
        self.plan_id[round_id] = extract32(next_link, 0)
        self.rest[round_id] = rest
        rounds._enter(round_id, clock, rounds.SETTLING)
        log ChunkNoted(round_id=round_id, plan_id=plan_id, transfers=transfers)
    else:
        if rest != 0:
            refusals._refuse("escrow: less than was signed")
        rounds._enter(round_id, clock, rounds.SETTLED_IN_CHUNKS)
        log rounds.Settled(round_id=round_id, plan_id=plan_id, transfers=transfers)


@internal
@view
def _check_ready(round_id: uint256, length: uint256) -> uint256:
    """
    @notice The clock of a round that waits for signatures.
    """
    clock: uint256 = rounds._ready(round_id, BY_SIGNATURES)
    if clock & 255 != rounds.FUNDING:
        refusals._refuse("escrow: chunks are already in")
    self._check_length(length)
    return clock


@internal
@pure
def _check_length(length: uint256):
    if length % 12 != 0:
        refusals._refuse("escrow: not 12 bytes a transfer")


@internal
@view
def _blob(argument: uint256, n_signatures: uint256) -> uint256:
    """
    @notice Where in the call data the signatures begin that are the call's argument of that number, from 0.
    """
    head: uint256 = convert(convert(slice(msg.data, 4 + 32 * argument, 32), bytes32), uint256)
    length: uint256 = convert(convert(slice(msg.data, 4 + head, 32), bytes32), uint256)
    if length < 65 * n_signatures:
        refusals._refuse("escrow: a signature is missing")
    return 36 + head
