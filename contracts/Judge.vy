# pragma version 0.4.3
# pragma optimize gas
"""
@title Judge of posted allocations
@license MIT
@notice Says which rule of `fairness` a posting breaks, if any. It has no storage and knows no round, so
        that anybody can ask it before a challenge. A contract of its own only because
        both together would exceed the size limit of a contract (EIP-170).
"""

import fairness

MAX_PARTIES: constant(uint256) = 64
MAX_POSTING: constant(uint256) = 64 * 64 * 8 + 64 * 8 + 64 * 32
MAX_TABLE: constant(uint256) = 2**8 * 8


@external
@pure
def fault(
    exchange_rate: uint256,
    caps_hash: bytes32,
    deposits: DynArray[uint256, MAX_PARTIES],
    transfers: Bytes[12 * MAX_PARTIES],
    posting: Bytes[MAX_POSTING],
    table: Bytes[MAX_TABLE],
) -> uint256:
    """
    @notice First rule that is broken, 0 if none is.
    """
    n_parties: uint256 = len(deposits)
    held: uint256[64] = empty(uint256[64])
    nets: int256[64] = empty(int256[64])
    for party: uint256 in range(n_parties, bound=MAX_PARTIES):
        held[party] = deposits[party]
    padded: Bytes[12 * MAX_PARTIES + 20] = concat(x"0000000000000000000000000000000000000000", transfers)
    for i: uint256 in range(len(transfers) // 12, bound=MAX_PARTIES):
        word: uint256 = convert(extract32(padded, 12 * i), uint256)
        amount: int256 = convert(word & (2**64 - 1), int256)
        nets[(word >> 80) & 65535] -= amount
        nets[(word >> 64) & 65535] += amount
    return fairness._fault(n_parties, exchange_rate, caps_hash, held, nets, posting, table)
