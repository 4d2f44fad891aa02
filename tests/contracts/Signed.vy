# pragma version 0.4.3
"""
@title Our signatures, open to be asked
@license MIT
"""

import signatures

exports: signatures.eip712Domain


@external
@view
def digest(struct_hash: bytes32) -> bytes32:
    return signatures._digest(signatures._domain(), struct_hash)


@external
@view
def check(account: address, digest: bytes32, record: uint256, signed: Bytes[131072]):
    signatures._check(account, digest, 4 + 5 * 32, record)
