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
@payable
def _receive(asset: address, sender: address, amount_wei: uint256):
    """
    @notice Takes exactly `amount_wei` of `sender`, or reverts.
    """
    if asset == empty(address):
        assert msg.value == amount_wei, "escrow: ether sent is not units times the unit scale"
    else:
        assert msg.value == 0, "escrow: ether sent to a round in tokens"
        before: uint256 = self._balance_of(asset)
        assert before >= self.held[asset], "escrow: token lost what the escrow held"
        assert self._call_token(
            asset,
            abi_encode(sender, self, amount_wei, method_id=method_id("transferFrom(address,address,uint256)")),
        ), "escrow: token refused the deposit"
        after: uint256 = self._balance_of(asset)
        assert after >= before and unsafe_sub(after, before) == amount_wei, "escrow: token moved another amount than the deposit"
    self.held[asset] += amount_wei


@internal
def _send(asset: address, recipient: address, amount_wei: uint256):
    """
    @notice Gives exactly `amount_wei` to `recipient`, or reverts; callers have already settled their books.
    """
    self.held[asset] -= amount_wei
    if asset == empty(address):
        assert raw_call(recipient, b"", value=amount_wei, revert_on_failure=False), "escrow: recipient refused the ether"
    else:
        before: uint256 = self._balance_of(asset)
        assert self._call_token(
            asset, abi_encode(recipient, amount_wei, method_id=method_id("transfer(address,uint256)"))
        ), "escrow: token refused the withdrawal"
        after: uint256 = self._balance_of(asset)
        assert after <= before and unsafe_sub(before, after) == amount_wei, "escrow: token moved another amount than the withdrawal"
