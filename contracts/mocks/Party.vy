# pragma version 0.4.3
"""
@title A party that is a contract: does what it is told, and misbehaves when it is paid, for tests
@license MIT
"""

target: address
reaction: Bytes[1024]  # what it calls when it is paid; empty: refuses
accepts: bool


@external
@payable
def act(target: address, data: Bytes[1024], value_wei: uint256):
    raw_call(target, data, value=value_wei)


@external
def prepare(accepts: bool, target: address, reaction: Bytes[1024]):
    self.accepts = accepts
    self.target = target
    self.reaction = reaction


@internal
def _react():
    assert self.accepts, "party: I take nothing"
    if len(self.reaction) != 0:
        success: bool = raw_call(self.target, self.reaction, revert_on_failure=False)
        assert not success, "party: the escrow let me in again"


@external
def on_token():
    self._react()


@external
@payable
def __default__():
    self._react()
