# pragma version 0.4.3
"""
@title Takes ether in a way of choice, for tests of pay-outs
@license MIT
"""

TAKES: constant(uint256) = 0
REFUSES: constant(uint256) = 1
BURNS_ALL_GAS: constant(uint256) = 2
SHOUTS: constant(uint256) = 3
WORKS_A_LITTLE: constant(uint256) = 4
WORKS_TOO_MUCH: constant(uint256) = 5

habit: uint256
count: uint256
seen: HashMap[uint256, uint256]


@external
def set_habit(habit: uint256):
    self.habit = habit


@external
@payable
def __default__():
    if self.habit == TAKES:
        return
    assert self.habit != REFUSES, "recipient: no"
    if self.habit == BURNS_ALL_GAS:
        waste: bytes32 = empty(bytes32)
        for k: uint256 in range(10**6):
            waste = keccak256(waste)
    if self.habit == SHOUTS:
        noise: uint256[1000] = empty(uint256[1000])
        raw_revert(abi_encode(noise))
    n_slots: uint256 = 1
    if self.habit == WORKS_TOO_MUCH:
        n_slots = 3
    for k: uint256 in range(n_slots, bound=3):  # 22,100 gas a fresh slot
        self.count += 1
        self.seen[self.count] = msg.value
