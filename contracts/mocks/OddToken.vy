# pragma version 0.4.3
"""
@title ERC-20 that answers nothing, or the number two, for tests
@license MIT
"""

answer: uint256  # 0: nothing
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(answer: uint256):
    self.answer = answer


@external
def mint(owner: address, amount: uint256):
    self.balanceOf[owner] += amount


@external
@raw_return
def approve(spender: address, amount: uint256) -> Bytes[32]:
    self.allowance[msg.sender][spender] = amount
    return self._answer()


@external
@raw_return
def transferFrom(sender: address, recipient: address, amount: uint256) -> Bytes[32]:
    self.allowance[sender][msg.sender] -= amount
    self.balanceOf[sender] -= amount
    self.balanceOf[recipient] += amount
    return self._answer()


@external
@raw_return
def transfer(recipient: address, amount: uint256) -> Bytes[32]:
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[recipient] += amount
    return self._answer()


@internal
@view
def _answer() -> Bytes[32]:
    if self.answer == 0:
        return b""
    return abi_encode(self.answer)
