# pragma version 0.4.3
"""
@title Packed ledger of many rounds
@license MIT
@notice Four parties share one storage slot, so that a settlement touches a quarter of the slots:

            bit  255      192 191      128 127       64 63         0
                 [ lane 3   ] [ lane 2   ] [ lane 1   ] [ lane 0   ]
            lane = 1 guard bit (always 0 in storage of balances) + 63 bits of base units

        Party p of a round lives in slot p / 4, lane p % 4. The deposits of one round sum to at
        most 2**63 - 1 units, so no sum of amounts of a valid plan ever leaves its lane, and the
        guard bits let one word operation check four parties at once.
@dev    Two ways to carry out transfers, with the same rules: `_apply` sums a whole plan in memory and
        writes each slot once; `_note` sums one chunk of a large plan into the slots of `deltas`, which
        count for nothing until the round says that all chunks are in.
"""

MAX_TRANSFERS: constant(uint256) = 1024
MAX_SLOTS: constant(uint256) = 256
MAX_UNITS: constant(uint256) = 2**63 - 1

LANE: constant(uint256) = 2**64 - 1
GUARD: constant(uint256) = 2**63
GUARDS: constant(uint256) = 2**63 * (1 + 2**64 + 2**128 + 2**192)
# Two 16-bit party indices side by side, top bits: both are compared in one subtraction.
PAIR_GUARDS: constant(uint256) = 2**31 + 2**15

# Claims in base units: the locked deposits until a plan is carried out, what is owed afterwards.
balances: HashMap[uint256, uint256]
# Sign and magnitude of what a chunked plan moves: guard bit set = receives.
deltas: HashMap[uint256, uint256]


@internal
@pure
def _slot_key(round_id: uint256, slot: uint256) -> uint256:
    """
    @notice Where a slot of a round lives: round and slot side by side, 14 bits are enough for a slot.
    """
    return (round_id << 32) | slot


@internal
@view
def _balance(round_id: uint256, party: uint256) -> uint256:
    return (self.balances[self._slot_key(round_id, party >> 2)] >> ((party & 3) << 6)) & LANE


@internal
def _add(round_id: uint256, party: uint256, units: uint256):
    """
    @notice Adds a deposit; the caller has checked that the round's total stays within `MAX_UNITS`.
    """
    self.balances[self._slot_key(round_id, party >> 2)] += units << ((party & 3) << 6)


@internal
def _clear(round_id: uint256, party: uint256):
    """
    @notice Takes a party's whole claim off the ledger.
    """
    key: uint256 = self._slot_key(round_id, party >> 2)
    self.balances[key] &= ~(LANE << ((party & 3) << 6))


@internal
@pure
def _nonzero(lanes: uint256) -> uint256:
    """
    @notice Guard bit of each lane that holds anything; guards of `lanes` must be clear.
    """
    return unsafe_add(lanes, ~GUARDS) & GUARDS


@internal
def _apply(round_id: uint256, n_parties: uint256, padded: Bytes[12 * MAX_TRANSFERS + 20]):
    limits: uint256 = PAIR_GUARDS | unsafe_mul(unsafe_sub(n_parties, 1), 2**16 + 1)
    left: uint256 = MAX_UNITS
    word: uint256 = 0
    amount: uint256 = 0
    # Debits of slot s in sums[s], credits in sums[256 + s].
    sums: uint256[2 * MAX_SLOTS] = empty(uint256[2 * MAX_SLOTS])
    for i: uint256 in range(unsafe_div(unsafe_sub(len(padded), 20), 12), bound=MAX_TRANSFERS):
        word = convert(extract32(padded, unsafe_mul(i, 12)), uint256) & (2**96 - 1)
        assert ((word >> 64) | ~unsafe_sub(limits, word >> 64)) & PAIR_GUARDS == 0, "escrow: transfer names no party of the round"
        amount = word & LANE
        assert unsafe_sub(amount, 1) < left, "escrow: transfer of nothing"
        left = unsafe_sub(left, amount)
        sums[word >> 82] += amount << ((word >> 74) & 192)
        sums[((word >> 66) & 255) | 256] += amount << ((word >> 58) & 192)
    key: uint256 = round_id << 32
    credits: uint256 = 0
    held: uint256 = 0
    for s: uint256 in range(unsafe_add(n_parties, 3) >> 2, bound=MAX_SLOTS):
        word = sums[s]
        credits = sums[s | 256]
        if word | credits != 0:
            held = self.balances[key | s]
            assert unsafe_sub(held | GUARDS, word) & GUARDS == GUARDS, "escrow: debtor exceeds its deposit"
            assert unsafe_add(word, ~GUARDS) & unsafe_add(credits, ~GUARDS) & GUARDS == 0, "escrow: party pays and receives"
            self.balances[key | s] = unsafe_add(unsafe_sub(held, word), credits)
