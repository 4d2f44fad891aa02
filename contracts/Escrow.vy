# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title Escrow of collaboration rounds
@license MIT
@notice Parties lock deposits, which are their budgets. A plan of transfers is carried out if all parties
        have signed it, or if the operator posted it with a bond and nobody disproved it in time.
        Everyone withdraws on its own. After the settlement deadline, or a disproof, everyone takes its
        deposit back. There is no owner, no pause and no upgrade. Room card: contracts/README.md.
"""

from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator as domain
import assets
import ledger
from interfaces import IJudge

initializes: domain
initializes: assets
initializes: ledger

exports: (domain.eip712Domain, assets.held)

MAX_BATCH: constant(uint256) = 256  # parties a registration, signatures an endorsement, transfers a chunk
MAX_PARTIES: constant(uint256) = 32768  # 15 bits: the ledger compares two indices at once
SMALL: constant(uint256) = 64  # parties and transfers of the cheapest settlement, and of the optimistic way
LARGE: constant(uint256) = 1024  # parties and transfers of one transaction
MAX_UNITS: constant(uint256) = 2**63 - 1
MAX_UNIT_SCALE: constant(uint256) = 2**96
MAX_EXCHANGE_RATE: constant(uint256) = 2**48
MAX_EXACT: constant(uint256) = 8
MAX_POSTING: constant(uint256) = 64 * 64 * 8 + 64 * 8 + 64 * 32
MAX_TABLE: constant(uint256) = 2**8 * 8
BEFORE: constant(Bytes[20]) = x"0000000000000000000000000000000000000000"

SETTLEMENT_TYPE: constant(bytes32) = keccak256(
    "Settlement(uint256 round_id,bytes32 terms_hash,bytes32 table_hash,bytes32 plan_id)"
)

# States of a round. "Expired" is no state but a clock that has run past the settlement deadline.
OPENING: constant(uint256) = 1
FUNDING: constant(uint256) = 2
COMMITTED: constant(uint256) = 3
PROPOSED: constant(uint256) = 4
AGREED: constant(uint256) = 5
SETTLING: constant(uint256) = 6
SETTLED: constant(uint256) = 7
SETTLED_IN_CHUNKS: constant(uint256) = 8
VOID: constant(uint256) = 9


struct Terms:
    terms_hash: bytes32  # SHA-256 of all that the parties agree to, as a file
    asset: address  # zero address: ether
    unit_scale: uint256  # wei of the asset a base unit
    exchange_rate: uint256  # base units a unit of value
    bond_wei: uint256  # ether; 0: the round cannot be settled optimistically
    funding_deadline: uint256  # last second of deposits
    settlement_deadline: uint256  # last second of settlement
    challenge_window: uint256  # seconds
    caps_hash: bytes32  # SHA-256 of the parties' wanted values, 8 bytes each; 0: no caps
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


event TableCommitted:
    round_id: indexed(uint256)
    table_hash: bytes32


event Endorsed:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    table_hash: bytes32
    n_signatures: uint256


event Proposed:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    window_end: uint256
    transfers: Bytes[12 * SMALL]
    posting: Bytes[MAX_POSTING]
    table: Bytes[MAX_TABLE]


event Challenged:
    round_id: indexed(uint256)
    challenger: indexed(address)
    fault: uint256


event ChunkNoted:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    transfers: Bytes[12 * MAX_BATCH]


event Settled:
    round_id: indexed(uint256)
    plan_id: indexed(bytes32)
    transfers: Bytes[12 * LARGE]


event Withdrawn:
    round_id: indexed(uint256)
    party: indexed(uint256)
    recipient: address
    units: uint256


event BondReleased:
    round_id: indexed(uint256)
    owner: indexed(address)
    amount_wei: uint256


event BondWithdrawn:
    owner: indexed(address)
    recipient: address
    amount_wei: uint256


JUDGE: public(immutable(IJudge))
round_count: public(uint256)
terms: public(HashMap[uint256, Terms])
operator: public(HashMap[uint256, address])
round_key: public(HashMap[uint256, bytes32])
# What every deposit names: SHA-256 of operator and terms, then, party by party, of the hash so far and the party.
agreement: public(HashMap[uint256, bytes32])
# What a settlement reads of a round, in one slot:
#     bits 0-7 state, 8-31 number of parties, 32-95 settlement deadline, 96-159 end of the challenge window
clock: HashMap[uint256, uint256]
# The plan that may be carried out; while chunks come in, the link that the next one must match.
plan_id: public(HashMap[uint256, bytes32])
n_registered: public(HashMap[uint256, uint256])
total_units: public(HashMap[uint256, uint256])
table_hash: public(HashMap[uint256, bytes32])
posting_hash: public(HashMap[uint256, bytes32])
# Ether that challenges and proposals have set free.
bonds: public(HashMap[address, uint256])
# Index + 1 of an address in a round; 0: no party.
seat: HashMap[uint256, HashMap[address, uint256]]
# What the parties sign -> how many of them have, in party order.
endorsements: public(HashMap[bytes32, uint256])


@deploy
def __init__(judge: IJudge):
    assert judge.address.is_contract, "escrow: judge is not a contract"
    JUDGE = judge
    domain.__init__("fairround escrow", "1")


# Opening and funding


@external
def open_round(terms: Terms, parties: DynArray[address, MAX_BATCH]) -> uint256:
    """
    @notice Opens a round of `terms.n_parties` parties and registers the first of them. The caller becomes the operator.
    """
    assert terms.n_parties >= 2 and terms.n_parties <= MAX_PARTIES, "escrow: parties not 2 to 32768"
    assert terms.unit_scale != 0 and terms.unit_scale <= MAX_UNIT_SCALE, "escrow: unit scale out of range"
    assert terms.exchange_rate <= MAX_EXCHANGE_RATE, "escrow: exchange rate too large"
    assert terms.bond_wei == 0 or (
        terms.exchange_rate != 0 and terms.challenge_window != 0 and terms.n_parties <= SMALL
    ), "escrow: bond without its terms"
    assert terms.bond_wei <= MAX_UNIT_SCALE, "escrow: bond is above 2**96 wei"
    assert terms.asset == empty(address) or terms.asset.is_contract, "escrow: asset is not a contract"
    assert terms.funding_deadline > block.timestamp, "escrow: funding deadline is past"
    assert terms.settlement_deadline > terms.funding_deadline, "escrow: deadlines out of order"
    assert terms.settlement_deadline < 2**64 and terms.challenge_window < 2**32, "escrow: clock is out of range"
    round_id: uint256 = self.round_count + 1
    self.round_count = round_id
    self.terms[round_id] = terms
    self.operator[round_id] = msg.sender
    self.round_key[round_id] = sha256(
        concat(convert(chain.id, bytes32), convert(self, bytes32), convert(round_id, bytes32), terms.terms_hash)
    )
    self.clock[round_id] = OPENING | (terms.n_parties << 8) | (terms.settlement_deadline << 32)
    self.agreement[round_id] = sha256(abi_encode(msg.sender, terms))
    log RoundOpened(round_id=round_id, operator=msg.sender, terms=terms)
    self._register(round_id, terms.n_parties, parties)
    return round_id


@external
def register(round_id: uint256, parties: DynArray[address, MAX_BATCH]):
    """
    @notice Registers the next parties of a round too large for one transaction.
    """
    assert self._state(round_id) == OPENING, "escrow: round takes no parties"
    self._check_operator(round_id)
    self._register(round_id, self.terms[round_id].n_parties, parties)


@internal
def _register(round_id: uint256, n_parties: uint256, parties: DynArray[address, MAX_BATCH]):
    first: uint256 = self.n_registered[round_id]
    seat: uint256 = first
    agreement: bytes32 = self.agreement[round_id]
    for party: address in parties:
        seat += 1
        assert party != empty(address), "escrow: party is address zero"
        assert self.seat[round_id][party] == 0, "escrow: party is named twice"
        self.seat[round_id][party] = seat
        agreement = sha256(concat(agreement, convert(party, bytes32)))
    assert seat <= n_parties, "escrow: too many parties"
    self.n_registered[round_id] = seat
    self.agreement[round_id] = agreement
    log PartiesRegistered(round_id=round_id, first_party=first, parties=parties)
    if seat == n_parties:
        self._enter(round_id, FUNDING)


@external
@payable
def deposit(round_id: uint256, agreement: bytes32, units: uint256):
    """
    @notice Locks `units` base units of the caller, who is a party and names what it agrees to: operator, terms
            and parties. Deposits add up; they are the party's budget.
    """
    self._deposit(round_id, agreement, units)


@external
@payable
def deposit_with_permit(
    round_id: uint256, agreement: bytes32, units: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice The same for a token, with the caller's EIP-2612 permit. A permit that somebody else brought first
            still counts: what matters is whether the token then moves.
    """
    asset: address = self.terms[round_id].asset
    if asset != empty(address):
        # What overflows here is refused below, in words.
        assets._permit(asset, msg.sender, unsafe_mul(units, self.terms[round_id].unit_scale), deadline, v, r, s)
    self._deposit(round_id, agreement, units)


