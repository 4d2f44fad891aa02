# pragma version 0.4.3
"""
@title Checks of a posted allocation
@license MIT
@notice Whole numbers only, and no tolerance that anybody chooses: every rule is an equation between posted
        integers, except the duality gap, whose bound is what rounding up can cause at most. The
        proof that an honest posting passes and a wrong one fails is in contracts/README.md.

        Posting, n parties, big-endian:
            flows    n rows of n numbers of 8 bytes: flow[payer][payee]
            wanted   n numbers of 8 bytes: most that a party wants its model to be worth; all ones: no cap
            records  n times 32 bytes: own value (8), factor (12), dual value (12)
        Value table: 2**n numbers of 8 bytes; only for n <= 8.

        Scales: values 10**15; flows 10**15 times `_flow_scale(n)`; factors and duals 2**72.
"""

MAX_PARTIES: constant(uint256) = 64
MAX_EXACT: constant(uint256) = 8
MAX_POSTING: constant(uint256) = 64 * 64 * 8 + 64 * 8 + 64 * 32
MAX_TABLE: constant(uint256) = 2**8 * 8

VALUE_SCALE: constant(uint256) = 10**15
ONE: constant(uint256) = 2**72
NO_CAP: constant(uint256) = 2**64 - 1
LANE: constant(uint256) = 2**64 - 1
SHORT: constant(uint256) = 2**96 - 1
OFFSET: constant(uint256) = 2**80

# (n - 1) * lcm of (n - s) * binomial(n - 2, s - 2) over 2 <= s < n: makes every flow whole.
FLOW_SCALES: constant(uint256[9]) = [1, 1, 1, 2, 6, 24, 60, 360, 420]

# What a challenge can find; the client has the same list.
NO_FAULT: constant(uint256) = 0
WRONG_SHAPE: constant(uint256) = 1
WRONG_TABLE: constant(uint256) = 2
WRONG_FLOWS: constant(uint256) = 3
WRONG_OWN_VALUES: constant(uint256) = 4
WRONG_CAPS: constant(uint256) = 5
WRONG_FACTORS: constant(uint256) = 6
WRONG_DUALS: constant(uint256) = 7
WRONG_GAP: constant(uint256) = 8
WRONG_NETS: constant(uint256) = 9


struct Sheet:
    n: uint256
    exchange_rate: uint256
    unit: uint256  # flow units of one unit of value
    own: uint256[64]
    upper: uint256[64]  # most that the factor may be: one, or the cap's
    factor: uint256[64]
    dual: uint256[64]
    cost: uint256[64]  # row sums of the flows
    revenue: uint256[64]  # flows received, times the payers' factors
    visits: uint256[64]  # flows paid, times the payees' dual values
    deposit: uint256[64]
    net: int256[64]


@internal
@pure
def _fault(
    n: uint256,
    exchange_rate: uint256,
    caps_hash: bytes32,
    deposits: uint256[64],
    nets: int256[64],
    posting: Bytes[MAX_POSTING],
    table: Bytes[MAX_TABLE],
) -> uint256:
    """
    @notice The first rule that a posting breaks, or `NO_FAULT`.
    """
    if len(posting) != n * (8 * n + 40):
        return WRONG_SHAPE
    sheet: Sheet = empty(Sheet)
    sheet.n = n
    sheet.exchange_rate = exchange_rate
    sheet.unit = VALUE_SCALE
    if n <= MAX_EXACT:
        if len(table) != 8 << n:
            return WRONG_SHAPE
        sheet.unit *= FLOW_SCALES[n]
    sheet.deposit = deposits
    sheet.net = nets
    # 32 bytes behind the last record, so that every field can be read as the head of a word.
    data: Bytes[MAX_POSTING + 32] = concat(posting, empty(bytes32))
    records: uint256 = n * (8 * n + 8)
    for i: uint256 in range(n, bound=MAX_PARTIES):
        word: uint256 = convert(extract32(data, records + 32 * i), uint256)
        sheet.own[i] = word >> 192
        sheet.factor[i] = (word >> 96) & SHORT
        sheet.dual[i] = word & SHORT
    for i: uint256 in range(n, bound=MAX_PARTIES):
        for j: uint256 in range(n, bound=MAX_PARTIES):
            flow: uint256 = convert(extract32(data, 8 * (n * i + j)), uint256) >> 192
            if i == j:
                if flow != 0:
                    return WRONG_FLOWS
                continue
            sheet.cost[i] += flow
            sheet.revenue[j] += flow * sheet.factor[i]
            sheet.visits[i] += flow * sheet.dual[j]
    if n <= MAX_EXACT:
        fault: uint256 = self._table_fault(n, sheet.own, data, table)
        if fault != NO_FAULT:
            return fault
    # Eq. (4): own value and cost make the grand value, for everybody.
    scale: uint256 = sheet.unit // VALUE_SCALE
    grand: uint256 = scale * sheet.own[0] + sheet.cost[0]
    for i: uint256 in range(n, bound=MAX_PARTIES):
        if scale * sheet.own[i] + sheet.cost[i] != grand:
            return WRONG_OWN_VALUES
    if caps_hash != empty(bytes32) and sha256(slice(data, 8 * n * n, 8 * n)) != caps_hash:
        return WRONG_CAPS
    for i: uint256 in range(n, bound=MAX_PARTIES):
        wanted: uint256 = convert(extract32(data, 8 * (n * n + i)), uint256) >> 192
        if caps_hash == empty(bytes32) and wanted != NO_CAP:
            return WRONG_CAPS
        sheet.upper[i] = ONE
        if wanted != NO_CAP and wanted * scale < grand:
            room: uint256 = 0
            if wanted > sheet.own[i]:
                room = wanted - sheet.own[i]
            if sheet.cost[i] != 0:
                sheet.upper[i] = ONE * scale * room // sheet.cost[i]
    return self._clearing_fault(sheet)


