# pragma version 0.4.3
"""
@title Who has signed: EIP-712 domain, recovered addresses, and wallets that are contracts (ERC-1271)
@license MIT
@notice A signature of 65 bytes (r, s, v) is first tried as one of a key: an account with both code and
        a key (EIP-7702) signs with its key, so code is never looked at. Only if it recovers to
        somebody else is the account asked. What the account answers counts in this call only.

        Signatures of a call, n parties: n records of 65 bytes in party order, then what wallets need:
            a key:     r (32)      s (32)       v (1), 27 or 28
            a wallet:  start (32)  length (32)  0 (1): its signature lies `start` bytes into the whole, a
                       multiple of 32, and has at most 2,048 bytes
"""

import refusals

MAX_RECORDS: constant(uint256) = 1024
MAX_WALLET_SIGNATURE: constant(uint256) = 2048
WALLET_GAS: constant(uint256) = 400_000
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

NAME: constant(String[50]) = "fairround escrow"
VERSION: constant(String[20]) = "2"
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("fairround escrow")
VERSION_HASH: constant(bytes32) = keccak256("2")
VALID: constant(bytes32) = 0x1626ba7e00000000000000000000000000000000000000000000000000000000


@external
@view
def eip712Domain() -> (bytes1, String[50], String[20], uint256, address, bytes32, DynArray[uint256, 32]):
    """
    @notice What every signature is bound to (ERC-5267).
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


@internal
@view
def _domain() -> bytes32:
    return keccak256(abi_encode(DOMAIN_TYPE, NAME_HASH, VERSION_HASH, chain.id, self))


@internal
@pure
def _digest(domain: bytes32, struct_hash: bytes32) -> bytes32:
    return keccak256(concat(x"1901", domain, struct_hash))


@internal
@view
def _check(account: address, digest: bytes32, blob: uint256, record: uint256):
    """
    @notice Reverts unless record `record` of the signatures, whose first byte is byte `blob` of the call
            data, is the account's signature of the digest.
    """
    place: uint256 = unsafe_add(blob, unsafe_mul(65, record))
    signature: Bytes[MAX_WALLET_SIGNATURE] = slice(msg.data, place, 65)
    r: uint256 = convert(extract32(signature, 0), uint256)
    s: uint256 = convert(extract32(signature, 32), uint256)
    v: uint256 = convert(extract32(signature, 33), uint256) & 255
    if v == 0:
        if s > MAX_WALLET_SIGNATURE or r % 32 != 0:
            refusals._refuse("escrow: odd wallet signature")
        words: uint256[64] = empty(uint256[64])
        for k: uint256 in range((s + 31) // 32, bound=64):
            words[k] = convert(convert(slice(msg.data, blob + r + 32 * k, 32), bytes32), uint256)
        signature = slice(abi_encode(words), 0, s)
    elif s <= HALF_ORDER and ecrecover(digest, v, r, s) == account:
        return
    # The 65 bytes of a key that is not the account's own may be what a wallet wants to see.
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        account,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        gas=WALLET_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32 or convert(answer, bytes32) != VALID:
        refusals._refuse("escrow: not signed by party")