@internal
@payable
def _deposit(round_id: uint256, agreement: bytes32, units: uint256):
    assert self._state(round_id) == FUNDING, "escrow: round takes no deposits"
    assert block.timestamp <= self.terms[round_id].funding_deadline, "escrow: funding deadline passed"
    party: uint256 = self._party(round_id, msg.sender)
    assert agreement == self.agreement[round_id], "escrow: not the agreed round"
    assert units != 0, "escrow: deposit of nothing"
    total: uint256 = self.total_units[round_id]
    assert units <= unsafe_sub(MAX_UNITS, total), "escrow: deposits exceed 63 bits"
    self.total_units[round_id] = unsafe_add(total, units)
    ledger._add(round_id, party, units)
    assets._receive(self.terms[round_id].asset, msg.sender, units * self.terms[round_id].unit_scale)
    log Deposited(round_id=round_id, party=party, units=units)


# First way: everybody has signed


@external
def endorse(round_id: uint256, table_hash: bytes32, plan_id: bytes32, signatures: Bytes[65 * MAX_BATCH]):
    """
    @notice Records the next signatures of a plan, in party order; anyone may bring them. With the last one the
            plan may be carried out.
    """
    clock: uint256 = self._open_clock(round_id)
    assert clock & 255 != SETTLING, "escrow: chunks are already in"
    digest: bytes32 = self._digest(round_id, table_hash, plan_id)
    n_signed: uint256 = self.endorsements[digest]
    assert len(signatures) != 0 and len(signatures) % 65 == 0, "escrow: not 65 bytes a signature"
    for k: uint256 in range(len(signatures) // 65, bound=MAX_BATCH):
        n_signed += 1
        self._check_signature(round_id, digest, n_signed, slice(signatures, 65 * k, 65))
    self.endorsements[digest] = n_signed
    log Endorsed(round_id=round_id, plan_id=plan_id, table_hash=table_hash, n_signatures=n_signed)
    if n_signed == (clock >> 8) & (2**24 - 1):
        if clock & 255 == PROPOSED:
            self._release_bond(round_id, self.operator[round_id], self.terms[round_id].bond_wei)
        self.plan_id[round_id] = plan_id
        self._enter(round_id, AGREED)


# Second way: the operator posts plan and allocation, and nobody disproves them


@external
def commit_table(round_id: uint256, table_hash: bytes32):
    """
    @notice The operator names the value table, once, when deposits can change no more and before any allocation.
    """
    assert self._state(round_id) == FUNDING, "escrow: round takes no table"
    self._check_operator(round_id)
    assert block.timestamp > self.terms[round_id].funding_deadline, "escrow: funding is still open"
    assert block.timestamp <= self.terms[round_id].settlement_deadline, "escrow: round has expired"
    self.table_hash[round_id] = table_hash
    self._enter(round_id, COMMITTED)
    log TableCommitted(round_id=round_id, table_hash=table_hash)


@external
@payable
def propose(
    round_id: uint256, transfers: Bytes[12 * SMALL], posting: Bytes[MAX_POSTING], table: Bytes[MAX_TABLE]
):
    """
    @notice The operator posts plan, allocation and, for up to 8 parties, the committed value table; with a bond.
    """
    assert self._state(round_id) == COMMITTED, "escrow: round takes no proposal"
    self._check_operator(round_id)
    bond_wei: uint256 = self.terms[round_id].bond_wei
    assert bond_wei != 0, "escrow: no optimistic way"
    self._take_bond(bond_wei)
    window: uint256 = self.terms[round_id].challenge_window
    assert (
        block.timestamp + 2 * window <= self.terms[round_id].settlement_deadline
    ), "escrow: too late for a challenge"
    n_parties: uint256 = self.terms[round_id].n_parties
    self._check_table(round_id, n_parties, table)
    assert len(posting) == n_parties * (8 * n_parties + 40), "escrow: wrong posting length"
    self._check_length(len(transfers))
    ledger._apply(round_id, n_parties, concat(BEFORE, transfers), False)
    plan_id: bytes32 = sha256(concat(self.round_key[round_id], transfers))
    self.plan_id[round_id] = plan_id
    self.posting_hash[round_id] = sha256(posting)
    self._enter(round_id, PROPOSED)
    self.clock[round_id] |= (block.timestamp + window) << 96
    log Proposed(
        round_id=round_id,
        plan_id=plan_id,
        window_end=block.timestamp + window,
        transfers=transfers,
        posting=posting,
        table=table,
    )


@external
@payable
def challenge(
    round_id: uint256, transfers: Bytes[12 * SMALL], posting: Bytes[MAX_POSTING], table: Bytes[MAX_TABLE]
) -> uint256:
    """
    @notice Recomputes the posted allocation. If it breaks a rule the round is void and both bonds are the
            caller's; if not, the caller's bond is the operator's.
    @return The first rule that is broken, see `fairness`; 0 if none is.
    """
    assert self._state(round_id) == PROPOSED, "escrow: no proposal to challenge"
    assert block.timestamp <= self.clock[round_id] >> 96, "escrow: challenge window closed"
    bond_wei: uint256 = self.terms[round_id].bond_wei
    self._take_bond(bond_wei)
    assert sha256(concat(self.round_key[round_id], transfers)) == self.plan_id[round_id], "escrow: not the posted plan"
    assert sha256(posting) == self.posting_hash[round_id], "escrow: not the posted figures"
    n_parties: uint256 = self.terms[round_id].n_parties
    self._check_table(round_id, n_parties, table)
    deposits: DynArray[uint256, SMALL] = []
    for party: uint256 in range(n_parties, bound=SMALL):
        deposits.append(ledger._deposited(round_id, party))
    fault: uint256 = staticcall JUDGE.fault(
        self.terms[round_id].exchange_rate, self.terms[round_id].caps_hash, deposits, transfers, posting, table
    )
    log Challenged(round_id=round_id, challenger=msg.sender, fault=fault)
    if fault == 0:
        self._release_bond(round_id, self.operator[round_id], bond_wei)
    else:
        self._enter(round_id, VOID)
        self._release_bond(round_id, msg.sender, 2 * bond_wei)
    return fault


# Carrying out


@external
def settle(round_id: uint256, transfers: Bytes[12 * SMALL]):
    """
    @notice Carries out the plan of up to 64 parties that all have signed, or whose challenge window has closed.
            Anyone may call.
    """
    n_parties: uint256 = self._settle(round_id, sha256(concat(self.round_key[round_id], transfers)))
    assert n_parties <= SMALL, "escrow: round is too large"
    self._check_length(len(transfers))
    log Settled(round_id=round_id, plan_id=self.plan_id[round_id], transfers=transfers)
    ledger._apply(round_id, n_parties, concat(BEFORE, transfers), True)


@external
def settle_large(round_id: uint256, transfers: Bytes[12 * LARGE]):
    """
    @notice The same for up to 1,024 transfers among the first 1,024 parties.
    """
    n_parties: uint256 = self._settle(round_id, sha256(concat(self.round_key[round_id], transfers)))
    self._check_length(len(transfers))
    log Settled(round_id=round_id, plan_id=self.plan_id[round_id], transfers=transfers)
    ledger._apply_large(round_id, min(n_parties, LARGE), concat(BEFORE, transfers))


@external
def settle_chunk(round_id: uint256, transfers: Bytes[12 * MAX_BATCH], next_link: Bytes[32]):
    """
    @notice Notes the next chunk of a plan that all have signed; with the last one, which names no next link,
            all chunks take effect. Link k is the SHA-256 of round key, chunk k and link k + 1, so a chunk
            left out, repeated or out of order does not match. Anyone may call.
    """
    clock: uint256 = self._open_clock(round_id)
    state: uint256 = clock & 255
    assert state == AGREED or state == SETTLING, "escrow: not all have signed"
    assert len(next_link) == 0 or len(next_link) == 32, "escrow: link is not 32 bytes"
    self._check_length(len(transfers))
    link: bytes32 = sha256(concat(self.round_key[round_id], transfers, next_link))
    assert link == self.plan_id[round_id], "escrow: not the next chunk"
    ledger._note(round_id, (clock >> 8) & (2**24 - 1), concat(BEFORE, transfers))
    if len(next_link) == 32:
        self.plan_id[round_id] = extract32(next_link, 0)
        self._enter(round_id, SETTLING)
        log ChunkNoted(round_id=round_id, plan_id=link, transfers=transfers)
    else:
        self._enter(round_id, SETTLED_IN_CHUNKS)
        log Settled(round_id=round_id, plan_id=link, transfers=transfers)


@internal
def _settle(round_id: uint256, plan_id: bytes32) -> uint256:
    """
    @notice Marks a round as settled if its plan may be carried out now; returns its number of parties.
    """
    clock: uint256 = self._open_clock(round_id)
    state: uint256 = clock & 255
    assert state == AGREED or state == PROPOSED, "escrow: no plan to carry out"
    assert plan_id == self.plan_id[round_id], "escrow: not the agreed plan"
    if state == PROPOSED:
        assert block.timestamp > clock >> 96, "escrow: challenge window is open"
        self._release_bond(round_id, self.operator[round_id], self.terms[round_id].bond_wei)
    self.clock[round_id] = (clock ^ state) | SETTLED
    return (clock >> 8) & (2**24 - 1)


@internal
@view
def _open_clock(round_id: uint256) -> uint256:
    """
    @notice The clock of a round that has all its parties, is not over, and not past its settlement deadline.
    """
    clock: uint256 = self.clock[round_id]
    state: uint256 = clock & 255
    assert state >= FUNDING and state <= SETTLING, "escrow: round cannot be settled"
    assert block.timestamp <= (clock >> 32) & (2**64 - 1), "escrow: round has expired"
    return clock


@internal
@view
def _check_operator(round_id: uint256):
    assert msg.sender == self.operator[round_id], "escrow: caller is not operator"


@internal
@view
def _party(round_id: uint256, account: address) -> uint256:
    seat: uint256 = self.seat[round_id][account]
    assert seat != 0, "escrow: caller is not a party"
    return unsafe_sub(seat, 1)


@internal
@pure
def _check_recipient(recipient: address):
    assert recipient != empty(address), "escrow: no recipient"


@internal
@pure
def _check_length(length: uint256):
    assert length % 12 == 0, "escrow: not 12 bytes a transfer"


@internal
@view
def _check_table(round_id: uint256, n_parties: uint256, table: Bytes[MAX_TABLE]):
    if n_parties <= MAX_EXACT:
        assert sha256(table) == self.table_hash[round_id], "escrow: not the committed table"
    else:
        assert len(table) == 0, "escrow: table of over 8 parties"


@internal
@payable
def _take_bond(bond_wei: uint256):
    assert msg.value == bond_wei, "escrow: ether is not the bond"
    assets.held[empty(address)] += bond_wei


@internal
@view
def _state(round_id: uint256) -> uint256:
    return self.clock[round_id] & 255


@internal
def _enter(round_id: uint256, state: uint256):
    self.clock[round_id] = (self.clock[round_id] & ~convert(255, uint256)) | state


@internal
def _release_bond(round_id: uint256, owner: address, amount_wei: uint256):
    self.bonds[owner] += amount_wei
    log BondReleased(round_id=round_id, owner=owner, amount_wei=amount_wei)


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
    assert signer != empty(address) and self.seat[round_id][signer] == seat, "escrow: signer is not next party"


# Ways out


@external
def withdraw(round_id: uint256, recipient: address) -> uint256:
    """
    @notice Pays the caller's whole claim to `recipient`: after settlement deposit plus net position, after
            expiry or a disproof the deposit.
    """
    state: uint256 = self._state(round_id)
    assert state != 0, "escrow: no such round"
    assert (
        state >= SETTLED or block.timestamp > self.terms[round_id].settlement_deadline
    ), "escrow: round is still open"
    party: uint256 = self._party(round_id, msg.sender)
    self._check_recipient(recipient)
    units: uint256 = ledger._claim(round_id, party, state == SETTLED_IN_CHUNKS)
    assert units != 0, "escrow: nothing to withdraw"
    ledger._clear(round_id, party, state == SETTLED_IN_CHUNKS)
    self.total_units[round_id] -= units
    log Withdrawn(round_id=round_id, party=party, recipient=recipient, units=units)
    assets._send(self.terms[round_id].asset, recipient, units * self.terms[round_id].unit_scale)
    return units


@external
def reclaim_bond(round_id: uint256):
    """
    @notice Sets the operator's bond free if its proposal was neither settled nor disproved in time. Anyone may call.
    """
    assert self._state(round_id) == PROPOSED, "escrow: round holds no bond"
    assert block.timestamp > self.terms[round_id].settlement_deadline, "escrow: round has not expired"
    self._enter(round_id, VOID)
    self._release_bond(round_id, self.operator[round_id], self.terms[round_id].bond_wei)


@external
def withdraw_bond(recipient: address) -> uint256:
    """
    @notice Pays the caller's free bonds to `recipient`.
    """
    amount_wei: uint256 = self.bonds[msg.sender]
    assert amount_wei != 0, "escrow: no bond to withdraw"
    self._check_recipient(recipient)
    self.bonds[msg.sender] = 0
    log BondWithdrawn(owner=msg.sender, recipient=recipient, amount_wei=amount_wei)
    assets._send(empty(address), recipient, amount_wei)
    return amount_wei


# Views


@external
@view
def party_of(round_id: uint256, account: address) -> uint256:
    """
    @notice Index of a party in a round, in the order of registration; reverts for anyone else.
    """
    return self._party(round_id, account)


@external
@view
def claim(round_id: uint256, party: uint256) -> uint256:
    """
    @notice Base units that the party has in the escrow: its deposit, or after settlement deposit plus net.
    """
    return ledger._claim(round_id, party, self._state(round_id) == SETTLED_IN_CHUNKS)


@external
@view
def state(round_id: uint256) -> uint256:
    """
    @notice State of a round, as numbered at the top of this contract; 0: no such round.
    """
    return self._state(round_id)


@external
@view
def window_end(round_id: uint256) -> uint256:
    """
    @notice Last second in which a proposal can be challenged; 0: no proposal.
    """
    return self.clock[round_id] >> 96


@external
@view
def digest(round_id: uint256, table_hash: bytes32, plan_id: bytes32) -> bytes32:
    """
    @notice What the parties sign (EIP-712).
    """
    return self._digest(round_id, table_hash, plan_id)
