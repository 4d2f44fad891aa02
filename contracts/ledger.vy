# pragma version 0.4.3
"""
@title Packed ledger of many rounds
@license MIT
@notice Four parties share one storage slot, so that a settlement touches a quarter of the slots:

            bit  255      192 191      128 127       64 63         0
                 [ lane 3   ] [ lane 2   ] [ lane 1   ] [ lane 0   ]
            lane = 1 guard bit + 63 bits of base units

        Party p of a round lives in slot p / 4, lane p % 4. In `balances` every guard bit is 0. In
        `deltas` (plans that come in chunks) a lane is what the party pays, or, with its guard bit
        set, what it receives. Deposits of a round sum to at most 2**63 - 1 units, so
        no sum of amounts of a valid plan ever leaves its lane, and one word operation checks four parties.
@dev    Rules of a plan, however it comes: every transfer names two parties of the round and at least
        one unit; a party either pays or receives; nobody pays more than its deposit.
"""

import refusals

SMALL: constant(uint256) = 64
LARGE: constant(uint256) = 1024
CHUNK: constant(uint256) = 256
MAX_UNITS: constant(uint256) = 2**63 - 1

LANE: constant(uint256) = 2**64 - 1
TRANSFER: constant(uint256) = 2**96 - 1
GUARD: constant(uint256) = 2**63
GUARDS: constant(uint256) = 2**63 * (1 + 2**64 + 2**128 + 2**192)
# Two 16-bit party indices side by side, top bits: both are compared in one subtraction.
PAIR: constant(uint256) = 2**16 + 1
PAIR_GUARDS: constant(uint256) = 2**31 + 2**15

# Claims in base units: the locked deposits until a plan is carried out, what is owed afterwards.
balances: HashMap[uint256, uint256]
# What the chunks of a plan move; counts for nothing until the round says that all are in.
deltas: HashMap[uint256, uint256]


@internal
@pure
def _key(round_id: uint256, party: uint256) -> uint256:
    """
    @notice Where the slot of a party lives: round and slot side by side.
    """
    return (round_id << 32) | (party >> 2)


@internal
@view
def _deposited(round_id: uint256, party: uint256) -> uint256:
    return (self.balances[self._key(round_id, party)] >> ((party & 3) << 6)) & LANE


@internal
@view
def _claim(round_id: uint256, party: uint256, chunked: bool) -> uint256:
    """
    @notice Base units of a party; `chunked` if the deltas of the round count.
    """
    units: uint256 = self._deposited(round_id, party)
    if not chunked:
        return units
    delta: uint256 = (self.deltas[self._key(round_id, party)] >> ((party & 3) << 6)) & LANE
    if delta & GUARD != 0:
        return units + (delta ^ GUARD)
    return units - delta


@internal
def _add(round_id: uint256, party: uint256, units: uint256):
    """
    @notice Adds a deposit; the caller has checked that the round's total stays within `MAX_UNITS`.
    """
    self.balances[self._key(round_id, party)] += units << ((party & 3) << 6)


@internal
def _take(round_id: uint256, party: uint256, chunked: bool) -> uint256:
    """
    @notice Takes a party's whole claim off the ledger and returns it.
    """
    units: uint256 = self._claim(round_id, party, chunked)
    if units != 0:
        key: uint256 = self._key(round_id, party)
        rest: uint256 = ~(LANE << ((party & 3) << 6))
        self.balances[key] &= rest
        if chunked:
            self.deltas[key] &= rest
    return units


