# pragma version ~=0.4.3
# A purse that would settle any number of times, so that only the journal can make it once.

event Deposited:
    party: indexed(address)
    amount: uint256
    total: uint256

event Settled:
    times: uint256

operator: public(address)
settlements: public(uint256)
deposits: public(HashMap[address, uint256])


@deploy
def __init__():
    self.operator = msg.sender


@external
@payable
def deposit():
    assert msg.value > 0, "purse: nothing was sent"
    self.deposits[msg.sender] += msg.value
    log Deposited(party=msg.sender, amount=msg.value, total=self.balance)


@external
@payable
def deposit_below(limit: uint256):
    assert self.balance <= limit, "purse: more than the limit"
    self.deposits[msg.sender] += msg.value
    log Deposited(party=msg.sender, amount=msg.value, total=self.balance)


@external
def settle():
    assert msg.sender == self.operator, "purse: caller is not the operator"
    self.settlements += 1
    log Settled(times=self.settlements)


@external
@view
def now() -> uint256:
    return block.timestamp


@external
def settle_if_gas_is_free(held: uint256):
    # True in a call, never in a transaction: a call that passes and a transaction that fails.
    assert msg.sender.balance == held, "purse: gas was paid"
    self.settlements += 1


@external
@view
def overflow(amount: uint256) -> uint256:
    return max_value(uint256) + amount


@external
@view
def burn():
    for i: uint256 in range(max_value(uint256)):
        pass
