# pragma version 0.4.3
"""
@title ERC-20 with EIP-2612 permits and a bad habit of choice, for tests
@license MIT
"""

interface Hooked:
    def on_token(): nonpayable

PLAIN: constant(uint256) = 0
KEEPS_A_FEE: constant(uint256) = 1
ANSWERS_FALSE: constant(uint256) = 2
MOVES_NOTHING: constant(uint256) = 3
REVERTS: constant(uint256) = 4
CALLS_THE_OTHER_SIDE: constant(uint256) = 6
TAKES_DOUBLE_FROM_THE_SENDER: constant(uint256) = 7
MOVES_HALF: constant(uint256) = 8
HAS_ANOTHER_DOMAIN: constant(uint256) = 9
REFUSES_PERMITS: constant(uint256) = 10

PERMIT_TYPE: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
DOMAIN_TYPE: constant(bytes32) = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")

habit: public(uint256)
balances: HashMap[address, uint256]
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@deploy
def __init__(habit: uint256):
    self.habit = habit


@external
def set_habit(habit: uint256):
    self.habit = habit


@external
def mint(owner: address, amount: uint256):
    self.balances[owner] += amount


@external
def burn(owner: address, amount: uint256):
    """
    @notice What a rebase downwards looks like from outside.
    """
    self.balances[owner] -= amount


@external
@view
def balanceOf(owner: address) -> uint256:
    return self.balances[owner]


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@view
def name() -> String[5]:
    return "Token"


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    if self.habit == HAS_ANOTHER_DOMAIN:
        return keccak256("another token's")
    return self._domain()


@internal
@view
def _domain() -> bytes32:
    return keccak256(abi_encode(DOMAIN_TYPE, keccak256("Token"), keccak256("1"), chain.id, self))


@external
def permit(owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    assert self.habit != REFUSES_PERMITS, "token: no permits"
    assert block.timestamp <= deadline, "token: permit has expired"
    digest: bytes32 = keccak256(
        concat(
            x"1901",
            self._domain(),
            keccak256(abi_encode(PERMIT_TYPE, owner, spender, amount, self.nonces[owner], deadline)),
        )
    )
    assert owner != empty(address) and ecrecover(digest, v, r, s) == owner, "token: permit is not the owner's"
    self.nonces[owner] += 1
    self.allowance[owner][spender] = amount


@external
def transferFrom(sender: address, recipient: address, amount: uint256) -> bool:
    if self.habit != MOVES_NOTHING:
        self.allowance[sender][msg.sender] -= amount
    return self._move(sender, recipient, amount)


@external
def transfer(recipient: address, amount: uint256) -> bool:
    return self._move(msg.sender, recipient, amount)


@internal
def _move(sender: address, recipient: address, amount: uint256) -> bool:
    assert self.habit != REVERTS, "token: no"
    if self.habit == ANSWERS_FALSE:
        return False
    if self.habit == MOVES_NOTHING:
        return True
    moved: uint256 = amount
    if self.habit == MOVES_HALF:
        moved = amount // 2
    self.balances[sender] -= moved
    if self.habit == TAKES_DOUBLE_FROM_THE_SENDER:
        self.balances[sender] -= moved
    if self.habit == KEEPS_A_FEE:
        moved -= moved // 100
    self.balances[recipient] += moved
    if self.habit == CALLS_THE_OTHER_SIDE:
        if sender.is_contract and sender != msg.sender:
            extcall Hooked(sender).on_token()
        if recipient.is_contract and recipient != msg.sender:
            extcall Hooked(recipient).on_token()
    return True
