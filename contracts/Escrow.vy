# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title Escrow of collaboration rounds
@license MIT
@notice Parties lock deposits; a settlement that all of them signed moves units
        between their claims; everyone withdraws on its own. After the settlement deadline, or once
        a posted settlement is disproved, everyone takes its deposit back. There is no owner, no
        pause and no upgrade. Room card: contracts/README.md.
"""

from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator as domain
import assets
import ledger

initializes: domain
initializes: assets
initializes: ledger

exports: (domain.eip712Domain, assets.held)

MAX_BATCH: constant(uint256) = 512  # parties a registration, signatures an endorsement
MAX_PARTIES: constant(uint256) = 32768  # 15 bits: the ledger compares two indices at once
MAX_WHOLE: constant(uint256) = 1024  # parties and transfers of a plan carried out in one transaction
MAX_TRANSFERS: constant(uint256) = 1024
MAX_UNITS: constant(uint256) = 2**63 - 1
MAX_UNIT_SCALE: constant(uint256) = 2**96

SETTLEMENT_TYPE: constant(bytes32) = keccak256(
    "Settlement(uint256 round_id,bytes32 terms_hash,bytes32 table_hash,bytes32 plan_id)"
)

# States of a round; "expired" is no state but a clock that has run past the settlement deadline.
OPENING: constant(uint256) = 1
FUNDING: constant(uint256) = 2
COMMITTED: constant(uint256) = 3
PROPOSED: constant(uint256) = 4
SETTLING: constant(uint256) = 5
SETTLED: constant(uint256) = 6
VOID: constant(uint256) = 7


struct Terms:
    terms_hash: bytes32  # SHA-256 of the terms that every deposit names
    asset: address  # zero address: ether
    unit_scale: uint256  # wei of the asset a base unit
    exchange_rate: uint256  # base units a unit of value
    bond_wei: uint256  # ether; 0: the round cannot be settled optimistically
    funding_deadline: uint256  # last second of deposits
    settlement_deadline: uint256  # last second of settlement
    challenge_window: uint256  # seconds
    n_parties: uint256


event RoundOpened:
    round_id: indexed(uint256)
    operator: indexed(address)
    terms: Terms


event PartiesRegistered:
    round_id: indexed(uint256)
    first_party: uint256
    parties: DynArray[address, MAX_BATCH]


event Deposited:
    round_id: indexed(uint256)
    party: indexed(uint256)
    units: uint256


event Endorsed:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    table_hash: bytes32
    n_signatures: uint256


event Settled:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    table_hash: bytes32
    transfers: Bytes[12 * MAX_TRANSFERS]


event Withdrawn:
    round_id: indexed(uint256)
    party: indexed(uint256)
    recipient: address
    units: uint256


round_count: public(uint256)
terms: public(HashMap[uint256, Terms])
operator: public(HashMap[uint256, address])
round_key: public(HashMap[uint256, bytes32])
state: public(HashMap[uint256, uint256])
n_registered: public(HashMap[uint256, uint256])
total_units: public(HashMap[uint256, uint256])
# Index + 1 of an address in a round; 0: no party.
seat: HashMap[uint256, HashMap[address, uint256]]
# Digest of a plan of one round of this escrow on this chain -> how many parties, in order, have signed it.
endorsements: public(HashMap[bytes32, uint256])


@deploy
def __init__():
    domain.__init__("fairround escrow", "1")


# Opening and funding


@external
def open_round(terms: Terms, parties: DynArray[address, MAX_BATCH]) -> uint256:
    """
    @notice Opens a round of `terms.n_parties` parties and registers the first of them. The caller becomes the operator.
    """
    assert terms.n_parties >= 2 and terms.n_parties <= MAX_PARTIES, "escrow: number of parties is not 2 to 32768"
    assert terms.unit_scale != 0 and terms.unit_scale <= MAX_UNIT_SCALE, "escrow: unit scale is not 1 to 2**96"
    assert terms.exchange_rate <= MAX_UNITS, "escrow: exchange rate is above 2**63 - 1"
    assert terms.asset == empty(address) or terms.asset.is_contract, "escrow: asset is not a contract"
    assert terms.funding_deadline > block.timestamp, "escrow: funding deadline is not in the future"
    assert terms.settlement_deadline > terms.funding_deadline, "escrow: settlement deadline is not after the funding deadline"
    assert terms.settlement_deadline < 2**64 and terms.challenge_window < 2**32, "escrow: clock is out of range"
    round_id: uint256 = self.round_count + 1
    self.round_count = round_id
    self.terms[round_id] = terms
    self.operator[round_id] = msg.sender
    self.round_key[round_id] = sha256(
        concat(convert(chain.id, bytes32), convert(self, bytes32), convert(round_id, bytes32), terms.terms_hash)
    )
    self.state[round_id] = OPENING
    log RoundOpened(round_id=round_id, operator=msg.sender, terms=terms)
    self._register(round_id, terms.n_parties, parties)
    return round_id


@external
def register(round_id: uint256, parties: DynArray[address, MAX_BATCH]):
    """
    @notice Registers the next parties of a round too large for one transaction.
    """
    assert self.state[round_id] == OPENING, "escrow: round does not take parties"
    assert msg.sender == self.operator[round_id], "escrow: caller is not the operator"
    self._register(round_id, self.terms[round_id].n_parties, parties)


@internal
def _register(round_id: uint256, n_parties: uint256, parties: DynArray[address, MAX_BATCH]):
    first: uint256 = self.n_registered[round_id]
    seat: uint256 = first
    for party: address in parties:
        seat += 1
        assert party != empty(address), "escrow: party is the zero address"
        assert self.seat[round_id][party] == 0, "escrow: party is named twice"
        self.seat[round_id][party] = seat
    assert seat <= n_parties, "escrow: more parties than the round has"
    self.n_registered[round_id] = seat
    log PartiesRegistered(round_id=round_id, first_party=first, parties=parties)
    if seat == n_parties:
        self.state[round_id] = FUNDING


@external
@payable
def deposit(round_id: uint256, terms_hash: bytes32, units: uint256):
    """
    @notice Locks `units` base units of the caller, who is a party and names the terms that it agrees to.
            Deposits add up; they are the party's budget.
    """
    self._deposit(round_id, terms_hash, units)


@internal
@payable
def _deposit(round_id: uint256, terms_hash: bytes32, units: uint256):
    assert self.state[round_id] == FUNDING, "escrow: round does not take deposits"
    assert block.timestamp <= self.terms[round_id].funding_deadline, "escrow: funding deadline has passed"
    seat: uint256 = self.seat[round_id][msg.sender]
    assert seat != 0, "escrow: caller is not a party of the round"
    assert terms_hash == self.terms[round_id].terms_hash, "escrow: deposit names other terms"
    assert units != 0, "escrow: deposit of nothing"
    total: uint256 = self.total_units[round_id]
    assert units <= unsafe_sub(MAX_UNITS, total), "escrow: deposits of the round exceed 2**63 - 1 units"
    self.total_units[round_id] = unsafe_add(total, units)
    ledger._add(round_id, unsafe_sub(seat, 1), units)
    assets._receive(self.terms[round_id].asset, msg.sender, units * self.terms[round_id].unit_scale)
    log Deposited(round_id=round_id, party=unsafe_sub(seat, 1), units=units)


# Unanimous settlement


@external
def endorse(round_id: uint256, table_hash: bytes32, plan_id: bytes32, signatures: Bytes[65 * MAX_BATCH]):
    """
    @notice Records the next signatures of a plan, in party order; anyone may bring them.
    """
    self._check_open(round_id)
    digest: bytes32 = self._digest(round_id, table_hash, plan_id)
    n_signed: uint256 = self.endorsements[digest]
    assert len(signatures) != 0 and len(signatures) % 65 == 0, "escrow: signatures are not 65 bytes each"
    for k: uint256 in range(len(signatures) // 65, bound=MAX_BATCH):
        n_signed += 1
        self._check_signature(round_id, digest, n_signed, slice(signatures, 65 * k, 65))
    self.endorsements[digest] = n_signed
    log Endorsed(round_id=round_id, plan_id=plan_id, table_hash=table_hash, n_signatures=n_signed)


@external
def settle(
    round_id: uint256,
    table_hash: bytes32,
    transfers: Bytes[12 * MAX_TRANSFERS],
    signatures: Bytes[65 * MAX_BATCH],
):
    """
    @notice Carries out a plan that every party has signed, here or by `endorse` before; anyone may call.
    """
    self._check_open(round_id)
    n_parties: uint256 = self.terms[round_id].n_parties
    plan_id: bytes32 = sha256(concat(self.round_key[round_id], transfers))
    digest: bytes32 = self._digest(round_id, table_hash, plan_id)
    n_signed: uint256 = self.endorsements[digest]
    assert len(signatures) % 65 == 0, "escrow: signatures are not 65 bytes each"
    for k: uint256 in range(len(signatures) // 65, bound=MAX_BATCH):
        n_signed += 1
        self._check_signature(round_id, digest, n_signed, slice(signatures, 65 * k, 65))
    assert n_signed == n_parties, "escrow: not every party has signed"
    self._carry_out(round_id, n_parties, plan_id, table_hash, transfers)


@internal
def _carry_out(
    round_id: uint256,
    n_parties: uint256,
    plan_id: bytes32,
    table_hash: bytes32,
    transfers: Bytes[12 * MAX_TRANSFERS],
):
    assert n_parties <= MAX_WHOLE, "escrow: round is too large for one transaction"
    assert len(transfers) % 12 == 0, "escrow: transfers are not 12 bytes each"
    self.state[round_id] = SETTLED
    log Settled(round_id=round_id, plan_id=plan_id, table_hash=table_hash, transfers=transfers)
    ledger._apply(round_id, n_parties, concat(x"0000000000000000000000000000000000000000", transfers))


@internal
@view
def _check_open(round_id: uint256):
    """
    @notice The round has all its parties, is not over, and its settlement deadline has not passed.
    """
    state: uint256 = self.state[round_id]
    assert state >= FUNDING and state <= SETTLING, "escrow: round is not open to settlement"
    assert block.timestamp <= self.terms[round_id].settlement_deadline, "escrow: settlement deadline has passed"


@internal
@view
def _digest(round_id: uint256, table_hash: bytes32, plan_id: bytes32) -> bytes32:
    return domain._hash_typed_data_v4(
        keccak256(abi_encode(SETTLEMENT_TYPE, round_id, self.terms[round_id].terms_hash, table_hash, plan_id))
    )


@internal
@view
def _check_signature(round_id: uint256, digest: bytes32, seat: uint256, signature: Bytes[65]):
    signer: address = ecdsa._recover_sig(digest, signature)
    assert signer != empty(address) and self.seat[round_id][signer] == seat, "escrow: signature is not of the next party"


# Ways out


@external
def withdraw(round_id: uint256, recipient: address) -> uint256:
    """
    @notice Pays the caller's whole claim to `recipient`: after settlement deposit plus net position, after
            expiry or a disproof the deposit.
    """
    state: uint256 = self.state[round_id]
    assert state != 0, "escrow: no such round"
    assert (
        state == SETTLED or state == VOID or block.timestamp > self.terms[round_id].settlement_deadline
    ), "escrow: round is neither settled nor expired"
    seat: uint256 = self.seat[round_id][msg.sender]
    assert seat != 0, "escrow: caller is not a party of the round"
    assert recipient != empty(address), "escrow: recipient is the zero address"
    party: uint256 = unsafe_sub(seat, 1)
    units: uint256 = ledger._balance(round_id, party)
    assert units != 0, "escrow: nothing to withdraw"
    ledger._clear(round_id, party)
    self.total_units[round_id] -= units
    log Withdrawn(round_id=round_id, party=party, recipient=recipient, units=units)
    assets._send(self.terms[round_id].asset, recipient, units * self.terms[round_id].unit_scale)
    return units


# Views


@external
@view
def party_of(round_id: uint256, account: address) -> uint256:
    """
    @notice Index of a party in a round; reverts for anyone else.
    """
    seat: uint256 = self.seat[round_id][account]
    assert seat != 0, "escrow: not a party of the round"
    return seat - 1


@external
@view
def claim(round_id: uint256, party: uint256) -> uint256:
    """
    @notice Base units that the party has in the escrow: its deposit, or after settlement deposit plus net.
    """
    return ledger._balance(round_id, party)


@external
@view
def digest(round_id: uint256, table_hash: bytes32, plan_id: bytes32) -> bytes32:
    """
    @notice What the parties sign (EIP-712).
    """
    return self._digest(round_id, table_hash, plan_id)