@internal
@pure
def _clearing_fault(sheet: Sheet) -> uint256:
    """
    @notice Factors are the greatest that budgets and caps allow; net positions follow from them.
    """
    n: uint256 = sheet.n
    nu: uint256 = sheet.exchange_rate
    primal: uint256 = 0
    bound: uint256 = 0
    for i: uint256 in range(n, bound=MAX_PARTIES):
        cost: uint256 = sheet.cost[i]
        upper: uint256 = sheet.upper[i]
        factor: uint256 = upper
        dual: uint256 = 0
        if cost != 0:
            means: uint256 = sheet.deposit[i] * sheet.unit * ONE + nu * sheet.revenue[i]
            factor = min(upper, (means + nu * cost - 1) // (nu * cost))
        if sheet.factor[i] != factor:
            return WRONG_FACTORS
        if factor != upper:
            dual = ONE + (sheet.visits[i] + cost - 1) // cost
        if sheet.dual[i] != dual:
            return WRONG_DUALS
        primal += nu * (cost * factor + cost + 1)
        bound += sheet.deposit[i] * sheet.unit * dual
        if dual == 0:
            bound += nu * (((cost * ONE + sheet.visits[i]) * upper + ONE - 1) // ONE)
    if bound > primal:
        return WRONG_GAP
    return self._net_fault(sheet)


@internal
@pure
def _net_fault(sheet: Sheet) -> uint256:
    """
    @notice Net positions are the exact ones rounded down, plus one unit each for the largest remainders;
            the lower party index wins ties.
    """
    unit: uint256 = sheet.unit * ONE
    least_up: uint256 = max_value(uint256)
    most_down: uint256 = 0
    for i: uint256 in range(sheet.n, bound=MAX_PARTIES):
        shifted: uint256 = (
            OFFSET * unit
            + sheet.exchange_rate * sheet.revenue[i]
            - sheet.exchange_rate * sheet.cost[i] * sheet.factor[i]
        )
        down: int256 = convert(shifted // unit, int256) - convert(OFFSET, int256)
        rank: uint256 = (shifted % unit) * MAX_PARTIES + (MAX_PARTIES - i)
        if sheet.net[i] == down + 1:
            least_up = min(least_up, rank)
        elif sheet.net[i] == down:
            most_down = max(most_down, rank)
        else:
            return WRONG_NETS
    if least_up < most_down:
        return WRONG_NETS
    return NO_FAULT


@internal
@pure
def _table_fault(n: uint256, own: uint256[64], data: Bytes[MAX_POSTING + 32], table: Bytes[MAX_TABLE]) -> uint256:
    """
    @notice Flows are the conditional Shapley values of the table, eq. (5), in whole numbers:
            (n - 1) F[i][j] = (n - 1) P[i][j] - sum of P[i][k] over k + scale * (v(N) - v(i)).
    """
    scale: int256 = convert(FLOW_SCALES[n], int256)
    values: uint256[256] = empty(uint256[256])
    padded: Bytes[MAX_TABLE + 32] = concat(table, empty(bytes32))
    grand: uint256 = (1 << n) - 1
    pairs: int256[64] = empty(int256[64])  # P[i][j] at 8 i + j
    for coalition: uint256 in range(grand + 1, bound=256):
        values[coalition] = convert(extract32(padded, 8 * coalition), uint256) >> 192
        size: uint256 = 0
        for i: uint256 in range(n, bound=MAX_EXACT):
            size += (coalition >> i) & 1
        if size < 2 or size == n:
            continue
        weighted: int256 = convert(
            convert(scale, uint256) // ((n - size) * self._choose(n - 2, size - 2)) * values[coalition], int256
        )
        for i: uint256 in range(n, bound=MAX_EXACT):
            if (coalition >> i) & 1 == 0:
                continue
            for j: uint256 in range(n, bound=MAX_EXACT):
                if j != i and (coalition >> j) & 1 != 0:
                    pairs[8 * i + j] += weighted
    if values[0] != 0:
        return WRONG_TABLE
    others: int256 = convert(n - 1, int256)
    for i: uint256 in range(n, bound=MAX_EXACT):
        if own[i] != values[1 << i]:
            return WRONG_OWN_VALUES
        total: int256 = scale * (convert(values[grand], int256) - convert(values[1 << i], int256))
        for k: uint256 in range(n, bound=MAX_EXACT):
            total -= pairs[8 * i + k]
        for j: uint256 in range(n, bound=MAX_EXACT):
            if i != j:
                flow: int256 = convert(convert(extract32(data, 8 * (n * i + j)), uint256) >> 192, int256)
                if others * flow != others * pairs[8 * i + j] + total:
                    return WRONG_FLOWS
    return NO_FAULT


@internal
@pure
def _choose(n: uint256, k: uint256) -> uint256:
    result: uint256 = 1
    for i: uint256 in range(k, bound=MAX_EXACT):
        result = result * (n - i) // (i + 1)
    return result