@internal
def _apply(round_id: uint256, n_parties: uint256, padded: Bytes[12 * SMALL + 20]) -> uint256[SMALL // 2]:
    """
    @notice Carries out a plan of up to 64 parties and transfers. `padded` are the packed transfers behind 20
            zero bytes.
    @dev Sums debits and credits of each lane in memory, checks four lanes at a time, writes each slot
         once. Transfers are read backwards: the last 12 of 32 bytes, so that the last needs no padding.
    @return Slot s before the plan at s, after it at 16 + s.
    """
    limits: uint256 = PAIR_GUARDS | unsafe_mul(unsafe_sub(n_parties, 1), PAIR)
    left: uint256 = MAX_UNITS
    word: uint256 = 0
    amount: uint256 = 0
    # Debits of slot s in sums[s], credits in sums[SMALL // 4 + s].
    sums: uint256[SMALL // 2] = empty(uint256[SMALL // 2])
    for i: uint256 in range(unsafe_div(unsafe_sub(len(padded), 20), 12), bound=SMALL):
        word = convert(extract32(padded, unsafe_mul(i, 12)), uint256) & TRANSFER
        if ((word >> 64) | ~unsafe_sub(limits, word >> 64)) & PAIR_GUARDS != 0:
            refusals._refuse("escrow: no such party")
        amount = word & LANE
        if unsafe_sub(amount, 1) >= left:
            refusals._refuse("escrow: amount out of range")
        left = unsafe_sub(left, amount)
        sums[word >> 82] += amount << ((word >> 74) & 192)
        sums[((word >> 66) & (SMALL // 4 - 1)) | (SMALL // 4)] += amount << ((word >> 58) & 192)
    key: uint256 = round_id << 32
    held: uint256 = 0
    for s: uint256 in range(unsafe_add(n_parties, 3) >> 2, bound=SMALL // 4):
        word = sums[s]
        amount = sums[s | (SMALL // 4)]
        held = self.balances[key | s]
        sums[s] = held
        if word | amount != 0:
            if unsafe_sub(held | GUARDS, word) & GUARDS != GUARDS:
                refusals._refuse("escrow: debtor exceeds deposit")
            if unsafe_add(word, ~GUARDS) & unsafe_add(amount, ~GUARDS) & GUARDS != 0:
                refusals._refuse("escrow: party pays and receives")
            amount = unsafe_add(unsafe_sub(held, word), amount)
            self.balances[key | s] = amount
            sums[s | (SMALL // 4)] = amount
        else:
            sums[s | (SMALL // 4)] = held
    return sums


@internal
def _apply_large(
    round_id: uint256, n_parties: uint256, padded: Bytes[12 * LARGE + 20]
) -> (uint256[LARGE // 2], uint256):
    """
    @notice The same for up to 1,024. Memory is paid up to the end of the largest array, so one
            function for both sizes would cost small rounds more than their settlement.
    @return What the parties of slot s pay at s, what they receive at 256 + s; and the sum of all amounts.
    """
    limits: uint256 = PAIR_GUARDS | unsafe_mul(unsafe_sub(n_parties, 1), PAIR)
    left: uint256 = MAX_UNITS
    word: uint256 = 0
    amount: uint256 = 0
    # Debits of slot s in sums[s], credits in sums[LARGE // 4 + s].
    sums: uint256[LARGE // 2] = empty(uint256[LARGE // 2])
    for i: uint256 in range(unsafe_div(unsafe_sub(len(padded), 20), 12), bound=LARGE):
        word = convert(extract32(padded, unsafe_mul(i, 12)), uint256) & TRANSFER
        if ((word >> 64) | ~unsafe_sub(limits, word >> 64)) & PAIR_GUARDS != 0:
            refusals._refuse("escrow: no such party")
        amount = word & LANE
        if unsafe_sub(amount, 1) >= left:
            refusals._refuse("escrow: amount out of range")
        left = unsafe_sub(left, amount)
        sums[word >> 82] += amount << ((word >> 74) & 192)
        sums[((word >> 66) & (LARGE // 4 - 1)) | (LARGE // 4)] += amount << ((word >> 58) & 192)
    key: uint256 = round_id << 32
    held: uint256 = 0
    for s: uint256 in range(unsafe_add(n_parties, 3) >> 2, bound=LARGE // 4):
        word = sums[s]
        amount = sums[s | (LARGE // 4)]
        if word | amount != 0:
            held = self.balances[key | s]
            if unsafe_sub(held | GUARDS, word) & GUARDS != GUARDS:
                refusals._refuse("escrow: debtor exceeds deposit")
            if unsafe_add(word, ~GUARDS) & unsafe_add(amount, ~GUARDS) & GUARDS != 0:
                refusals._refuse("escrow: party pays and receives")
            self.balances[key | s] = unsafe_add(unsafe_sub(held, word), amount)
    return sums, unsafe_sub(MAX_UNITS, left)


@internal
def _note(round_id: uint256, n_parties: uint256, padded: Bytes[12 * CHUNK + 20]) -> uint256:
    """
    @notice Adds one chunk of a plan to the deltas of the round.
    @return The sum of its amounts.
    """
    limits: uint256 = PAIR_GUARDS | unsafe_mul(unsafe_sub(n_parties, 1), PAIR)
    word: uint256 = 0
    amount: uint256 = 0
    total: uint256 = 0
    place: uint256 = 0
    delta: uint256 = 0
    key: uint256 = 0
    for i: uint256 in range(unsafe_div(unsafe_sub(len(padded), 20), 12), bound=CHUNK):
        word = convert(extract32(padded, unsafe_mul(i, 12)), uint256) & TRANSFER
        if ((word >> 64) | ~unsafe_sub(limits, word >> 64)) & PAIR_GUARDS != 0:
            refusals._refuse("escrow: no such party")
        amount = word & LANE
        if unsafe_sub(amount, 1) >= MAX_UNITS:
            refusals._refuse("escrow: amount out of range")
        total = unsafe_add(total, amount)
        # The debtor: lane counts up to its deposit.
        key = self._key(round_id, word >> 80)
        place = (word >> 74) & 192
        delta = (self.deltas[key] >> place) & LANE
        if delta & GUARD != 0:
            refusals._refuse("escrow: party pays and receives")
        if unsafe_add(delta, amount) > (self.balances[key] >> place) & LANE:
            refusals._refuse("escrow: debtor exceeds deposit")
        self.deltas[key] = unsafe_add(self.deltas[key], amount << place)
        # The creditor: lane counts up under its guard bit. All credits together are at most all deposits.
        key = self._key(round_id, (word >> 64) & 65535)
        place = (word >> 58) & 192
        delta = (self.deltas[key] >> place) & LANE
        if delta != 0 and delta & GUARD == 0:
            refusals._refuse("escrow: party pays and receives")
        self.deltas[key] = unsafe_add(self.deltas[key] | (GUARD << place), amount << place)
    return total
