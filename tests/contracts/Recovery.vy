# pragma version 0.4.3
"""
@title Snekmate's recovery and typed data, for our own to be held against
@license MIT
"""

from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator as domain

initializes: domain


@deploy
def __init__():
    domain.__init__("fairround escrow", "2")


@external
@view
def recover(digest: bytes32, signature: Bytes[65]) -> address:
    return ecdsa._recover_sig(digest, signature)


@external
@view
def digest(struct_hash: bytes32) -> bytes32:
    return domain._hash_typed_data_v4(struct_hash)
