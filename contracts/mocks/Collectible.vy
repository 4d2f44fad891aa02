# pragma version 0.4.3
"""
@title One collectible (ERC-721) with the number 1, for tests
@license MIT
"""

ownerOf: public(HashMap[uint256, address])
balanceOf: public(HashMap[address, uint256])
approved: HashMap[uint256, address]


@deploy
def __init__():
    self.ownerOf[1] = msg.sender
    self.balanceOf[msg.sender] = 1


@external
@view
def supportsInterface(interface_id: bytes4) -> bool:
    return interface_id in [0x01ffc9a7, 0x80ac58cd]


@external
def approve(operator: address, number: uint256):
    assert self.ownerOf[number] == msg.sender, "collectible: not the owner"
    self.approved[number] = operator


@external
def transferFrom(owner: address, recipient: address, number: uint256):
    assert self.ownerOf[number] == owner, "collectible: not the owner's"
    assert msg.sender in [owner, self.approved[number]], "collectible: not allowed"
    self.approved[number] = empty(address)
    self.ownerOf[number] = recipient
    self.balanceOf[owner] -= 1
    self.balanceOf[recipient] += 1
