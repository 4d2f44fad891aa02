# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Settled by proof: net positions that follow from the agreed game and the locked deposits
@license MIT
@notice Whole numbers only. The caller hands over the game that all deposits named, factors and transfers; the
        proof that factors which pass lead to the one right division of money, and that there always are
        some, is in contracts/README.md.

        Game of n parties, 2 to 64, big-endian numbers of 8 bytes:
            flows    n rows of n: flow[payer][payee]
            own      n: what a party's own model is worth
            wanted   n, or none at all: most that a party wants its model to be worth; all ones: no cap

        Scales: values 10**15; flows 10**15 times `FLOW_SCALES[n]`; factors 2**72.
"""

import ledger
import refusals
import rounds

uses: ledger
uses: rounds

SMALL: constant(uint256) = 64
MAX_GAME: constant(uint256) = 64 * 66 * 8
VALUE_SCALE: constant(uint256) = 10**15
ONE: constant(uint256) = 2**72
NO_CAP: constant(uint256) = 2**64 - 1
LANE: constant(uint256) = 2**64 - 1
OFFSET: constant(uint256) = 2**80
SLACK: constant(uint256) = 2**12
BEFORE: constant(Bytes[20]) = x"0000000000000000000000000000000000000000"

# (n - 1) * lcm of (n - s) * binomial(n - 2, s - 2) over 2 <= s < n: makes every flow of a table whole.
FLOW_SCALES: constant(uint256[9]) = [1, 1, 1, 2, 6, 24, 60, 360, 420]


@external
def settle_by_proof(
    round_id: uint256, transfers: Bytes[12 * SMALL], factors: DynArray[uint256, SMALL], game: Bytes[MAX_GAME]
):
    """
    @notice Carries out transfers that bring about the net positions which follow from game and deposits. Anyone may call.
    """
    self._settle(round_id, transfers, len(game))
    # Last, and all else in functions of their own: what lies in memory beyond the game is paid as dearly as the
    # largest game.
    if sha256(game) != rounds.game_hash[round_id]:
        refusals._refuse("escrow: not the agreed game")


@internal
def _settle(round_id: uint256, transfers: Bytes[12 * SMALL], length: uint256):
    clock: uint256 = rounds._ready(round_id, rounds.BY_PROOF)
    if len(transfers) % 12 != 0:
        refusals._refuse("escrow: not 12 bytes a transfer")
    n: uint256 = rounds._n_parties(clock)
    rounds._enter(round_id, clock, rounds.SETTLED)
    self._check(
        n,
        rounds.rules[round_id] & LANE,
        length,
        ledger._apply(round_id, n, concat(BEFORE, transfers)),
    )
    log rounds.Settled(
        round_id=round_id, plan_id=sha256(concat(rounds._plan_key(round_id), transfers)), transfers=transfers
    )


@internal
@view
def _word(place: uint256) -> uint256:
    """
    @notice 32 bytes of the call data.
    """
    return convert(convert(slice(msg.data, place, 32), bytes32), uint256)


@internal
@view
def _number(place: uint256) -> uint256:
    """
    @notice The number of 8 bytes at this place of the call data; read as the end of a word, for a word that
            begins there might reach beyond.
    """
    return self._word(unsafe_sub(place, 24)) & LANE


@internal
@view
def _check(n: uint256, exchange_rate: uint256, length: uint256, books: uint256[32]):
    """
    @notice Reverts unless the factors and the net positions of the books follow from the game.
    """
    # Arguments 2 and 3 of the call: where their contents begin.
    factors: uint256 = unsafe_add(36, self._word(68))
    game: uint256 = unsafe_add(36, self._word(100))
    if self._word(unsafe_sub(factors, 32)) != n:
        refusals._refuse("escrow: not one factor a party")
    row: uint256 = n << 3
    own: uint256 = unsafe_add(game, unsafe_mul(n, row))
    end: uint256 = unsafe_add(game, length)
    if end != unsafe_add(own, row) and end != unsafe_add(own, row << 1):
        refusals._refuse("escrow: wrong length of game")
    costs: uint256[SMALL] = empty(uint256[SMALL])
    # Flows received, times the payers' factors; four columns at a time.
    revenues: uint256[4][SMALL // 4] = empty(uint256[4][SMALL // 4])
    place: uint256 = game
    last: uint256 = unsafe_sub(n, 1) >> 2
    # The last four columns of a row reach into what follows: cut off.
    cut: uint256 = (unsafe_sub(0, n) & 3) << 6
    for i: uint256 in range(n, bound=SMALL):
        factor: uint256 = self._word(unsafe_add(factors, i << 5))
        if factor > ONE:
            refusals._refuse("escrow: factor is too large")
        cost: uint256 = 0
        for column: uint256 in range(unsafe_add(last, 1), bound=SMALL // 4):
            word: uint256 = self._word(unsafe_add(place, column << 5))
            if column == last:
                word = (word >> cut) << cut
            flow: uint256 = word >> 192
            cost = unsafe_add(cost, flow)
            revenues[column][0] = unsafe_add(revenues[column][0], unsafe_mul(flow, factor))
            flow = (word >> 128) & LANE
            cost = unsafe_add(cost, flow)
            revenues[column][1] = unsafe_add(revenues[column][1], unsafe_mul(flow, factor))
            flow = (word >> 64) & LANE
            cost = unsafe_add(cost, flow)
            revenues[column][2] = unsafe_add(revenues[column][2], unsafe_mul(flow, factor))
            flow = word & LANE
            cost = unsafe_add(cost, flow)
            revenues[column][3] = unsafe_add(revenues[column][3], unsafe_mul(flow, factor))
        costs[i] = cost
        if self._number(unsafe_add(place, i << 3)) != 0:
            refusals._refuse("escrow: party pays itself")
        place = unsafe_add(place, row)
    scale: uint256 = 1
    if n <= 8:
        scale = FLOW_SCALES[n]
    unit: uint256 = unsafe_mul(scale, VALUE_SCALE * ONE)
    grand: uint256 = unsafe_add(unsafe_mul(scale, self._number(own)), costs[0])
    slack: uint256 = unsafe_mul(unsafe_mul(exchange_rate, n), grand)
    if unsafe_mul(n, slack) > unit // SLACK:
        refusals._refuse("escrow: game too large for rate")
    least_up: uint256 = max_value(uint256)
    most_down: uint256 = 0
    for i: uint256 in range(n, bound=SMALL):
        cost: uint256 = costs[i]
        value: uint256 = self._number(unsafe_add(own, i << 3))
        # Eq. (4): own value and cost make the grand value, for everybody.
        if unsafe_add(unsafe_mul(scale, value), cost) != grand:
            refusals._refuse("escrow: own values do not fit")
        upper: uint256 = ONE
        if end != unsafe_add(own, row):
            wanted: uint256 = self._number(unsafe_add(unsafe_add(own, row), i << 3))
            if wanted != NO_CAP and cost != 0 and unsafe_mul(wanted, scale) < grand:
                upper = 0
                if wanted > value:
                    upper = unsafe_div(unsafe_mul(unsafe_mul(ONE, scale), unsafe_sub(wanted, value)), cost)
        factor: uint256 = self._word(unsafe_add(factors, i << 5))
        if factor > upper:
            refusals._refuse("escrow: factor is too large")
        lane: uint256 = (i & 3) << 6
        held: uint256 = (books[i >> 2] >> lane) & LANE
        owed: uint256 = unsafe_mul(unsafe_mul(exchange_rate, cost), factor)
        inflow: uint256 = unsafe_mul(exchange_rate, revenues[i >> 2][i & 3])
        means: uint256 = unsafe_add(unsafe_mul(held, unit), inflow)
        if owed > means:
            if unsafe_sub(owed, means) > slack:
                refusals._refuse("escrow: factor beyond means")
        elif owed != means and factor != upper:
            refusals._refuse("escrow: factor is too small")
        # The exact net position, rounded down or up; up where the remainder is largest, lower index first.
        shifted: uint256 = unsafe_sub(unsafe_add(unsafe_mul(OFFSET, unit), inflow), owed)
        after: uint256 = (books[(i >> 2) | 16] >> lane) & LANE
        up: uint256 = unsafe_sub(unsafe_add(OFFSET, after), unsafe_add(held, unsafe_div(shifted, unit)))
        rank: uint256 = (shifted % unit << 6) | unsafe_sub(63, i)
        if up == 0:
            most_down = max(most_down, rank)
        elif up == 1:
            least_up = min(least_up, rank)
        else:
            refusals._refuse("escrow: wrong net position")
    if least_up < most_down:
        refusals._refuse("escrow: wrong rounding")
