# pragma version 0.4.3
"""
@title A wallet that is a contract (ERC-1271), with a habit of choice, for tests
@license MIT
"""

VALID: constant(bytes4) = 0x1626ba7e

OBEYS_ITS_OWNER: constant(uint256) = 0
WANTS_A_WORD: constant(uint256) = 1
SAYS_SOMETHING_ELSE: constant(uint256) = 2
REVERTS: constant(uint256) = 3
BURNS_ALL_GAS: constant(uint256) = 4
SAYS_YES_AND_MORE: constant(uint256) = 5

owner: address
habit: uint256
word: Bytes[2048]


@deploy
def __init__(owner: address, habit: uint256):
    self.owner = owner
    self.habit = habit


@external
def set_habit(habit: uint256):
    self.habit = habit


@external
def want(word: Bytes[2048]):
    self.word = word


@external
@payable
def act(target: address, data: Bytes[1024], value_wei: uint256):
    raw_call(target, data, value=value_wei)


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[2048]) -> bytes32:
    assert self.habit != REVERTS, "wallet: no"
    if self.habit == BURNS_ALL_GAS:
        waste: bytes32 = digest
        for k: uint256 in range(10**6):
            waste = keccak256(waste)
    if self.habit == SAYS_SOMETHING_ELSE:
        return convert(0xffffffff, bytes32)
    good: bool = False
    if self.habit == WANTS_A_WORD:
        good = signature == self.word
    elif len(signature) == 65:
        r: uint256 = convert(extract32(signature, 0), uint256)
        s: uint256 = convert(extract32(signature, 32), uint256)
        v: uint256 = convert(extract32(signature, 33), uint256) & 255
        good = ecrecover(digest, v, r, s) == self.owner
    if good:
        if self.habit == SAYS_YES_AND_MORE:
            return convert(VALID, bytes32) | convert(1, bytes32)
        return convert(VALID, bytes32)
    return empty(bytes32)


@external
@payable
def __default__():
    pass
