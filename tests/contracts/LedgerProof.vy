# pragma version 0.4.3
# pragma optimize gas
"""
@title What scripts/halmos.py proves of the packed ledger
@license MIT
@notice Three parties, two transfers: a plan is carried out if and only if plain arithmetic allows it, and then every
        party has what plain arithmetic says. Deposits and amounts are any numbers; the script adds
        one function for each choice of debtors and creditors.
"""

import ledger

initializes: ledger

BEFORE: constant(Bytes[20]) = x"0000000000000000000000000000000000000000"
MAX_UNITS: constant(uint256) = 2**63 - 1
N_PARTIES: constant(uint256) = 3


@external
def carry_out(transfers: Bytes[768], chunked: bool):
    if chunked:
        total: uint256 = ledger._note(1, N_PARTIES, concat(BEFORE, transfers))
    else:
        books: uint256[32] = ledger._apply(1, N_PARTIES, concat(BEFORE, transfers))


@internal
def _prove(holds: bool):
    if not holds:  # what halmos looks for: the panic of a failed assertion
        raw_revert(abi_encode(convert(1, uint256), method_id=method_id("Panic(uint256)")))


@internal
def _fund(deposits: uint256[3]) -> bool:
    """
    @notice Locks the deposits; false if the escrow would have refused them.
    """
    for party: uint256 in range(3):
        if deposits[party] > MAX_UNITS:
            return False
    if deposits[0] + deposits[1] + deposits[2] > MAX_UNITS:
        return False
    for party: uint256 in range(3):
        ledger._add(1, party, deposits[party])
    return True


@internal
def _plan(
    deposits: uint256[3], debtors: uint256[2], creditors: uint256[2], amounts: uint256[2], chunked: bool
):
    if not self._fund(deposits) or amounts[0] >= 2**64 or amounts[1] >= 2**64:
        return
    allowed: bool = amounts[0] != 0 and amounts[1] != 0
    paid: uint256[3] = empty(uint256[3])
    received: uint256[3] = empty(uint256[3])
    for k: uint256 in range(2):
        if debtors[k] < N_PARTIES and creditors[k] < N_PARTIES:
            paid[debtors[k]] += amounts[k]
            received[creditors[k]] += amounts[k]
        else:
            allowed = False
    for party: uint256 in range(3):
        allowed = allowed and paid[party] <= deposits[party] and (paid[party] == 0 or received[party] == 0)
    transfers: Bytes[24] = concat(
        slice(convert((debtors[0] << 16) | creditors[0], bytes32), 28, 4),
        slice(convert(amounts[0], bytes32), 24, 8),
        slice(convert((debtors[1] << 16) | creditors[1], bytes32), 28, 4),
        slice(convert(amounts[1], bytes32), 24, 8),
    )
    done: bool = raw_call(
        self, abi_encode(transfers, chunked, method_id=method_id("carry_out(bytes,bool)")), revert_on_failure=False
    )
    self._prove(done == allowed)
    if done:
        for party: uint256 in range(3):
            claim: uint256 = ledger._claim(1, party, chunked)
            self._prove(claim == deposits[party] - paid[party] + received[party])


@external
def check_a_withdrawal_takes_one_lane(d0: uint256, d1: uint256, d2: uint256):
    deposits: uint256[3] = [d0, d1, d2]
    if self._fund(deposits):
        self._prove(ledger._take(1, 1, False) == d1)
        self._prove(ledger._deposited(1, 0) == d0)
        self._prove(ledger._deposited(1, 1) == 0)
        self._prove(ledger._deposited(1, 2) == d2)
