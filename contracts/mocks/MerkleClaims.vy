# pragma version 0.4.3
# pragma optimize gas
"""
@title Payouts by Merkle proof, the usual alternative, as a baseline for gas
@license MIT
"""

root: bytes32
claimed: HashMap[uint256, uint256]


@external
@payable
def commit(root: bytes32):
    self.root = root


@external
def claim(index: uint256, amount_wei: uint256, proof: DynArray[bytes32, 32]):
    node: bytes32 = keccak256(abi_encode(index, msg.sender, amount_wei))
    for sibling: bytes32 in proof:
        if convert(node, uint256) < convert(sibling, uint256):
            node = keccak256(concat(node, sibling))
        else:
            node = keccak256(concat(sibling, node))
    assert node == self.root, "claims: wrong proof"
    word: uint256 = self.claimed[index >> 8]
    assert (word >> (index & 255)) & 1 == 0, "claims: already paid"
    self.claimed[index >> 8] = word | (1 << (index & 255))
    raw_call(msg.sender, b"", value=amount_wei)
