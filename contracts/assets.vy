# pragma version 0.4.3
"""
@title Ether or one ERC-20 token, moved with suspicion
@license MIT
@notice The zero address stands for ether. A deposit is what the escrow's balance grew by, never what
        a token says; a token that keeps a fee, answers false, or has lost what it held before is
        refused. `held` is what the escrow owes of an asset over all rounds, in wei of the asset.
"""

from ethereum.ercs import IERC20

held: public(HashMap[address, uint256])


@internal
@view
def _balance_of(asset: address) -> uint256:
    return staticcall IERC20(asset).balanceOf(self)


@internal
def _call_token(asset: address, data: Bytes[100]) -> bool:
    """
    @notice True if the token did not revert and answered true or nothing at all.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(asset, data, max_outsize=32, revert_on_failure=False)
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
        assert msg.value == amount_wei, "escrow: wrong amount of ether"
    else:
        assert msg.value == 0, "escrow: round is not in ether"
        before: uint256 = self._balance_of(asset)
        assert before >= self.held[asset], "escrow: token lost its balance"
        assert self._call_token(
            asset,
            abi_encode(sender, self, amount_wei, method_id=method_id("transferFrom(address,address,uint256)")),
        ), "escrow: token refused deposit"
        after: uint256 = self._balance_of(asset)
        assert after >= before and unsafe_sub(after, before) == amount_wei, "escrow: token moved other amount"
    self.held[asset] += amount_wei


@internal
def _send(asset: address, recipient: address, amount_wei: uint256):
    """
    @notice Gives exactly `amount_wei` to `recipient`, or reverts; callers have already settled their books.
    """
    self.held[asset] -= amount_wei
    if asset == empty(address):
        assert raw_call(recipient, b"", value=amount_wei, revert_on_failure=False), "escrow: recipient refused ether"
    else:
        before: uint256 = self._balance_of(asset)
        assert self._call_token(
            asset, abi_encode(recipient, amount_wei, method_id=method_id("transfer(address,uint256)"))
        ), "escrow: token refused withdrawal"
        after: uint256 = self._balance_of(asset)
        assert after <= before and unsafe_sub(before, after) == amount_wei, "escrow: token moved other amount"
