# pragma version 0.4.3
"""
@title Ether or one ERC-20 token, moved with suspicion
@license MIT
@notice The zero address stands for ether. A deposit is what the escrow's balance grew by, never what
        a token says; a token that keeps a fee, answers false, or has lost what it held before is
        refused. `held` is what the escrow owes of a token over all rounds, in wei of the token.
"""

from ethereum.ercs import IERC20

import refusals

# Of one push: enough for a wallet that is a contract, or for a token; what a recipient burns is the caller's.
ETHER_GAS: constant(uint256) = 50_000
TOKEN_GAS: constant(uint256) = 250_000

held: public(HashMap[address, uint256])


@internal
@view
def _balance_of(asset: address) -> uint256:
    return staticcall IERC20(asset).balanceOf(self)


@internal
def _call_token(asset: address, data: Bytes[100], gas_limit: uint256) -> bool:
    """
    @notice True if the token did not revert and answered true or nothing at all.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(asset, data, max_outsize=32, gas=gas_limit, revert_on_failure=False)
    if not success or not asset.is_contract:
        return False
    return len(answer) == 0 or (len(answer) == 32 and convert(convert(answer, bytes32), uint256) == 1)


@internal
def _permit(asset: address, owner: address, amount_wei: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Brings an EIP-2612 permit to the token; whether it was accepted shows when the token is asked to move.
    """
    success: bool = raw_call(
        asset,
        abi_encode(
            owner,
            self,
            amount_wei,
            deadline,
            v,
            r,
            s,
            method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        ),
        revert_on_failure=False,
    )


@internal
@payable
def _receive(asset: address, sender: address, amount_wei: uint256):
    """
    @notice Takes exactly `amount_wei` of `sender`, or reverts.
    """
    if asset == empty(address):
        if msg.value != amount_wei:
            refusals._refuse("escrow: wrong amount of ether")
    else:
        if msg.value != 0:
            refusals._refuse("escrow: round is not in ether")
        before: uint256 = self._balance_of(asset)
        if before < self.held[asset]:
            refusals._refuse("escrow: token lost its balance")
        if not self._call_token( asset, abi_encode(sender, self, amount_wei, method_id=method_id("transferFrom(address,address,uint256)")), msg.gas, ):
            refusals._refuse("escrow: token refused deposit")
        after: uint256 = self._balance_of(asset)
        if after < before or unsafe_sub(after, before) != amount_wei:
            refusals._refuse("escrow: token moved other amount")
        self.held[asset] += amount_wei


@internal
def _send(asset: address, recipient: address, amount_wei: uint256):
    """
    @notice Gives exactly `amount_wei` to `recipient`, or reverts; callers have already settled their books.
    """
    if asset == empty(address):
        if not raw_call(recipient, b"", value=amount_wei, revert_on_failure=False):
            refusals._refuse("escrow: recipient refused ether")
    else:
        if not self._move(asset, recipient, amount_wei, msg.gas):
            refusals._refuse("escrow: token refused withdrawal")


@internal
def _push(asset: address, recipient: address, amount_wei: uint256) -> bool:
    """
    @notice Gives exactly `amount_wei` to `recipient` and returns true, or nothing and returns false. Gas has a
            limit, and what the recipient returns is not copied.
    """
    if asset == empty(address):
        return raw_call(recipient, b"", value=amount_wei, gas=ETHER_GAS, revert_on_failure=False)
    return self._move(asset, recipient, amount_wei, TOKEN_GAS)


@internal
def _move(asset: address, recipient: address, amount_wei: uint256, gas_limit: uint256) -> bool:
    """
    @notice Lets a token move exactly `amount_wei` out, or nothing; reverts if anything else went.
    """
    before: uint256 = self._balance_of(asset)
    moved: bool = self._call_token(
        asset, abi_encode(recipient, amount_wei, method_id=method_id("transfer(address,uint256)")), gas_limit
    )
    after: uint256 = self._balance_of(asset)
    if not moved and after == before:
        return False
    if not moved or after > before or unsafe_sub(before, after) != amount_wei:
        refusals._refuse("escrow: token moved other amount")
    self.held[asset] -= amount_wei
    return True
